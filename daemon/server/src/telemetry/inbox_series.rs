//! What comes into watched folders.

use prometheus::{IntCounterVec, Registry};

use super::family::families;
use super::names;

families! {
    DROPS = Counter("begat_inbox_drops_total", ["inbox", "outcome"], "drops",
        "Drops into a watched folder: stored, refused (it cannot become a dataset) or failed (tried again later).");
    WATCH_EVENTS = Counter("begat_inbox_watch_events_total", ["inbox"], "events",
        "Changes that the system told of in a watched folder.");
}

/// What became of a drop into an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropOutcome {
    /// It is a dataset now.
    Stored,
    /// It cannot become one: a symbolic link, a special file, a name that cannot be a ref.
    Refused,
    /// It could have, but reading or storing it failed.
    Failed,
}

impl DropOutcome {
    const ALL: [Self; 3] = [Self::Stored, Self::Refused, Self::Failed];

    const fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Counts drops.
#[derive(Debug)]
pub struct InboxSeries {
    drops: IntCounterVec,
    watch_events: IntCounterVec,
}

impl InboxSeries {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            drops: names::counters(registry, &DROPS),
            watch_events: names::counters(registry, &WATCH_EVENTS),
        }
    }

    /// The inbox is watched; its counters begin at zero.
    pub fn watched(&self, inbox: &str) {
        for outcome in DropOutcome::ALL {
            self.drops.with_label_values(&[inbox, outcome.name()]);
        }
        self.watch_events.with_label_values(&[inbox]);
    }

    /// Something became of a drop into `inbox`.
    pub fn dropped(&self, inbox: &str, outcome: DropOutcome) {
        self.drops.with_label_values(&[inbox, outcome.name()]).inc();
    }

    /// The system told of a change in `inbox`.
    pub fn heard(&self, inbox: &str) {
        self.watch_events.with_label_values(&[inbox]).inc();
    }
}
