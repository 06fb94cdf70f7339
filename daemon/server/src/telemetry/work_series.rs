//! What happens to attempts, counted as it happens, by the kind of stage.

use std::time::Duration;

use begat_schemas::StageKind;
use begat_schemas::api::ReproduceState;
use prometheus::{CounterVec, HistogramVec, IntCounter, IntCounterVec, Registry};

use super::family::families;
use super::names;

/// From at once to overnight, in seconds.
const WAIT_BUCKETS: [f64; 10] = [
    0.1, 1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 10_800.0, 28_800.0, 86_400.0,
];

families! {
    ENDED = Counter("begat_attempts_ended_total", ["kind", "outcome"], "attempts",
        "Attempts that succeeded, failed or were cancelled, and interruptions of attempts that go on by themselves.");
    RESUMES = Counter("begat_attempt_resumes_total", ["kind"], "resumes", "Times that an attempt went on from where it stopped.");
    WAIT = Histogram("begat_queue_wait_seconds", ["kind"], "seconds",
        "Time that work waited for a device slot before it began or went on.");
    MEMOISED = Counter("begat_memoised_runs_total", ["kind"], "runs", "Stages of launches whose result was there already.");
    SAVED = Counter("begat_memoised_device_seconds_total", ["kind"], "seconds",
        "Seconds on a device that results which were there already had taken when they were made.");
    DEVICE_SECONDS = Counter("begat_device_seconds_total", ["kind"], "seconds",
        "Seconds that stages had a device slot and a living process.");
    REPRODUCTIONS = Counter("begat_reproductions_total", ["verdict"], "runs",
        "Runs made again to be compared: identical, different, corrupt (the stored original is damaged) or failed.");
    EVENTS = Counter("begat_journal_events_total", [], "events", "Events read from the journals of living stages.");
    FAULTS = Counter("begat_journal_faults_total", [], "lines",
        "Lines of those journals that were no event, came twice or came after a gap.");
}

/// Counts what happens to attempts.
#[derive(Debug)]
pub struct WorkSeries {
    ended: IntCounterVec,
    resumes: IntCounterVec,
    wait: HistogramVec,
    memoised: IntCounterVec,
    saved: CounterVec,
    device_seconds: CounterVec,
    reproductions: IntCounterVec,
    events: IntCounter,
    faults: IntCounter,
}

/// How an attempt ended, or paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its outputs are stored.
    Succeeded,
    /// It gave up.
    Failed,
    /// Someone cancelled it.
    Cancelled,
    /// It was ended from outside and goes on by itself.
    Interrupted,
}

impl Outcome {
    pub(super) const ALL: [Self; 4] = [
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Interrupted,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

const VERDICTS: [(ReproduceState, &str); 4] = [
    (ReproduceState::Identical, "identical"),
    (ReproduceState::Different, "different"),
    (ReproduceState::Corrupt, "corrupt"),
    (ReproduceState::Failed, "failed"),
];

impl WorkSeries {
    pub(super) fn new(registry: &Registry) -> Self {
        let work = Self {
            ended: names::counters(registry, &ENDED),
            resumes: names::counters(registry, &RESUMES),
            wait: names::histograms(registry, &WAIT, &WAIT_BUCKETS),
            memoised: names::counters(registry, &MEMOISED),
            saved: names::real_counters(registry, &SAVED),
            device_seconds: names::real_counters(registry, &DEVICE_SECONDS),
            reproductions: names::counters(registry, &REPRODUCTIONS),
            events: names::counter(registry, &EVENTS),
            faults: names::counter(registry, &FAULTS),
        };
        work.begin_at_zero();
        work
    }

    /// A counter that appears with its first event shows no rise: the first failure would raise no alarm.
    fn begin_at_zero(&self) {
        for kind in StageKind::ALL {
            for outcome in Outcome::ALL {
                self.ended.with_label_values(&[kind.name(), outcome.name()]);
            }
            self.resumes.with_label_values(&[kind.name()]);
            self.memoised.with_label_values(&[kind.name()]);
            self.saved.with_label_values(&[kind.name()]);
            self.device_seconds.with_label_values(&[kind.name()]);
        }
        for (_, verdict) in VERDICTS {
            self.reproductions.with_label_values(&[verdict]);
        }
    }

    /// An attempt ended, or paused.
    pub fn ended(&self, kind: StageKind, outcome: Outcome) {
        self.ended
            .with_label_values(&[kind.name(), outcome.name()])
            .inc();
    }

    /// An attempt goes on.
    pub fn resumed(&self, kind: StageKind) {
        self.resumes.with_label_values(&[kind.name()]).inc();
    }

    /// Work got its slot.
    pub fn waited(&self, kind: StageKind, time: Duration) {
        self.wait
            .with_label_values(&[kind.name()])
            .observe(time.as_secs_f64());
    }

    /// A stage's result was there, which had taken `seconds`.
    pub fn memoised(&self, kind: StageKind, seconds: f64) {
        self.memoised.with_label_values(&[kind.name()]).inc();
        self.saved
            .with_label_values(&[kind.name()])
            .inc_by(seconds.max(0.0));
    }

    /// A stage had its slot for so long since this was last said.
    pub fn device_time(&self, kind: StageKind, time: Duration) {
        self.device_seconds
            .with_label_values(&[kind.name()])
            .inc_by(time.as_secs_f64());
    }

    /// A run made again was compared.
    pub fn reproduced(&self, verdict: ReproduceState) {
        if let Some((_, name)) = VERDICTS.iter().find(|(state, _)| *state == verdict) {
            self.reproductions.with_label_values(&[name]).inc();
        }
    }

    /// Lines of a journal were read.
    pub fn journal_read(&self, events: u64, faults: u64) {
        self.events.inc_by(events);
        self.faults.inc_by(faults);
    }
}
