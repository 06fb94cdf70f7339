//! What the daemon says about itself: logs to standard error, and metrics in Prometheus's forms.
//!
//! Every series is made in this folder and nowhere else. A family is declared once, with its unit and meaning: what is declared
//! makes the series, both forms and the table in `dashboards/METRICS.md`. Some are counted as things happen; the rest is what
//! store, ledger, engine, kernel and GPUs say when someone asks, written onto a fresh sheet ([`Figures`]), so that the series of
//! a run leave together: a join with `begat_run_info` finds nothing once one of the two is gone.

mod exemplar;
mod family;
mod fleet_series;
mod gpu;
mod host_series;
mod http_series;
mod inbox_series;
mod journal_metrics;
pub mod logs;
mod names;
mod openmetrics;
mod otlp_series;
mod process_series;
mod run_series;
mod sheet;
mod step_series;
mod store_series;
mod table;
mod work_series;

use begat_schemas::{CONTRACT, Time};
use parking_lot::Mutex;
use prometheus::proto::MetricFamily;
use prometheus::{Registry, TextEncoder};

pub use exemplar::Exemplar;
pub use family::{Family, Sort};
pub use fleet_series::FleetFigures;
pub use gpu::{GpuReading, Gpus};
pub use host_series::{HostFigures, RuntimeFigures};
pub use http_series::{HttpSeries, InFlight};
pub use inbox_series::{DropOutcome, InboxSeries};
pub use openmetrics::{Exemplars, OPENMETRICS_FORMAT};
pub use otlp_series::OtlpSeries;
pub use run_series::RunFigures;
pub(crate) use run_series::purpose_name;
pub use step_series::StepSeries;
pub use store_series::StoreFigures;
pub use table::table;
pub use work_series::{Outcome, WorkSeries};

use family::families;
use run_series::RunSeries;
use sheet::Sheet;

families! {
    BUILD = Gauge("begat_build_info", ["version", "contract"], "1", "Which begat this is; always 1.");
}

/// Every metric of the daemon. Counting is cheap and waits for nothing; a scrape works on figures that were gathered before,
/// and holds no lock that a stage or a request could wait for.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    http: HttpSeries,
    inbox: InboxSeries,
    otlp: OtlpSeries,
    work: WorkSeries,
    steps: StepSeries,
    /// Held while a scrape is written, so that two at once do not forget each other's runs half-way.
    runs: Mutex<RunSeries>,
}

/// What everything says at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// The store.
    pub store: StoreFigures,
    /// Runs by state, queue, slots.
    pub fleet: FleetFigures,
    /// The runs to show; the series of any other leave.
    pub runs: Vec<RunFigures>,
    /// The machine.
    pub host: HostFigures,
    /// The daemon's runtime.
    pub runtime: RuntimeFigures,
    /// The machine's GPUs.
    pub gpus: Vec<GpuReading>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// The metrics of a daemon that just started.
    pub fn new() -> Self {
        let registry = Registry::new();
        process_series::register(&registry);
        Self {
            http: HttpSeries::new(&registry),
            inbox: InboxSeries::new(&registry),
            otlp: OtlpSeries::new(&registry),
            work: WorkSeries::new(&registry),
            steps: StepSeries::default(),
            runs: Mutex::new(RunSeries::new(&registry)),
            registry,
        }
    }

    /// The series of the HTTP API.
    pub fn http(&self) -> &HttpSeries {
        &self.http
    }

    /// The series of watched folders.
    pub fn inbox(&self) -> &InboxSeries {
        &self.inbox
    }

    /// The series of what is sent by OTLP.
    pub fn otlp(&self) -> &OtlpSeries {
        &self.otlp
    }

    /// What happens to attempts.
    pub fn work(&self) -> &WorkSeries {
        &self.work
    }

    /// How long steps take.
    pub fn steps(&self) -> &StepSeries {
        &self.steps
    }

    /// All metrics in Prometheus's text form.
    pub fn text(&self, figures: &Figures) -> String {
        TextEncoder::new()
            .encode_to_string(&self.families(figures).0)
            .expect("every family has a sample and writing to a string cannot fail")
    }

    /// All metrics in OpenMetrics text, with exemplars.
    pub fn openmetrics(&self, figures: &Figures) -> String {
        let (families, exemplars) = self.families(figures);
        openmetrics::encode(&families, &exemplars)
    }

    /// All families with their samples, sorted by name, and the exemplars of histograms.
    pub fn families(&self, figures: &Figures) -> (Vec<MetricFamily>, Exemplars) {
        let mut sheet = Sheet::default();
        let contract = CONTRACT.to_string();
        sheet.put(&BUILD, &[env!("CARGO_PKG_VERSION"), &contract], 1.0);
        store_series::write(&mut sheet, &figures.store);
        fleet_series::write(&mut sheet, &figures.fleet);
        host_series::write(&mut sheet, &figures.host, &figures.runtime);
        gpu::write(&mut sheet, &figures.gpus);
        let exemplars = self.steps.write(&mut sheet);
        self.runs.lock().write(&mut sheet, &figures.runs);
        let mut families = self.registry.gather();
        families.extend(sheet.into_families());
        families.sort_by(|one, other| one.name().cmp(other.name()));
        (families, exemplars)
    }
}

/// Prometheus counts time in seconds since the epoch.
fn seconds_of(time: Time) -> f64 {
    time.as_milliseconds() as f64 / 1000.0
}

#[cfg(test)]
mod tests;
