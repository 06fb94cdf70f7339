//! The series of runs.
//!
//! They are written from what the engine knows when someone asks, not pushed: a stage that writes a thousand lines a second
//! costs nothing here, and after a restart the figures are there at once. All that is kept of a run between scrapes is one
//! entry of one map, so that forgetting it is one call.
//!
//! A series carries the run and the stage; what else there is to know stands once, on `begat_run_info`, and is joined:
//! `begat_stage_loss * on(run) group_left(kind) begat_run_info`.

use std::collections::{BTreeMap, BTreeSet};

use begat_schemas::{
    AttemptId, LaunchId, Metric, Purpose, RecipeName, RunId, RunState, StageKind, StageName, Time,
    phase_of,
};
use prometheus::{IntCounter, Registry};

use super::family::{Family, families};
use super::sheet::Sheet;
use super::{journal_metrics, names, seconds_of};

/// Most metrics of one run that have no gauge of their own. A program of any kind may write what it likes into its
/// journal; Prometheus pays for every name. An evaluation beside a reference, with a rule and a reward model, has 66.
const OTHER_METRICS_MAX: usize = 100;
/// The longest of their names, in bytes.
const OTHER_NAME_BYTES_MAX: usize = 100;

const RUN: [&str; 2] = ["run", "stage"];

families! {
    INFO = Gauge("begat_run_info", ["run", "stage", "kind", "purpose"], "1",
        "A run and what it is, one series a run; purpose is launch or reproduction; always 1.");
    LAUNCH = Gauge("begat_launch_run_info", ["launch", "recipe", "run"], "1",
        "Which launch of which recipe uses a run; always 1.");
    STATE = Gauge("begat_run_state", ["run", "stage", "state"], "1",
        "How the run's newest attempt stands, only the current state; always 1.");
    STEP = Gauge("begat_stage_step", RUN, "steps", "Steps done.");
    PLANNED = Gauge("begat_stage_steps_planned", RUN, "steps", "Steps planned.");
    STEP_SECONDS = Gauge("begat_stage_step_seconds", RUN, "seconds", "Mean time of a step, of the last interval.");
    LAST_EVENT = Gauge("begat_stage_last_event_timestamp_seconds", RUN, "seconds since the epoch",
        "When the stage last wrote into its journal.");
    STARTED = Gauge("begat_stage_started_timestamp_seconds", RUN, "seconds since the epoch", "When the attempt first began.");
    TOKENS = Counter("begat_stage_tokens_total", RUN, "tokens",
        "Tokens consumed; those of steps done again after a crash count once.");
    SAMPLES = Counter("begat_stage_samples_total", RUN, "samples",
        "Samples consumed; those of steps done again after a crash count once.");
    PHASES = Counter("begat_stage_phase_seconds_total", ["run", "stage", "phase"], "seconds",
        "Where the stage's time went: data, forward_backward, optimizer, rollout, scoring, checkpoint.");
    CPU = Counter("begat_stage_cpu_seconds_total", RUN, "seconds", "Processor time of the stage's processes.");
    MEMORY = Gauge("begat_stage_memory_bytes", RUN, "bytes",
        "Resident memory of the stage's processes added up; of a run that has ended, the peak of its largest process.");
    ENERGY = Counter("begat_stage_energy_joules_total", RUN, "joules",
        "Energy that the GPU used while the stage had it; none on the processor.");
    LAG = Gauge("begat_stage_journal_lag_bytes", RUN, "bytes", "Bytes of the journal that the daemon has not read yet.");
    OTHER = Gauge("begat_stage_metric", ["run", "stage", "metric"], "as the stage says",
        "Last value of a metric of the journal that has no series of its own; at most 100 a run.");
    DROPPED = Counter("begat_stage_metrics_dropped_total", [], "metrics",
        "Metrics of journals that are not shown because their run has 100 others already, or their name is longer than 100 bytes.");
}

/// What there is to show of a run: an attempt that is alive or ended lately, one that waits, or a result that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFigures {
    /// The attempt.
    pub attempt: AttemptId,
    /// What it is for.
    pub purpose: Purpose,
    /// The stage's name in the recipe that started it.
    pub stage: StageName,
    /// Its kind.
    pub kind: StageKind,
    /// The launches that use the run.
    pub launches: BTreeSet<(LaunchId, RecipeName)>,
    /// How it stands.
    pub state: RunState,
    /// When it first began.
    pub started: Option<Time>,
    /// Steps done and planned.
    pub progress: Option<(u64, u64)>,
    /// Mean seconds of a step, of the last interval.
    pub step_seconds: Option<f64>,
    /// Tokens and samples consumed, once it has begun.
    pub consumed: Option<(u64, u64)>,
    /// Seconds by phase.
    pub phase_seconds: BTreeMap<&'static str, f64>,
    /// When its journal was last written to.
    pub last_event: Option<Time>,
    /// Processor time of its processes, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Memory of its processes, in bytes.
    pub memory_bytes: Option<u64>,
    /// Energy of its GPU while it had it, in joules.
    pub energy_joules: Option<f64>,
    /// Bytes of its journal that have not been read.
    pub journal_lag_bytes: Option<u64>,
    /// The last value of each metric.
    pub metrics: BTreeMap<String, Metric>,
}

/// Writes runs onto a sheet.
#[derive(Debug)]
pub(super) struct RunSeries {
    gauges: Vec<(&'static Family, Vec<&'static str>)>,
    with_gauge: BTreeSet<&'static str>,
    dropped: IntCounter,
    runs: BTreeMap<RunId, Remembered>,
}

