//! The process's own figures, by the collector of Prometheus's own library.

use prometheus::Registry;
use prometheus::process_collector::ProcessCollector;

use super::family::families;

families! {
    CPU = Counter("process_cpu_seconds_total", [], "seconds", "Total user and system CPU time spent in seconds.");
    OPEN_FDS = Gauge("process_open_fds", [], "descriptors", "Number of open file descriptors.");
    MAX_FDS = Gauge("process_max_fds", [], "descriptors", "Maximum number of open file descriptors.");
    VIRTUAL = Gauge("process_virtual_memory_bytes", [], "bytes", "Virtual memory size in bytes.");
    RESIDENT = Gauge("process_resident_memory_bytes", [], "bytes", "Resident memory size in bytes.");
    START = Gauge("process_start_time_seconds", [], "seconds since the epoch", "Start time of the process since unix epoch in seconds.");
    THREADS = Gauge("process_threads", [], "threads", "Number of OS threads in the process.");
}

pub(super) fn register(registry: &Registry) {
    registry
        .register(Box::new(ProcessCollector::for_self()))
        .expect("the collector's names are Prometheus's own, each registered once");
}
