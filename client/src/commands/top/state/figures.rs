//! What `/metrics` says of machine and store; rates from two answers.

use std::collections::VecDeque;

use begat_schemas::{RunId, RunState, Time};

use super::super::fetch::Picture;
use super::super::samples::{Samples, label};
use super::super::text::clean;
use super::list::name;

/// Values of the past that a sparkline can show.
const REMEMBERED: usize = 240;

/// What came before: when, and what was said.
type Before<'a> = Option<(Time, &'a Samples)>;

/// The machine.
#[derive(Debug, Clone, Default)]
pub struct Devices {
    /// The part of the processors' time that was worked in, 0 to 1.
    pub processor: Option<f64>,
    /// The same of the past, in percent, the oldest first.
    pub processor_past: VecDeque<u64>,
    /// Tokens a second of all runs at work, of the past, the oldest first.
    pub tokens_past: VecDeque<u64>,
    /// Tasks that ran or waited to run.
    pub load: Option<f64>,
    /// Bytes of memory that are taken, and all.
    pub memory: Option<(f64, f64)>,
    /// A folder, and the bytes of its disk that are free and all.
    pub disks: Vec<(String, f64, f64)>,
    /// A device, its slots that are taken and all, and the runs at work on it.
    pub slots: Vec<Slots>,
    /// The GPUs.
    pub gpus: Vec<Gpu>,
}

/// The slots of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Slots {
    /// The device.
    pub device: String,
    /// Slots that are taken.
    pub busy: f64,
    /// All its slots.
    pub all: f64,
    /// The runs at work on it: id and name.
    pub runs: Vec<(RunId, String)>,
}

/// A GPU.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Gpu {
    /// Its number.
    pub number: String,
    /// What it is called.
    pub name: String,
    /// The part of the time in which something ran on it, 0 to 1.
    pub utilization: Option<f64>,
    /// Bytes of memory that are taken, and all.
    pub memory: Option<(f64, f64)>,
    /// Watts drawn, and allowed.
    pub power: Option<(f64, Option<f64>)>,
    /// Degrees Celsius.
    pub temperature: Option<f64>,
    /// The runs at work on it: id and name.
    pub runs: Vec<(RunId, String)>,
}

impl Devices {
    /// Takes the next answer.
    pub fn take(&mut self, before: Before<'_>, picture: &Picture) {
        let samples = &picture.samples;
        if let Some((_, before)) = before
            && let Some(worked) = worked(before, samples)
        {
            self.processor = Some(worked);
            remember(&mut self.processor_past, worked * 100.0);
        }
        remember(&mut self.tokens_past, tokens_per_second(picture));
        self.load = samples.value("begat_host_load1");
        self.memory = memory(samples);
        self.disks = disks(samples);
        self.slots = slots(picture);
        self.gpus = gpus(picture);
    }
}

fn remember(past: &mut VecDeque<u64>, value: f64) {
    past.push_back(value.round().max(0.0) as u64);
    if past.len() > REMEMBERED {
        past.pop_front();
    }
}

fn tokens_per_second(picture: &Picture) -> f64 {
    let working = picture
        .runs
        .iter()
        .filter(|run| run.state == RunState::Running);
    let speeds = working.filter_map(|run| run.metrics.get("tokens_per_second"));
    speeds
        .map(|speed| speed.0)
        .filter(|speed| speed.is_finite())
        .sum()
}

/// The part of the time between two answers in which processors worked.
fn worked(before: &Samples, now: &Samples) -> Option<f64> {
    const NAME: &str = "begat_host_cpu_seconds_total";
    let passed = |mode: &str| Some(now.of(NAME, "mode", mode)? - before.of(NAME, "mode", mode)?);
    let modes = now
        .series(NAME)
        .iter()
        .filter_map(|(labels, _)| label(labels, "mode"));
    let all: f64 = modes.filter_map(passed).sum();
    let idle: f64 = ["idle", "iowait"].into_iter().filter_map(passed).sum();
    (all > 0.0).then(|| (1.0 - idle / all).clamp(0.0, 1.0))
}

fn memory(samples: &Samples) -> Option<(f64, f64)> {
    let all = samples.value("begat_host_memory_total_bytes")?;
    let free = samples.value("begat_host_memory_available_bytes")?;
    Some((all - free, all))
}

fn disks(samples: &Samples) -> Vec<(String, f64, f64)> {
    let free = samples.series("begat_filesystem_free_bytes").iter();
    let disks = free.filter_map(|(labels, free)| {
        let folder = label(labels, "folder")?;
        let size = samples.of("begat_filesystem_size_bytes", "folder", folder)?;
        Some((clean(folder), *free, size))
    });
    disks.collect()
}

