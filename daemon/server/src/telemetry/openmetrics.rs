//! OpenMetrics 1.0 text: the families of the prometheus crate, which knows only the older form, with exemplars beside them.
//!
//! What differs from the older form: a counter's family is named without `_total`, units are told, numbers are canonical, a
//! bucket may carry an exemplar, and the end is marked, so that half an answer is not taken for a whole one.

use std::collections::HashMap;
use std::fmt::Write;

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::exemplar::Exemplar;

/// The form's media type.
pub const OPENMETRICS_FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Units that a name may end with, in Prometheus's base units.
const UNITS: [&str; 8] = [
    "seconds", "bytes", "ratio", "joules", "watts", "celsius", "hertz", "nats",
];

/// Exemplars by histogram: its name and the values of its labels, then bucket by bucket.
#[derive(Debug, Default)]
pub struct Exemplars(HashMap<(String, Vec<String>), Vec<Option<Exemplar>>>);

impl Exemplars {
    /// Adds those of one histogram.
    pub(super) fn add(&mut self, name: &str, labels: &[&str], exemplars: Vec<Option<Exemplar>>) {
        let labels = labels.iter().map(|value| (*value).to_owned()).collect();
        self.0.insert((name.to_owned(), labels), exemplars);
    }

    /// Those of one histogram, bucket by bucket.
    pub fn of(&self, name: &str, metric: &Metric) -> &[Option<Exemplar>] {
        let labels = metric.get_label().iter();
        let labels = labels.map(|pair| pair.value().to_owned()).collect();
        self.0
            .get(&(name.to_owned(), labels))
            .map_or(&[], Vec::as_slice)
    }
}

/// The families in OpenMetrics text.
pub(super) fn encode(families: &[MetricFamily], exemplars: &Exemplars) -> String {
    let mut text = String::new();
    for family in families {
        encode_family(&mut text, family, exemplars);
    }
    text.push_str("# EOF\n");
    text
}

fn encode_family(text: &mut String, family: &MetricFamily, exemplars: &Exemplars) {
    let sort = family.get_field_type();
    let name = match sort {
        MetricType::COUNTER => family.name().strip_suffix("_total"),
        _ => Some(family.name()),
    }
    .unwrap_or(family.name());
    let _ = writeln!(text, "# TYPE {name} {}", sort_name(sort));
    if let Some(unit) = UNITS.iter().find(|unit| has_unit(name, unit)) {
        let _ = writeln!(text, "# UNIT {name} {unit}");
    }
    let _ = writeln!(text, "# HELP {name} {}", escaped(family.help()));
    for metric in family.get_metric() {
        match sort {
            MetricType::COUNTER => {
                let value = metric.get_counter().get_value();
                sample(text, name, "_total", metric, None, value);
                text.push('\n');
            }
            MetricType::HISTOGRAM => encode_histogram(text, name, metric, exemplars),
            _ => {
                let value = metric.get_gauge().get_value();
                sample(text, name, "", metric, None, value);
                text.push('\n');
            }
        }
    }
}

fn encode_histogram(text: &mut String, name: &str, metric: &Metric, exemplars: &Exemplars) {
    let histogram = metric.get_histogram();
    let mut named = exemplars.of(name, metric).iter();
    let mut open = true;
    for bucket in histogram.get_bucket() {
        let bound = bucket.upper_bound();
        open &= bound != f64::INFINITY;
        let count = bucket.cumulative_count() as f64;
        sample(text, name, "_bucket", metric, Some(bound), count);
        if let Some(Some(exemplar)) = named.next() {
            append_exemplar(text, exemplar);
        }
        text.push('\n');
    }
    let count = histogram.get_sample_count() as f64;
    if open {
        sample(text, name, "_bucket", metric, Some(f64::INFINITY), count);
        text.push('\n');
    }
    let sum = histogram.get_sample_sum();
    for (suffix, value) in [("_count", count), ("_sum", sum)] {
        sample(text, name, suffix, metric, None, value);
        text.push('\n');
    }
}

