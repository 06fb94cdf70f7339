//! What a metric is called, what sort it is, and what it means: said once, for the series, the encoders and the table.

/// Which sort of metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// It only rises, until the daemon starts anew.
    Counter,
    /// It stands as it is.
    Gauge,
    /// It counts values by size.
    Histogram,
}

impl Sort {
    /// Its name in Prometheus's forms.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// Its sort.
    pub sort: Sort,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What its values are counted in; `1` for those that are always 1.
    pub unit: &'static str,
    /// Its meaning, in a sentence.
    pub help: &'static str,
}

/// Declares families as constants, and lists them as `FAMILIES`.
macro_rules! families {
    ($($id:ident = $sort:ident($name:literal, $labels:expr, $unit:literal, $help:literal);)*) => {
        $(pub(in crate::telemetry) const $id: $crate::telemetry::family::Family = $crate::telemetry::family::Family {
            name: $name,
            sort: $crate::telemetry::family::Sort::$sort,
            labels: &$labels,
            unit: $unit,
            help: $help,
        };)*
        pub(in crate::telemetry) const FAMILIES: &[$crate::telemetry::family::Family] = &[$($id),*];
    };
}
pub(super) use families;