fn slots(picture: &Picture) -> Vec<Slots> {
    let slots = picture.samples.series("begat_device_slots").iter();
    let slots = slots.filter_map(|(labels, all)| {
        let device = label(labels, "device")?;
        let busy = picture
            .samples
            .of("begat_device_slots_busy", "device", device);
        Some(Slots {
            device: clean(device),
            busy: busy.unwrap_or(0.0),
            all: *all,
            runs: runs_on(picture, |used| used == device),
        })
    });
    slots.collect()
}

/// The runs at work on a device.
fn runs_on(picture: &Picture, is_it: impl Fn(&str) -> bool) -> Vec<(RunId, String)> {
    let runs = picture.runs.iter().filter(|run| {
        let device = picture.devices.get(&run.run);
        device.is_some_and(|device| is_it(device.as_str()))
    });
    runs.map(|run| (run.run, name(run))).collect()
}

fn gpus(picture: &Picture) -> Vec<Gpu> {
    let gpus = picture.samples.series("begat_gpu_info").iter();
    let gpus = gpus.filter_map(|(labels, _)| {
        let number = label(labels, "gpu")?;
        let of = |name: &str| picture.samples.of(name, "gpu", number);
        let own = format!("cuda:{number}");
        // A device without a number is the first.
        let is_it = |used: &str| used == own || (used == "cuda" && number == "0");
        Some(Gpu {
            number: clean(number),
            name: clean(label(labels, "name").unwrap_or_default()),
            utilization: of("begat_gpu_utilization_ratio"),
            memory: of("begat_gpu_memory_used_bytes").zip(of("begat_gpu_memory_total_bytes")),
            power: of("begat_gpu_power_watts")
                .map(|watts| (watts, of("begat_gpu_power_limit_watts"))),
            temperature: of("begat_gpu_temperature_celsius"),
            runs: runs_on(picture, is_it),
        })
    });
    gpus.collect()
}

/// The store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Store {
    /// Bytes of all blobs.
    pub logical: Option<f64>,
    /// Bytes of distinct chunks.
    pub unique: Option<f64>,
    /// Bytes on disk.
    pub stored: Option<f64>,
    /// How many times smaller for keeping each chunk once.
    pub deduplication: Option<f64>,
    /// How many times smaller for compressing.
    pub compression: Option<f64>,
    /// Blobs, chunks and packs.
    pub objects: [Option<f64>; 3],
    /// Bytes free on the data folder's disk, and all.
    pub free: Option<(f64, f64)>,
    /// What the last check found wrong, and the seconds since it.
    pub faults: Option<(f64, Option<f64>)>,
    /// Whether nothing more is written.
    pub read_only: bool,
    /// Bytes put in a second, and all since the daemon's start.
    pub ingest: Traffic,
    /// Bytes read a second, and all since the daemon's start.
    pub restore: Traffic,
}

/// Bytes that went in or out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Traffic {
    /// In a second, between the last two answers.
    pub rate: Option<f64>,
    /// Since the daemon's start.
    pub all: Option<f64>,
}

impl Store {
    /// Takes the next answer.
    pub fn take(&mut self, before: Before<'_>, now: Time, samples: &Samples) {
        let own = |name: &str| samples.value(&format!("begat_store_{name}"));
        let seconds = now.as_milliseconds() as f64 / 1000.0;
        let checked = own("fsck_last_run_timestamp_seconds");
        let disks = disks(samples);
        let disk = disks.iter().find(|(folder, ..)| folder == "data");
        *self = Self {
            logical: own("logical_bytes"),
            unique: own("unique_bytes"),
            stored: own("stored_bytes"),
            deduplication: own("deduplication_ratio"),
            compression: own("compression_ratio"),
            objects: ["blobs", "chunks", "packs"].map(own),
            free: disk.or(disks.first()).map(|(_, free, size)| (*free, *size)),
            faults: own("fsck_errors").map(|faults| (faults, checked.map(|time| seconds - time))),
            read_only: own("read_only") == Some(1.0),
            ingest: traffic(before, now, samples, "begat_store_ingested_bytes_total"),
            restore: traffic(before, now, samples, "begat_store_restored_bytes_total"),
        };
    }
}

fn traffic(before: Before<'_>, now: Time, samples: &Samples, name: &str) -> Traffic {
    let all = samples.value(name);
    let rate = || {
        let (time, before) = before?;
        let seconds = now.seconds_since(time);
        // A counter that has fallen began anew with its daemon.
        let grown = Some(all? - before.value(name)?).filter(|grown| *grown >= 0.0)?;
        (seconds > 0.0).then(|| grown / seconds)
    };
    Traffic { rate: rate(), all }
}