fn append_exemplar(text: &mut String, exemplar: &Exemplar) {
    text.push_str(" # {");
    for (at, (name, value)) in exemplar.labels.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{name}=\"{}\"", escaped(value));
    }
    let time = exemplar.time.as_milliseconds() as f64 / 1000.0;
    let _ = write!(text, "}} {} {time:.3}", number(exemplar.value));
}

fn sample(
    text: &mut String,
    name: &str,
    suffix: &str,
    metric: &Metric,
    bound: Option<f64>,
    value: f64,
) {
    let _ = write!(text, "{name}{suffix}");
    let mut labels: Vec<String> = metric.get_label().iter().map(label).collect();
    labels.extend(bound.map(|bound| format!("le=\"{}\"", canonical(bound))));
    if !labels.is_empty() {
        let _ = write!(text, "{{{}}}", labels.join(","));
    }
    let _ = write!(text, " {}", number(value));
}

fn label(pair: &LabelPair) -> String {
    format!("{}=\"{}\"", pair.name(), escaped(pair.value()))
}

fn has_unit(name: &str, unit: &str) -> bool {
    name.strip_suffix(unit)
        .is_some_and(|rest| rest.ends_with('_'))
}

fn sort_name(sort: MetricType) -> &'static str {
    match sort {
        MetricType::COUNTER => "counter",
        MetricType::HISTOGRAM => "histogram",
        _ => "gauge",
    }
}

fn number(value: f64) -> String {
    match value {
        value if value == f64::INFINITY => "+Inf".to_owned(),
        value if value == f64::NEG_INFINITY => "-Inf".to_owned(),
        value if value.is_nan() => "NaN".to_owned(),
        value => value.to_string(),
    }
}

/// Bounds always have a decimal point, so that one bound has one spelling.
fn canonical(bound: f64) -> String {
    let text = number(bound);
    if bound.is_finite() && !text.contains('.') {
        return text + ".0";
    }
    text
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use begat_schemas::Time;

    use super::super::exemplar::Examples;
    use super::super::family::{Family, Sort};
    use super::super::sheet::Sheet;
    use super::*;

    const fn family(name: &'static str, sort: Sort, labels: &'static [&'static str]) -> Family {
        Family {
            name,
            sort,
            labels,
            unit: "",
            help: "A \"help\".",
        }
    }

    #[test]
    fn is_what_the_specification_says() {
        let mut sheet = Sheet::default();
        let tokens = family("a_tokens_total", Sort::Counter, &["run"]);
        let memory = family("b_memory_bytes", Sort::Gauge, &["path"]);
        let took = family("c_took_seconds", Sort::Histogram, &["stage"]);
        sheet.put(&tokens, &["r"], 3.0);
        sheet.put(&memory, &["a\\b\"c\nd"], f64::NAN);
        let mut examples = Examples::new(&[0.5, 1.0]);
        let labels = vec![("run", "r".to_owned()), ("step", "7".to_owned())];
        let time = Time::from_milliseconds(1_700_000_000_500);
        examples.observe(0.75, 2, Exemplar::new(labels, 0.75, time));
        sheet.put_histogram(&took, &["sft"], examples.histogram());
        let mut exemplars = Exemplars::default();
        exemplars.add(took.name, &["sft"], examples.exemplars());
        let expected = r##"# TYPE a_tokens counter
# HELP a_tokens A \"help\".
a_tokens_total{run="r"} 3
# TYPE b_memory_bytes gauge
# UNIT b_memory_bytes bytes
# HELP b_memory_bytes A \"help\".
b_memory_bytes{path="a\\b\"c\nd"} NaN
# TYPE c_took_seconds histogram
# UNIT c_took_seconds seconds
# HELP c_took_seconds A \"help\".
c_took_seconds_bucket{stage="sft",le="0.5"} 0
c_took_seconds_bucket{stage="sft",le="1.0"} 2 # {run="r",step="7"} 0.75 1700000000.500
c_took_seconds_bucket{stage="sft",le="+Inf"} 2
c_took_seconds_count{stage="sft"} 2
c_took_seconds_sum{stage="sft"} 1.5
# EOF
"##;
        assert_eq!(encode(&sheet.into_families(), &exemplars), expected);
    }
}
