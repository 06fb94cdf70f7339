//! What was sent by OTLP.

use prometheus::{IntCounter, IntCounterVec, Registry};

use super::family::families;
use super::names;
use crate::otlp::Signal;

families! {
    EXPORTS = Counter("begat_otlp_exports_total", ["signal", "outcome"], "requests",
        "Requests to an OpenTelemetry collector, by what became of them: accepted, refused, or unreachable (tried again later).");
    DROPPED = Counter("begat_otlp_dropped_spans_total", [], "spans",
        "Spans that were dropped because a collector did not take them for too long.");
}

/// Counts what is sent by OTLP.
#[derive(Debug)]
pub struct OtlpSeries {
    exports: IntCounterVec,
    dropped: IntCounter,
}

impl OtlpSeries {
    pub(super) fn new(registry: &Registry) -> Self {
        let exports = names::counters(registry, &EXPORTS);
        for signal in [Signal::Metrics, Signal::Traces] {
            for outcome in ["accepted", "refused", "unreachable"] {
                exports.with_label_values(&[signal.name(), outcome]);
            }
        }
        Self {
            exports,
            dropped: names::counter(registry, &DROPPED),
        }
    }

    /// A request was answered, or was not.
    pub fn sent(&self, signal: Signal, outcome: &str) {
        self.exports
            .with_label_values(&[signal.name(), outcome])
            .inc();
    }

    /// Spans were dropped.
    pub fn dropped(&self, spans: usize) {
        self.dropped.inc_by(spans as u64);
    }
}
