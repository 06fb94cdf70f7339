//! What an attempt uses of its device, measured while it has a process.

use std::time::{Duration, Instant};

use begat_schemas::Exit;

/// Time and energy since they were last counted, and energy in all.
#[derive(Debug, Default)]
pub struct Meter {
    /// Since when, and where the GPU's own meter stood then.
    since: Option<(Instant, Option<f64>)>,
    joules: Option<f64>,
    /// Of its processes that have ended.
    cpu_seconds: f64,
    peak_memory_bytes: Option<u64>,
}

impl Meter {
    /// The attempt has its device; `energy` is where the GPU's meter stands, in joules.
    pub fn start(&mut self, energy: Option<f64>) {
        self.since = Some((Instant::now(), energy));
    }

    /// The time since the start, or since this was last asked; none while the attempt has no device.
    pub fn count(&mut self, energy: Option<f64>) -> Duration {
        let Some((since, before)) = self.since else {
            return Duration::ZERO;
        };
        let now = Instant::now();
        if let (Some(before), Some(energy)) = (before, energy) {
            // A driver that was loaded anew counts from zero.
            *self.joules.get_or_insert(0.0) += (energy - before).max(0.0);
        }
        self.since = Some((now, energy.or(before)));
        now.duration_since(since)
    }

    /// The attempt has its device no more. As [`Self::count`].
    pub fn stop(&mut self, energy: Option<f64>) -> Duration {
        let counted = self.count(energy);
        self.since = None;
        counted
    }

    /// One of its processes ended so.
    pub fn add_exit(&mut self, exit: &Exit) {
        self.cpu_seconds += exit.cpu_milliseconds as f64 / 1000.0;
        self.peak_memory_bytes = self.peak_memory_bytes.max(Some(exit.peak_memory_bytes));
    }

    /// Processor time of its processes that have ended, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        self.cpu_seconds
    }

    /// The most memory that one of these had, in bytes.
    pub fn peak_memory_bytes(&self) -> Option<u64> {
        self.peak_memory_bytes
    }

    /// The joules that the GPU used while the attempt had it, as far as they were counted.
    pub fn joules(&self) -> Option<f64> {
        self.joules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_counts_only_while_the_attempt_has_the_gpu() {
        let mut meter = Meter::default();
        assert_eq!(meter.count(Some(50.0)), Duration::ZERO);
        meter.start(Some(100.0));
        meter.count(Some(130.0));
        meter.stop(Some(150.0));
        meter.count(Some(900.0));
        meter.start(Some(1000.0));
        // The reading failed once; what it missed is in the next.
        meter.count(None);
        meter.stop(Some(1010.0));
        assert_eq!(meter.joules(), Some(60.0));
    }

    #[test]
    fn time_counts_once() {
        let mut meter = Meter::default();
        let began = Instant::now();
        meter.start(None);
        std::thread::sleep(Duration::from_millis(5));
        let first = meter.count(None);
        let counted = first + meter.stop(None);
        assert!(first >= Duration::from_millis(5) && counted <= began.elapsed());
        assert_eq!(meter.stop(None), Duration::ZERO);
        assert_eq!(meter.joules(), None);
    }
}
