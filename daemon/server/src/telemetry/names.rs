//! Making and registering series that are counted as things happen. A name or label that Prometheus would refuse is a mistake
//! in this program, found by the first test that makes a [`super::Telemetry`].

use prometheus::{
    CounterVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    core::Collector,
};

use super::family::Family;

const VALID: &str = "names and labels are constants that Prometheus accepts, each registered once";

fn registered<C: Collector + Clone + 'static>(registry: &Registry, series: C) -> C {
    registry.register(Box::new(series.clone())).expect(VALID);
    series
}

fn options(family: &Family) -> Opts {
    Opts::new(family.name, family.help)
}

pub(super) fn counters(registry: &Registry, family: &Family) -> IntCounterVec {
    let series = IntCounterVec::new(options(family), family.labels).expect(VALID);
    registered(registry, series)
}

pub(super) fn real_counters(registry: &Registry, family: &Family) -> CounterVec {
    let series = CounterVec::new(options(family), family.labels).expect(VALID);
    registered(registry, series)
}

pub(super) fn counter(registry: &Registry, family: &Family) -> IntCounter {
    registered(
        registry,
        IntCounter::with_opts(options(family)).expect(VALID),
    )
}

pub(super) fn gauge(registry: &Registry, family: &Family) -> IntGauge {
    registered(registry, IntGauge::with_opts(options(family)).expect(VALID))
}

pub(super) fn histograms(registry: &Registry, family: &Family, buckets: &[f64]) -> HistogramVec {
    let options = HistogramOpts::new(family.name, family.help).buckets(buckets.to_vec());
    registered(
        registry,
        HistogramVec::new(options, family.labels).expect(VALID),
    )
}
