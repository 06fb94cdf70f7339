//! The process's own figures: processor time, memory, file descriptors, threads, start time.

use prometheus::Registry;
use prometheus::process_collector::ProcessCollector;

pub(super) fn register(registry: &Registry) {
    registry
        .register(Box::new(ProcessCollector::for_self()))
        .expect("the collector's names are Prometheus's own, each registered once");
}
