//! How fast runs go, from what was seen of them: a single interval of a stage says too little on a busy machine.

use std::collections::{BTreeMap, VecDeque};

use begat_schemas::RunId;
use begat_schemas::api::RunView;

use super::list::sort_key;

/// Seconds of a run's own time over which its speed is averaged, and the fewest that say something.
const WINDOW_SECONDS: f64 = 60.0;
const SECONDS_MIN: f64 = 5.0;

/// What was seen of the runs at work.
#[derive(Debug, Default)]
pub(super) struct Paces(BTreeMap<RunId, VecDeque<Point>>);

#[derive(Debug, Clone, Copy)]
struct Point {
    seconds: f64,
    step: u64,
}

impl Paces {
    /// Takes how the runs stand now; those that are not at work any more are forgotten.
    pub(super) fn take(&mut self, runs: &[RunView]) {
        let working = runs.iter().filter(|run| sort_key(run.state) == 0);
        let seen = working.filter_map(|run| {
            let (step, _) = run.progress?;
            let seconds = run.seconds?;
            let mut points = self.0.remove(&run.run).unwrap_or_default();
            let newest = Point { seconds, step };
            if points.back().is_some_and(|last| !last.comes_before(newest)) {
                // It went on from an earlier step.
                points.clear();
            }
            points.push_back(newest);
            while points.len() > 2 && seconds - points[1].seconds >= WINDOW_SECONDS {
                points.pop_front();
            }
            Some((run.run, points))
        });
        self.0 = seen.collect();
    }

    /// Seconds that a step takes, if enough was seen.
    pub(super) fn seconds_of_a_step(&self, run: RunId) -> Option<f64> {
        let points = self.0.get(&run)?;
        let (first, last) = (points.front()?, points.back()?);
        let seconds = last.seconds - first.seconds;
        let steps = last
            .step
            .checked_sub(first.step)
            .filter(|steps| *steps > 0)?;
        (seconds >= SECONDS_MIN).then(|| seconds / steps as f64)
    }
}

impl Point {
    fn comes_before(self, next: Self) -> bool {
        self.seconds <= next.seconds && self.step <= next.step
    }
}
