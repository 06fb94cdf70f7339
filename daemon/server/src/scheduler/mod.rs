//! Decides what runs when: a state machine without a clock, a disk or a process.
//!
//! [`Scheduler::on`] takes what happened and gives what is to be done; the engine does it and reports back. Everything the
//! scheduler knows can be built anew from the ledger, by the same events that built it first, so a daemon that dies between
//! any two actions is one more list of events, and the tests are such lists.
//!
//! - `launches` walks the stages of a launch: a stage's run is known once its parents' outputs are.
//! - `jobs` walks attempts from queued to sealed. A job belongs to a run, not to a launch, so that two launches share it.

mod derive;
mod event;
mod figures;
mod jobs;
mod launches;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use begat_ledger::Record;
use begat_schemas::{Device, LaunchId, Time};

pub use derive::{PlanLookup, needs, plan};
pub use event::{
    Action, Event, JobId, Known, Outputs, Reason, Restored, SealAs, Start, Task, Verdict,
};
pub use figures::{SchedulerFigures, Waiting};
pub use slots::Slots;

use jobs::Job;
use launches::Launch;

/// What runs, what waits, and for what.
#[derive(Debug)]
pub struct Scheduler {
    slots: Slots,
    /// Pauses before an interrupted attempt goes on; after the last one it fails.
    pauses: Vec<Duration>,
    launches: BTreeMap<LaunchId, Launch>,
    /// In the order in which they are to begin.
    jobs: BTreeMap<JobId, Job>,
    next_job: u64,
    now: Time,
    /// What the event at hand leads to: records, then the rest.
    records: Vec<Record>,
    actions: Vec<Action>,
}

impl Scheduler {
    /// One that knows of nothing yet.
    pub fn new(slots: Slots, pauses: Vec<Duration>) -> Self {
        Self {
            slots,
            pauses,
            launches: BTreeMap::new(),
            jobs: BTreeMap::new(),
            next_job: 0,
            now: Time::from_milliseconds(0),
            records: Vec::new(),
            actions: Vec::new(),
        }
    }

    /// What is to be done now that `event` has happened. Records come first, all in one action.
    pub fn on(&mut self, event: Event, now: Time) -> Vec<Action> {
        self.now = now;
        self.handle(event);
        self.begin_what_can();
        let mut actions = Vec::new();
        if !self.records.is_empty() {
            actions.push(Action::Record(std::mem::take(&mut self.records)));
        }
        actions.append(&mut self.actions);
        actions
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Restored(restored) => self.restore(*restored),
            Event::Launched {
                launch,
                recipe,
                rerun,
                resume,
            } => self.launched(launch, Launch::new(recipe, rerun, resume)),
            Event::Resolved {
                launch,
                stage,
                known,
            } => self.resolved(launch, &stage, &known),
            Event::Reproduce { tasks } => self.reproduce(tasks),
            Event::Started { job } => self.started(job),
            Event::Ended { job, verdict } => self.ended(job, verdict),
            Event::Sealed {
                job,
                end,
                checkpoints,
            } => self.sealed(job, *end, checkpoints),
            Event::CancelLaunch(launch) => self.cancel_launch(launch),
            Event::CancelRun(run) => self.cancel_run(run),
            Event::Tick => {}
        }
    }

    /// When [`Event::Tick`] is due, if nothing else happens before.
    pub fn next_wake(&self) -> Option<Time> {
        self.jobs.values().filter_map(Job::paused_until).min()
    }

    /// Whether nothing runs, waits or is being stored.
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.launches.is_empty()
    }

    /// Takes a free slot for something that is no stage.
    pub fn lease(&mut self, device: &Device) -> Option<Device> {
        self.slots.take(device)
    }

    /// Gives such a slot back.
    pub fn give_back(&mut self, device: &Device) {
        self.slots.give(device);
    }
}
