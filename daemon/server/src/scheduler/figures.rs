//! What the scheduler says of itself to those who watch.

use std::collections::BTreeSet;

use begat_schemas::{AttemptId, LaunchId, Purpose, RecipeName, StageKind, StageName};

use super::Scheduler;
use super::event::Reason;
use super::jobs::{Job, JobState};

/// The most waiting pieces of work that are named; all are counted.
const WAITING_MAX: usize = 100;

/// What waits, and which slots are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchedulerFigures {
    /// How much waits for a slot.
    pub queue_length: u64,
    /// The first of it.
    pub waiting: Vec<Waiting>,
    /// Devices, how many slots each has, and how many of them are taken.
    pub slots: Vec<(String, u64, u64)>,
}

/// An attempt that has not begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The attempt that it will be.
    pub attempt: AttemptId,
    /// The stage it is done for.
    pub stage: StageName,
    /// The stage's kind.
    pub kind: StageKind,
    /// What it is for.
    pub purpose: Purpose,
    /// The launches that wait for it.
    pub launches: BTreeSet<(LaunchId, RecipeName)>,
}

impl Reason {
    /// The purpose that the ledger knows for it.
    pub fn purpose(&self) -> Purpose {
        match self {
            Self::Launch { .. } => Purpose::Launch,
            Self::Reproduce { .. } => Purpose::Reproduce,
        }
    }
}

impl Scheduler {
    /// What waits, and which slots are taken.
    pub fn figures(&self) -> SchedulerFigures {
        let waits = |job: &&Job| match job.state {
            JobState::Queued => true,
            JobState::Paused(until) => until <= self.now,
            _ => false,
        };
        let queued = |job: &&Job| job.state == JobState::Queued;
        SchedulerFigures {
            queue_length: self.jobs.values().filter(waits).count() as u64,
            waiting: self
                .jobs
                .values()
                .filter(queued)
                .take(WAITING_MAX)
                .map(|job| self.waiting(job))
                .collect(),
            slots: self.slots.figures(),
        }
    }

    fn waiting(&self, job: &Job) -> Waiting {
        let launches = job.waiters.iter();
        let launches = launches.filter_map(|(id, _)| Some((*id, self.recipe_of(*id)?)));
        Waiting {
            attempt: AttemptId {
                run: job.task.run,
                number: job.number,
            },
            stage: job.task.stage.clone(),
            kind: job.task.derivation.kind,
            purpose: job.task.reason.purpose(),
            launches: launches.collect(),
        }
    }
}
