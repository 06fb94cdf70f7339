//! The series of runs. All of them are made and let go here, so that forgetting a run is one call and none stays behind.
//!
//! They are set from what the engine knows when someone asks, not pushed: a stage that writes a thousand lines a second
//! costs nothing here, and after a restart the figures are there at once.
//!
//! A series carries the run and the stage; what else there is to know stands once, on `begat_run_info`, and is joined:
//! `begat_stage_loss * on(run) group_left(kind) begat_run_info`.

use std::collections::{BTreeMap, BTreeSet};

use begat_schemas::{AttemptId, LaunchId, Metric, RecipeName, RunId, StageKind, StageName, Time};
use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGaugeVec, Registry};

use super::names;

/// Most metrics of one run that have no gauge of their own. A program of any kind may write what it likes into its
/// journal; Prometheus pays for every name.
const OTHER_METRICS_MAX: usize = 64;

const RUN_LABELS: [&str; 2] = ["run", "stage"];

/// Metrics with a gauge of their own: the name in a journal, the gauge's, and its help.
const KNOWN: [(&str, &str, &str); 9] = [
    (
        "loss",
        "begat_stage_loss",
        "Training loss of the last step.",
    ),
    (
        "eval_loss",
        "begat_stage_eval_loss",
        "Loss on held-out data when it was last measured.",
    ),
    (
        "learning_rate",
        "begat_stage_learning_rate",
        "Learning rate of the last step.",
    ),
    (
        "grad_norm",
        "begat_stage_grad_norm",
        "Norm of the gradient before clipping, of the last step.",
    ),
    (
        "perplexity",
        "begat_stage_perplexity",
        "Exponential of the training loss of the last step.",
    ),
    (
        "mean_token_accuracy",
        "begat_stage_mean_token_accuracy_ratio",
        "Tokens that the model found likeliest among those to be learned.",
    ),
    (
        "entropy",
        "begat_stage_entropy_nats",
        "Mean entropy of the model's predictions.",
    ),
    (
        "tokens_per_second",
        "begat_stage_tokens_per_second",
        "Tokens trained on per second, of the last interval.",
    ),
    (
        "mfu",
        "begat_stage_model_flops_utilization_ratio",
        "Arithmetic of the model per second as a share of what the device can do.",
    ),
];

/// What there is to show of a run: an attempt that is alive or ended lately.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFigures {
    /// The attempt.
    pub attempt: AttemptId,
    /// The stage's name in the recipe that started it.
    pub stage: StageName,
    /// Its kind.
    pub kind: StageKind,
    /// The launches that use the run.
    pub launches: Vec<(LaunchId, RecipeName)>,
    /// Steps done and planned.
    pub progress: Option<(u64, u64)>,
    /// Tokens consumed.
    pub tokens: u64,
    /// Samples consumed.
    pub samples: u64,
    /// Lines in the attempt's journal.
    pub events: u64,
    /// When the last of them was written.
    pub last_event: Option<Time>,
    /// The last value of each metric.
    pub metrics: BTreeMap<String, Metric>,
}

pub(super) struct RunSeries {
    info: IntGaugeVec,
    launches: IntGaugeVec,
    step: IntGaugeVec,
    steps_planned: IntGaugeVec,
    tokens: IntCounterVec,
    samples: IntCounterVec,
    last_event: GaugeVec,
    known: BTreeMap<&'static str, GaugeVec>,
    other: GaugeVec,
    journal: IntCounter,
    runs: BTreeMap<RunId, Shown>,
}

/// What is shown of a run, so that all of it can be taken away again.
struct Shown {
    attempt: AttemptId,
    labels: [String; 2],
    info: [String; 3],
    launches: BTreeSet<[String; 3]>,
    other: BTreeSet<String>,
    tokens: u64,
    samples: u64,
    events: u64,
}

impl RunSeries {
    pub(super) fn new(registry: &Registry) -> Self {
        let int_gauges = |name, help| names::int_gauges(registry, name, help, &RUN_LABELS);
        let counters = |name, help| names::counters(registry, name, help, &RUN_LABELS);
        Self {
            info: names::int_gauges(
                registry,
                "begat_run_info",
                "A run and what it is, one series a run; always 1.",
                &["run", "stage", "kind"],
            ),
            launches: names::int_gauges(
                registry,
                "begat_launch_run_info",
                "Which launch of which recipe uses a run; always 1.",
                &["launch", "recipe", "run"],
            ),
            step: int_gauges("begat_stage_step", "Steps done."),
            steps_planned: int_gauges("begat_stage_steps_planned", "Steps planned."),
            tokens: counters(
                "begat_stage_tokens_total",
                "Tokens consumed; those of steps done again after a crash count once.",
            ),
            samples: counters(
                "begat_stage_samples_total",
                "Samples consumed; those of steps done again after a crash count once.",
            ),
            last_event: names::gauges(
                registry,
                "begat_stage_last_event_timestamp_seconds",
                "When the stage last wrote into its journal.",
                &RUN_LABELS,
            ),
            known: known_gauges(registry),
            other: names::gauges(
                registry,
                "begat_stage_metric",
                "Last value of a metric of the journal that has no series of its own.",
                &["run", "stage", "metric"],
            ),
            journal: names::counter(
                registry,
                "begat_journal_events_total",
                "Lines that stages wrote into their journals.",
            ),
            runs: BTreeMap::new(),
        }
    }

