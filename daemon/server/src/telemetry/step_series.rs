//! How long steps take, by the stage's name alone: two runs of a recipe's stage are one distribution. Which run and step a slow
//! one was, its bucket's exemplar says.

use std::collections::BTreeMap;

use begat_ledger::journal::Lap;
use begat_schemas::{RunId, StageName, Time};
use parking_lot::Mutex;

use super::exemplar::{Examples, Exemplar};
use super::family::families;
use super::openmetrics::Exemplars;
use super::sheet::Sheet;

/// From a step of a tiny model to a rollout of a large one, in seconds.
const STEP_BUCKETS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];
/// Names of stages come from recipes; a program that makes up names must not fill the daemon's memory.
const STAGES_MAX: usize = 200;

families! {
    DURATION = Histogram("begat_stage_step_duration_seconds", ["stage"], "seconds",
        "Time from the end of a step to the end of the next, of all runs of stages of this name; the exemplar of a bucket is the \
         last run and step in it. Steps that are read at once, as on a GPU, count with their mean.");
}

/// Counts steps by how long they took.
#[derive(Debug, Default)]
pub struct StepSeries(Mutex<BTreeMap<StageName, Examples>>);

impl StepSeries {
    /// Steps of `run` are over, the last of them at `time`.
    pub fn done(&self, stage: &StageName, run: RunId, lap: &Lap, time: Time) {
        let labels = vec![("run", run.short()), ("step", lap.step.to_string())];
        let exemplar = Exemplar::new(labels, lap.seconds_per_step, time);
        let mut stages = self.0.lock();
        if stages.len() >= STAGES_MAX && !stages.contains_key(stage) {
            return;
        }
        stages
            .entry(stage.clone())
            .or_insert_with(|| Examples::new(&STEP_BUCKETS))
            .observe(lap.seconds_per_step, lap.steps, exemplar);
    }

    pub(super) fn write(&self, sheet: &mut Sheet) -> Exemplars {
        let stages = self.0.lock().clone();
        let mut exemplars = Exemplars::default();
        for (stage, examples) in &stages {
            sheet.put_histogram(&DURATION, &[stage.as_str()], examples.histogram());
            exemplars.add(DURATION.name, &[stage.as_str()], examples.exemplars());
        }
        exemplars
    }
}
