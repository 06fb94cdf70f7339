//! GPUs: what a reading of one holds, the series made of it, and NVML, which gives the readings.

mod nvml;
mod series;

use std::collections::BTreeMap;

pub use nvml::Gpus;
pub(super) use series::{FAMILIES, write};

/// What a GPU says of itself at one moment; what it does not say is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GpuReading {
    /// Its number among the machine's.
    pub gpu: u32,
    /// Its own id.
    pub uuid: String,
    /// Its model.
    pub name: String,
    /// The version of its driver.
    pub driver: String,
    /// Part of the last sample period in which some kernel ran, 0 to 1.
    pub utilization: Option<f64>,
    /// Bytes of memory: used, and all.
    pub memory: Option<(u64, u64)>,
    /// Watts that it draws.
    pub power_watts: Option<f64>,
    /// Watts that it may draw.
    pub power_limit_watts: Option<f64>,
    /// Degrees Celsius.
    pub temperature: Option<f64>,
    /// Joules since its driver was loaded.
    pub energy_joules: Option<f64>,
    /// Hertz by clock: `sm`, `memory`.
    pub clocks: Vec<(&'static str, f64)>,
    /// Errors of its memory since its driver was loaded: `corrected`, `uncorrected`.
    pub ecc_errors: Vec<(&'static str, u64)>,
    /// XID errors since the daemon started, by number.
    pub xid_errors: BTreeMap<u64, u64>,
    /// Whether each of these keeps its clocks down.
    pub throttled: Vec<(&'static str, bool)>,
}