    /// Shows these runs, and takes away every series of any other.
    pub(super) fn show(&mut self, figures: &[RunFigures]) {
        let newest = newest_attempts(figures);
        let gone: Vec<RunId> = self
            .runs
            .iter()
            .filter(|(run, shown)| {
                newest
                    .get(run)
                    .is_none_or(|figures| figures.attempt != shown.attempt)
            })
            .map(|(run, _)| *run)
            .collect();
        for run in gone {
            self.forget(run);
        }
        for figures in newest.into_values() {
            self.set(figures);
        }
    }

    fn set(&mut self, figures: &RunFigures) {
        let run = figures.attempt.run;
        let mut shown = self
            .runs
            .remove(&run)
            .unwrap_or_else(|| Shown::new(figures));
        self.info.with_label_values(&shown.info).set(1);
        self.set_launches(&mut shown, figures);
        self.set_progress(&mut shown, figures);
        for (metric, value) in &figures.metrics {
            self.set_metric(&mut shown, metric, value.0);
        }
        self.runs.insert(run, shown);
    }

    fn set_launches(&self, shown: &mut Shown, figures: &RunFigures) {
        let run = figures.attempt.run.short();
        for (launch, recipe) in &figures.launches {
            let labels = [launch.to_string(), recipe.to_string(), run.clone()];
            self.launches.with_label_values(&labels).set(1);
            shown.launches.insert(labels);
        }
    }

    fn set_progress(&self, shown: &mut Shown, figures: &RunFigures) {
        let labels = &shown.labels;
        if let Some((step, planned)) = figures.progress {
            set(&self.step, labels, step);
            set(&self.steps_planned, labels, planned);
        }
        if let Some(time) = figures.last_event {
            self.last_event
                .with_label_values(labels)
                .set(time.as_milliseconds() as f64 / 1000.0);
        }
        self.tokens
            .with_label_values(labels)
            .inc_by(advance(&mut shown.tokens, figures.tokens));
        self.samples
            .with_label_values(labels)
            .inc_by(advance(&mut shown.samples, figures.samples));
        self.journal
            .inc_by(advance(&mut shown.events, figures.events));
    }

    fn set_metric(&self, shown: &mut Shown, metric: &str, value: f64) {
        if let Some(gauge) = self.known.get(metric) {
            gauge.with_label_values(&shown.labels).set(value);
            return;
        }
        if shown.other.len() < OTHER_METRICS_MAX || shown.other.contains(metric) {
            let [run, stage] = &shown.labels;
            self.other
                .with_label_values(&[run.as_str(), stage, metric])
                .set(value);
            shown.other.insert(metric.to_owned());
        }
    }

    /// Takes every series of `run` away. One that it never had is not there to be removed, which is no fault.
    fn forget(&mut self, run: RunId) {
        let Some(shown) = self.runs.remove(&run) else {
            return;
        };
        let _ = self.info.remove_label_values(&shown.info);
        for labels in &shown.launches {
            let _ = self.launches.remove_label_values(labels);
        }
        for gauge in [&self.step, &self.steps_planned] {
            let _ = gauge.remove_label_values(&shown.labels);
        }
        for counter in [&self.tokens, &self.samples] {
            let _ = counter.remove_label_values(&shown.labels);
        }
        for gauge in self.known.values().chain([&self.last_event]) {
            let _ = gauge.remove_label_values(&shown.labels);
        }
        let [run, stage] = &shown.labels;
        for metric in &shown.other {
            let _ = self
                .other
                .remove_label_values(&[run.as_str(), stage, metric]);
        }
    }
}

impl Shown {
    fn new(figures: &RunFigures) -> Self {
        let (run, stage) = (figures.attempt.run.short(), figures.stage.to_string());
        Self {
            attempt: figures.attempt,
            labels: [run.clone(), stage.clone()],
            info: [run, stage, figures.kind.name().to_owned()],
            launches: BTreeSet::new(),
            other: BTreeSet::new(),
            tokens: 0,
            samples: 0,
            events: 0,
        }
    }
}

fn known_gauges(registry: &Registry) -> BTreeMap<&'static str, GaugeVec> {
    KNOWN
        .iter()
        .map(|(metric, name, help)| (*metric, names::gauges(registry, name, help, &RUN_LABELS)))
        .collect()
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

fn set(gauges: &IntGaugeVec, labels: &[String; 2], value: u64) {
    gauges
        .with_label_values(labels)
        .set(i64::try_from(value).unwrap_or(i64::MAX));
}

/// By how much a counter rises to `now`. After a resume a stage counts again from its checkpoint: the counter waits there.
fn advance(before: &mut u64, now: u64) -> u64 {
    let rise = now.saturating_sub(*before);
    *before += rise;
    rise
}
