//! Where a stage's seconds went. They are another each time, so they are for the journal alone: nothing hangs on them.
//!
//! On a GPU work is handed over and done later; the wait for it counts where it is waited for.

use std::collections::BTreeMap;
use std::time::Instant;

use begat_schemas::Metric;

/// Seconds by phase since they were last written down.
#[derive(Debug, Default)]
pub(crate) struct Phases(BTreeMap<&'static str, f64>);

impl Phases {
    /// What was done since `began` was of this phase, one of [`begat_schemas::PHASES`].
    pub(crate) fn add(&mut self, phase: &'static str, began: Instant) {
        *self.0.entry(phase).or_default() += began.elapsed().as_secs_f64();
    }

    /// The metrics `seconds/PHASE`; counting begins anew.
    pub(crate) fn take(&mut self) -> BTreeMap<String, Metric> {
        let spent = std::mem::take(&mut self.0).into_iter();
        spent
            .map(|(phase, seconds)| (format!("seconds/{phase}"), Metric(seconds)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_add_up_until_they_are_taken() {
        let (mut phases, began) = (Phases::default(), Instant::now());
        for phase in begat_schemas::PHASES {
            phases.add(phase, began);
            phases.add(phase, began);
        }
        let taken = phases.take();
        assert_eq!(taken.len(), begat_schemas::PHASES.len());
        assert!(taken.values().all(|seconds| seconds.0 > 0.0), "{taken:?}");
        assert_eq!(phases.take().len(), 0);
    }
}
