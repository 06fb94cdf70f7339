//! Making and registering series. A name or label that Prometheus would refuse is a mistake in this program, found by the
//! first test that makes a [`super::Telemetry`].

use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, core::Collector,
};

const VALID: &str = "names and labels are constants that Prometheus accepts, each registered once";

pub(super) fn registered<C: Collector + Clone + 'static>(registry: &Registry, series: C) -> C {
    registry.register(Box::new(series.clone())).expect(VALID);
    series
}

pub(super) fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> IntCounterVec {
    registered(
        registry,
        IntCounterVec::new(Opts::new(name, help), labels).expect(VALID),
    )
}

pub(super) fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    registered(registry, IntCounter::new(name, help).expect(VALID))
}

pub(super) fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    registered(
        registry,
        GaugeVec::new(Opts::new(name, help), labels).expect(VALID),
    )
}

pub(super) fn int_gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> IntGaugeVec {
    registered(
        registry,
        IntGaugeVec::new(Opts::new(name, help), labels).expect(VALID),
    )
}

pub(super) fn int_gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    registered(registry, IntGauge::new(name, help).expect(VALID))
}

pub(super) fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    registered(registry, HistogramVec::new(options, labels).expect(VALID))
}

pub(super) fn register_build_info(registry: &Registry) {
    int_gauges(
        registry,
        "begat_build_info",
        "Which begat this is; always 1.",
        &["version", "contract"],
    )
    .with_label_values(&[
        env!("CARGO_PKG_VERSION"),
        &begat_schemas::CONTRACT.to_string(),
    ])
    .set(1);
}
