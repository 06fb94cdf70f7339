//! NVML, loaded when the daemon starts. Where it is not, there are no GPUs to read and nothing else changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};
use parking_lot::Mutex;

use super::GpuReading;

/// How long the thread that hears of XID errors waits at a time, in milliseconds: so long does it outlive its owner.
const XID_WAIT_MILLISECONDS: u32 = 1000;

/// Reasons to throttle that mean trouble; an idle GPU and a clock that someone set are left out.
const REASONS: [(&str, ThrottleReasons); 6] = [
    ("power_cap", ThrottleReasons::SW_POWER_CAP),
    ("thermal", ThrottleReasons::SW_THERMAL_SLOWDOWN),
    ("thermal", ThrottleReasons::HW_THERMAL_SLOWDOWN),
    ("hardware_slowdown", ThrottleReasons::HW_SLOWDOWN),
    ("power_brake", ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN),
    ("sync_boost", ThrottleReasons::SYNC_BOOST),
];

/// XID errors by GPU and number.
type Xids = Arc<Mutex<BTreeMap<(u32, u64), u64>>>;

/// The machine's GPUs, as far as NVML shows any.
#[derive(Debug, Default)]
pub struct Gpus(Option<Opened>);

#[derive(Debug)]
struct Opened {
    nvml: Arc<Nvml>,
    driver: String,
    xids: Xids,
    over: Arc<AtomicBool>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Gpus {
    /// Loads NVML, and logs a line if that cannot be done.
    pub fn open() -> Self {
        match Nvml::init() {
            Ok(nvml) => Self(Some(Opened::new(Arc::new(nvml)))),
            Err(error) => {
                tracing::info!("no GPU metrics: {error}");
                Self::default()
            }
        }
    }

    /// What every GPU says now. NVML's calls block.
    pub fn read(&self) -> Vec<GpuReading> {
        let Some(opened) = &self.0 else {
            return Vec::new();
        };
        let count = opened.nvml.device_count().unwrap_or(0);
        (0..count).filter_map(|gpu| opened.read(gpu)).collect()
    }

    /// The joules that a GPU has used since its driver was loaded.
    pub fn energy_joules(&self, gpu: u32) -> Option<f64> {
        let opened = self.0.as_ref()?;
        energy(&opened.nvml.device_by_index(gpu).ok()?)
    }
}

impl Opened {
    fn new(nvml: Arc<Nvml>) -> Self {
        let opened = Self {
            driver: nvml.sys_driver_version().unwrap_or_default(),
            xids: Xids::default(),
            over: Arc::default(),
            nvml,
        };
        let (nvml, xids) = (Arc::clone(&opened.nvml), Arc::clone(&opened.xids));
        let over = Arc::clone(&opened.over);
        let heard = std::thread::Builder::new()
            .name("xid".to_owned())
            .spawn(move || {
                if let Err(error) = hear_xids(&nvml, &xids, &over) {
                    tracing::info!("XID errors of GPUs are not counted: {error}");
                }
            });
        if let Err(error) = heard {
            tracing::info!("XID errors of GPUs are not counted: {error}");
        }
        opened
    }

    fn read(&self, gpu: u32) -> Option<GpuReading> {
        let device = self.nvml.device_by_index(gpu).ok()?;
        let memory = device.memory_info().ok();
        let milliwatts = |value: Result<u32, NvmlError>| Some(f64::from(value.ok()?) / 1000.0);
        let busy = device.utilization_rates().ok();
        let xids = self.xids.lock();
        let own = xids.iter().filter(|((of, _), _)| *of == gpu);
        Some(GpuReading {
            gpu,
            uuid: device.uuid().unwrap_or_default(),
            name: device.name().unwrap_or_default(),
            driver: self.driver.clone(),
            utilization: busy.map(|busy| f64::from(busy.gpu) / 100.0),
            memory: memory.map(|memory| (memory.used, memory.total)),
            power_watts: milliwatts(device.power_usage()),
            power_limit_watts: milliwatts(device.enforced_power_limit()),
            temperature: device
                .temperature(TemperatureSensor::Gpu)
                .ok()
                .map(f64::from),
            energy_joules: energy(&device),
            clocks: clocks(&device),
            ecc_errors: ecc_errors(&device),
            xid_errors: own.map(|((_, xid), count)| (*xid, *count)).collect(),
            throttled: throttled(&device),
        })
    }
}

/// NVML counts millijoules.
fn energy(device: &Device<'_>) -> Option<f64> {
    Some(device.total_energy_consumption().ok()? as f64 / 1000.0)
}

/// NVML counts megahertz.
fn clocks(device: &Device<'_>) -> Vec<(&'static str, f64)> {
    let rate = |clock| Some(f64::from(device.clock_info(clock).ok()?) * 1e6);
    [("sm", Clock::SM), ("memory", Clock::Memory)]
        .into_iter()
        .filter_map(|(name, clock)| Some((name, rate(clock)?)))
        .collect()
}

/// None where the memory has no error correction, or it is off.
fn ecc_errors(device: &Device<'_>) -> Vec<(&'static str, u64)> {
    let sorts = [
        ("corrected", MemoryError::Corrected),
        ("uncorrected", MemoryError::Uncorrected),
    ];
    let count = |sort| device.total_ecc_errors(sort, EccCounter::Volatile).ok();
    sorts
        .into_iter()
        .filter_map(|(name, sort)| Some((name, count(sort)?)))
        .collect()
}

fn throttled(device: &Device<'_>) -> Vec<(&'static str, bool)> {
    let Ok(found) = device.current_throttle_reasons() else {
        return Vec::new();
    };
    let mut reasons = BTreeMap::new();
    for (name, reason) in REASONS {
        *reasons.entry(name).or_insert(false) |= found.contains(reason);
    }
    reasons.into_iter().collect()
}

/// Counts XID errors until `over`. NVML remembers the last one only, so they are taken as they come.
fn hear_xids(nvml: &Nvml, xids: &Xids, over: &AtomicBool) -> Result<(), NvmlError> {
    let mut events = nvml.create_event_set()?;
    for gpu in 0..nvml.device_count()? {
        let device = nvml.device_by_index(gpu)?;
        events = device
            .register_events(EventTypes::CRITICAL_XID_ERROR, events)
            .map_err(|error| error.error)?;
    }
    while !over.load(Ordering::Relaxed) {
        match events.wait(XID_WAIT_MILLISECONDS) {
            Ok(event) => {
                let xid = match event.event_data {
                    Some(XidError::Value(xid)) => xid,
                    Some(XidError::Unknown) | None => 0,
                };
                let gpu = event.device.index()?;
                *xids.lock().entry((gpu, xid)).or_default() += 1;
                tracing::warn!(gpu, xid, "the GPU's driver reports an XID error");
            }
            Err(NvmlError::Timeout) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
