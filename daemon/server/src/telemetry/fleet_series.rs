//! How many runs there are in each state, what waits, and which slots are taken.

use std::collections::BTreeMap;

use begat_schemas::RunState;

use super::family::families;
use super::sheet::Sheet;

families! {
    RUNS = Gauge("begat_runs", ["state"], "runs", "Runs that the ledger knows, by state.");
    QUEUE = Gauge("begat_queue_length", [], "runs", "Pieces of work that wait for a device slot.");
    SLOTS = Gauge("begat_device_slots", ["device"], "slots", "Stages that may run on the device at once.");
    BUSY = Gauge("begat_device_slots_busy", ["device"], "slots", "Slots of the device that are taken.");
}

/// Runs, queue and slots at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FleetFigures {
    /// Number of runs by state.
    pub runs: BTreeMap<RunState, u64>,
    /// What waits for a slot.
    pub queue_length: u64,
    /// Devices with their slots, and how many of them are taken.
    pub slots: Vec<(String, u64, u64)>,
}

pub(super) fn write(sheet: &mut Sheet, figures: &FleetFigures) {
    for state in RunState::ALL {
        let count = figures.runs.get(&state).copied().unwrap_or(0);
        sheet.put(&RUNS, &[state.name()], count as f64);
    }
    sheet.put(&QUEUE, &[], figures.queue_length as f64);
    for (device, slots, busy) in &figures.slots {
        sheet.put(&SLOTS, &[device], *slots as f64);
        sheet.put(&BUSY, &[device], *busy as f64);
    }
}
