//! The machine, and the daemon's own runtime.

use std::time::Duration;

use procfs::{Current, CurrentSI, KernelStats, LoadAverage, Meminfo};

use super::family::families;
use super::sheet::Sheet;

families! {
    CPU = Counter("begat_host_cpu_seconds_total", ["mode"], "seconds", "Time of all processors since the boot, by what they did.");
    MEMORY = Gauge("begat_host_memory_total_bytes", [], "bytes", "Memory of the machine.");
    AVAILABLE = Gauge("begat_host_memory_available_bytes", [], "bytes",
        "Memory that programs could still have without swapping, as the kernel estimates.");
    LOAD = Gauge("begat_host_load1", [], "tasks", "Tasks that ran or waited to run, averaged over a minute.");
    WORKERS = Gauge("begat_tokio_workers", [], "threads", "Threads of the daemon's asynchronous runtime.");
    TASKS = Gauge("begat_tokio_tasks", [], "tasks", "Tasks alive in the runtime.");
    QUEUE = Gauge("begat_tokio_queue_depth", [], "tasks", "Tasks that wait in the runtime's common queue.");
    BUSY = Counter("begat_tokio_busy_seconds_total", [], "seconds", "Time that the runtime's threads worked, added up.");
}

/// Figures of the machine at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostFigures {
    /// Seconds of all processors by mode.
    pub cpu_seconds: Vec<(&'static str, f64)>,
    /// Bytes of memory: all, and available.
    pub memory: Option<(u64, u64)>,
    /// The load average of a minute.
    pub load: Option<f64>,
}

/// Figures of the runtime at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuntimeFigures {
    /// Threads.
    pub workers: u64,
    /// Tasks alive.
    pub tasks: u64,
    /// Tasks that wait in the common queue.
    pub queue_depth: u64,
    /// Time that its threads worked.
    pub busy: Duration,
}

impl HostFigures {
    /// What the kernel says now; what it does not say is left out.
    pub fn read() -> Self {
        let memory = Meminfo::current().ok();
        Self {
            cpu_seconds: cpu_seconds().unwrap_or_default(),
            memory: memory.and_then(|memory| Some((memory.mem_total, memory.mem_available?))),
            load: LoadAverage::current().ok().map(|load| f64::from(load.one)),
        }
    }
}

fn cpu_seconds() -> Option<Vec<(&'static str, f64)>> {
    let total = KernelStats::current().ok()?.total;
    let ticks = procfs::ticks_per_second() as f64;
    let modes = [
        ("user", Some(total.user)),
        ("nice", Some(total.nice)),
        ("system", Some(total.system)),
        ("idle", Some(total.idle)),
        ("iowait", total.iowait),
        ("irq", total.irq),
        ("softirq", total.softirq),
        ("steal", total.steal),
    ];
    let seconds = modes
        .into_iter()
        .filter_map(|(mode, count)| Some((mode, count? as f64 / ticks)));
    Some(seconds.collect())
}

impl RuntimeFigures {
    /// Those of the runtime that `handle` leads to.
    pub fn read(handle: &tokio::runtime::Handle) -> Self {
        let metrics = handle.metrics();
        Self {
            workers: metrics.num_workers() as u64,
            tasks: metrics.num_alive_tasks() as u64,
            queue_depth: metrics.global_queue_depth() as u64,
            busy: (0..metrics.num_workers())
                .map(|worker| metrics.worker_total_busy_duration(worker))
                .sum(),
        }
    }
}

pub(super) fn write(sheet: &mut Sheet, host: &HostFigures, runtime: &RuntimeFigures) {
    for (mode, seconds) in &host.cpu_seconds {
        sheet.put(&CPU, &[mode], *seconds);
    }
    if let Some((total, available)) = host.memory {
        sheet.put(&MEMORY, &[], total as f64);
        sheet.put(&AVAILABLE, &[], available as f64);
    }
    sheet.put_some(&LOAD, &[], host.load);
    sheet.put(&WORKERS, &[], runtime.workers as f64);
    sheet.put(&TASKS, &[], runtime.tasks as f64);
    sheet.put(&QUEUE, &[], runtime.queue_depth as f64);
    sheet.put(&BUSY, &[], runtime.busy.as_secs_f64());
}