/// What is kept of a run from one scrape to the next.
#[derive(Debug)]
struct Remembered {
    attempt: AttemptId,
    /// How high its counters stand. After a resume a stage counts again from its checkpoint: the counters wait there.
    counters: BTreeMap<&'static str, f64>,
    /// Its metrics without a gauge that are shown; the first ones stay.
    other: BTreeSet<String>,
    dropped: u64,
}

impl RunSeries {
    pub(super) fn new(registry: &Registry) -> Self {
        let gauges = journal_metrics::gauges();
        Self {
            with_gauge: gauges
                .iter()
                .flat_map(|(_, names)| names)
                .copied()
                .collect(),
            gauges,
            dropped: names::counter(registry, &DROPPED),
            runs: BTreeMap::new(),
        }
    }

    /// Writes these runs, and forgets every other.
    pub(super) fn write(&mut self, sheet: &mut Sheet, figures: &[RunFigures]) {
        let newest = newest_attempts(figures);
        let runs = &mut self.runs;
        runs.retain(|run, kept| newest.get(run).is_some_and(|of| of.attempt == kept.attempt));
        for (run, figures) in newest {
            let mut kept = self
                .runs
                .remove(&run)
                .unwrap_or_else(|| Remembered::new(figures));
            self.write_run(sheet, figures, &mut kept);
            self.runs.insert(run, kept);
        }
    }

    fn write_run(&self, sheet: &mut Sheet, figures: &RunFigures, kept: &mut Remembered) {
        let run = figures.attempt.run.short();
        let own = [run.as_str(), figures.stage.as_str()];
        write_identity(sheet, figures, own);
        write_gauges(sheet, figures, own);
        write_counters(sheet, figures, own, kept);
        for (family, names) in &self.gauges {
            let value = names.iter().find_map(|name| figures.metrics.get(*name));
            sheet.put_some(family, &own, value.map(|value| value.0));
        }
        self.write_other(sheet, figures, own, kept);
    }

    fn write_other(
        &self,
        sheet: &mut Sheet,
        figures: &RunFigures,
        own: [&str; 2],
        kept: &mut Remembered,
    ) {
        let mut left_out = 0;
        let own_gauge = |name: &str| self.with_gauge.contains(name) || phase_of(name).is_some();
        for (name, value) in figures.metrics.iter().filter(|(name, _)| !own_gauge(name)) {
            let fits = kept.other.len() < OTHER_METRICS_MAX && name.len() <= OTHER_NAME_BYTES_MAX;
            if fits || kept.other.contains(name) {
                sheet.put(&OTHER, &[own[0], own[1], name], value.0);
                kept.other.insert(name.clone());
            } else {
                left_out += 1;
            }
        }
        self.dropped
            .inc_by(left_out.max(kept.dropped) - kept.dropped);
        kept.dropped = left_out.max(kept.dropped);
    }
}

impl Remembered {
    fn new(figures: &RunFigures) -> Self {
        Self {
            attempt: figures.attempt,
            counters: BTreeMap::new(),
            other: BTreeSet::new(),
            dropped: 0,
        }
    }

    fn risen(&mut self, counter: &'static str, now: f64) -> f64 {
        let stands = self.counters.entry(counter).or_default();
        *stands = stands.max(now);
        *stands
    }
}

fn write_identity(sheet: &mut Sheet, figures: &RunFigures, [run, stage]: [&str; 2]) {
    let purpose = purpose_name(figures.purpose);
    sheet.put(&INFO, &[run, stage, figures.kind.name(), purpose], 1.0);
    sheet.put(&STATE, &[run, stage, figures.state.name()], 1.0);
    for (launch, recipe) in &figures.launches {
        sheet.put(&LAUNCH, &[&launch.to_string(), recipe.as_str(), run], 1.0);
    }
}

fn write_gauges(sheet: &mut Sheet, figures: &RunFigures, own: [&str; 2]) {
    let count = |value: Option<u64>| value.map(|value| value as f64);
    for (family, value) in [
        (&STEP, count(figures.progress.map(|(step, _)| step))),
        (
            &PLANNED,
            count(figures.progress.map(|(_, planned)| planned)),
        ),
        (&STEP_SECONDS, figures.step_seconds),
        (&LAST_EVENT, figures.last_event.map(seconds_of)),
        (&STARTED, figures.started.map(seconds_of)),
        (&MEMORY, count(figures.memory_bytes)),
        (&LAG, count(figures.journal_lag_bytes)),
    ] {
        sheet.put_some(family, &own, value);
    }
}

fn write_counters(sheet: &mut Sheet, figures: &RunFigures, own: [&str; 2], kept: &mut Remembered) {
    let consumed = figures.consumed;
    for (family, value) in [
        (&TOKENS, consumed.map(|(tokens, _)| tokens as f64)),
        (&SAMPLES, consumed.map(|(_, samples)| samples as f64)),
        (&CPU, figures.cpu_seconds),
        (&ENERGY, figures.energy_joules),
    ] {
        sheet.put_some(
            family,
            &own,
            value.map(|value| kept.risen(family.name, value)),
        );
    }
    for (phase, seconds) in &figures.phase_seconds {
        let seconds = kept.risen(phase, *seconds);
        sheet.put(&PHASES, &[own[0], own[1], phase], seconds);
    }
}

/// Per run the attempt to show. A reproduction of a run that ended a moment ago takes its place.
fn newest_attempts(figures: &[RunFigures]) -> BTreeMap<RunId, &RunFigures> {
    let mut newest: BTreeMap<RunId, &RunFigures> = BTreeMap::new();
    for figures in figures {
        let place = newest.entry(figures.attempt.run).or_insert(figures);
        if place.attempt.number < figures.attempt.number {
            *place = figures;
        }
    }
    newest
}

/// The word for why an attempt was made.
pub(crate) const fn purpose_name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Launch => "launch",
        Purpose::Reproduce => "reproduction",
    }
}
