//! What the daemon says about itself: logs to standard error, and metrics in Prometheus's form.
//!
//! Every series is made in this folder and nowhere else, so that their names can be read in one place, and so that the
//! series of a run can leave together: a join with `begat_run_info` finds nothing once one of the two is gone.

mod http_series;
pub mod logs;
mod names;
mod process_series;
mod run_series;
mod store_series;

use parking_lot::Mutex;
use prometheus::{IntCounterVec, Registry, TextEncoder};

pub use http_series::{HttpSeries, InFlight};
pub use run_series::RunFigures;
use run_series::RunSeries;
pub use store_series::StoreFigures;
use store_series::StoreSeries;

/// Every metric of the daemon. It is cheap to call and never waits for anything but its own lock.
pub struct Telemetry {
    registry: Registry,
    http: HttpSeries,
    store: StoreSeries,
    inbox: IntCounterVec,
    runs: Mutex<RunSeries>,
}

/// What became of a drop into an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropOutcome {
    /// It is a dataset now.
    Stored,
    /// It cannot become one: a symbolic link, a special file, a name that cannot be a ref.
    Refused,
    /// It could have, but reading or storing it failed.
    Failed,
}

impl DropOutcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
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
        names::register_build_info(&registry);
        process_series::register(&registry);
        Self {
            http: HttpSeries::new(&registry),
            store: StoreSeries::new(&registry),
            inbox: names::counters(
                &registry,
                "begat_inbox_drops_total",
                "Drops into a watched folder, by what became of them.",
                &["inbox", "outcome"],
            ),
            runs: Mutex::new(RunSeries::new(&registry)),
            registry,
        }
    }

    /// The series of the HTTP API.
    pub fn http(&self) -> &HttpSeries {
        &self.http
    }

    /// Something became of a drop into `inbox`.
    pub fn drop_seen(&self, inbox: &str, outcome: DropOutcome) {
        self.inbox.with_label_values(&[inbox, outcome.name()]).inc();
    }

    /// All metrics in Prometheus's text form, with what the store, the ledger and the engine say at this moment. The
    /// series of a run that is not among `runs` leave, all of them.
    pub fn text(&self, store: &StoreFigures, runs: &[RunFigures]) -> String {
        self.store.set(store);
        self.runs.lock().show(runs);
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .expect("every series has a valid name and writing to a string cannot fail")
    }
}

#[cfg(test)]
mod tests;
