//! Jobs: attempts on their way from the queue to the store.

use std::collections::BTreeSet;

use begat_ledger::{AttemptEnd, Record};
use begat_schemas::{AttemptId, Device, LaunchId, RunId, RunState, StageName, Time, TreeDigest};

use super::Scheduler;
use super::event::{Action, JobId, Outputs, Reason, Restored, SealAs, Start, Task, Verdict};

/// An attempt, or one to be.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) task: Task,
    /// The stages of launches that wait for it.
    pub(super) waiters: BTreeSet<(LaunchId, StageName)>,
    pub(super) state: JobState,
    /// The attempt, once there is one.
    pub(super) attempt: Option<AttemptId>,
    /// The outputs that the run has already; they count, whatever this attempt makes.
    pub(super) official: Option<Outputs>,
    /// The number that the attempt will have.
    pub(super) number: u32,
    /// Since when it could have begun.
    waits_since: Time,
    /// Whether the ledger holds the attempt as one that is not over.
    alive: bool,
    slot: Option<Device>,
    /// How often it has gone on by itself.
    resumes: usize,
    cancelled: bool,
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobState {
    Queued,
    /// It was interrupted and goes on then.
    Paused(Time),
    Starting,
    Running,
    Sealing,
}

impl Job {
    pub(super) fn new(task: Task, number: u32) -> Self {
        Self {
            task,
            waiters: BTreeSet::new(),
            state: JobState::Queued,
            attempt: None,
            official: None,
            number,
            waits_since: Time::from_milliseconds(0),
            alive: false,
            slot: None,
            resumes: 0,
            cancelled: false,
        }
    }

    pub(super) fn paused_until(&self) -> Option<Time> {
        match self.state {
            JobState::Paused(until) => Some(until),
            _ => None,
        }
    }

    /// The number of the attempt that a launch waits for, if not just any success will do.
    pub(super) fn promised(&self) -> Option<u32> {
        (self.task.reason == Reason::Launch { rerun: true }).then_some(self.number)
    }

    fn can_begin(&self, now: Time) -> bool {
        match self.state {
            JobState::Queued => true,
            JobState::Paused(until) => until <= now,
            _ => false,
        }
    }

    fn occupies_run(&self) -> bool {
        !matches!(self.state, JobState::Queued)
    }
}

impl Scheduler {
    pub(super) fn add(&mut self, mut job: Job) -> JobId {
        job.waits_since = self.now;
        let id = JobId(self.next_job);
        self.next_job += 1;
        self.jobs.insert(id, job);
        id
    }

    /// The job that a launch can share.
    pub(super) fn live_job(&self, run: RunId) -> Option<JobId> {
        self.jobs
            .iter()
            .find(|(_, job)| {
                job.task.run == run
                    && !job.cancelled
                    && matches!(job.task.reason, Reason::Launch { .. })
            })
            .map(|(id, _)| *id)
    }

    /// The number of the next attempt of `run`, of which the ledger has `attempts`.
    pub(super) fn next_number(&self, run: RunId, attempts: u32) -> u32 {
        let own = self.jobs.values().filter(|job| job.task.run == run);
        own.map(|job| job.number).max().unwrap_or(0).max(attempts) + 1
    }

    pub(super) fn restore(&mut self, restored: Restored) {
        let Restored {
            task,
            attempt,
            state,
            resumes,
            official,
        } = restored;
        let mut job = Job::new(task, attempt.number);
        job.attempt = Some(attempt);
        job.alive = true;
        job.official = official;
        job.resumes = resumes as usize;
        match state {
            RunState::Running => {
                self.slots.occupy(&job.task.execution.device);
                job.slot = Some(job.task.execution.device.clone());
                job.state = JobState::Running;
                let task = Box::new(job.task.clone());
                let job = self.add(job);
                self.actions.push(Action::Watch { job, attempt, task });
            }
            RunState::Storing => {
                let job = self.add(job);
                self.seal(job, SealAs::Success);
            }
            _ => {
                job.state = JobState::Paused(self.now);
                self.add(job);
            }
        }
    }

    pub(super) fn reproduce(&mut self, tasks: Vec<(Task, u32, Outputs)>) {
        for (task, attempts, official) in tasks {
            let mut job = Job::new(task, 0);
            job.number = self.next_number(job.task.run, attempts);
            job.official = Some(official);
            self.add(job);
        }
    }

    /// Begins every job for which there is a slot, the oldest first. One run has one attempt at a time.
    pub(super) fn begin_what_can(&mut self) {
        let ids: Vec<JobId> = self.jobs.keys().copied().collect();
        let mut taken: BTreeSet<RunId> = self
            .jobs
            .values()
            .filter(|job| job.occupies_run())
            .map(|job| job.task.run)
            .collect();
        for id in ids {
            let Some(job) = self.jobs.get(&id) else {
                continue;
            };
            let paused = job.paused_until().is_some();
            if !job.can_begin(self.now) || (!paused && taken.contains(&job.task.run)) {
                continue;
            }
            taken.insert(job.task.run);
            self.begin(id);
        }
    }

    fn begin(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let wish = job.task.execution.device.clone();
        // A device that this daemon does not have at all must not wait for ever: beginning it fails and says why.
        if self.slots.has(&wish) {
            let Some(device) = self.slots.take(&wish) else {
                return;
            };
            job.task.execution.device = device.clone();
            job.slot = Some(device);
        }
        job.state = JobState::Starting;
        let waited = self.now.as_milliseconds() - job.waits_since.as_milliseconds();
        let resume = job.attempt.is_some();
        let attempt = *job.attempt.get_or_insert(AttemptId {
            run: job.task.run,
            number: job.number,
        });
        self.actions.push(Action::Start(Box::new(Start {
            job: id,
            attempt,
            task: job.task.clone(),
            resume,
            waited_milliseconds: u64::try_from(waited).unwrap_or(0),
        })));
    }

    pub(super) fn started(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.alive = true;
        if job.state == JobState::Starting {
            job.state = JobState::Running;
            if let (true, Some(attempt)) = (job.cancelled, job.attempt) {
                self.actions.push(Action::Stop { attempt });
            }
        }
    }

    pub(super) fn ended(&mut self, id: JobId, verdict: Verdict) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let (Some(attempt), JobState::Starting | JobState::Running) = (job.attempt, job.state)
        else {
            return;
        };
        job.alive = true;
        if let Some(slot) = job.slot.take() {
            self.slots.give(&slot);
        }
        match verdict {
            Verdict::Succeeded => {
                self.record_state(attempt, RunState::Storing, None);
                self.seal(id, SealAs::Success);
            }
            _ if job.cancelled => self.seal(id, SealAs::Cancelled),
            Verdict::Failed { reason } => self.seal(id, SealAs::Failure(reason)),
            Verdict::Interrupted { reason } => {
                if self.pause(id, &reason) {
                    self.record_state(attempt, RunState::Interrupted, Some(reason));
                }
            }
            // For the ledger it runs, and will.
            Verdict::NeverBegan => drop(self.pause(id, "its parent ended before it began")),
        }
    }

    /// Lets the attempt go on by itself after a pause; seals it as a failure if it has done so too often.
    fn pause(&mut self, id: JobId, reason: &str) -> bool {
        let Some(job) = self.jobs.get_mut(&id) else {
            return false;
        };
        let Some(pause) = self.pauses.get(job.resumes) else {
            let times = self.pauses.len();
            let reason = format!("{reason}; it had gone on by itself {times} times before");
            self.seal(id, SealAs::Failure(reason));
            return false;
        };
        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        let until = self.now.as_milliseconds().saturating_add(pause);
        job.resumes += 1;
        job.waits_since = Time::from_milliseconds(until);
        job.state = JobState::Paused(job.waits_since);
        true
    }

    fn record_state(&mut self, attempt: AttemptId, state: RunState, reason: Option<String>) {
        self.records.push(Record::AttemptState {
            attempt,
            state,
            reason,
        });
    }

    fn seal(&mut self, id: JobId, seal: SealAs) {
        if let Some(job) = self.jobs.get_mut(&id)
            && let Some(attempt) = job.attempt
        {
            job.state = JobState::Sealing;
            self.actions.push(Action::Seal {
                job: id,
                attempt,
                task: Box::new(job.task.clone()),
                seal,
            });
        }
    }

    pub(super) fn sealed(
        &mut self,
        id: JobId,
        end: AttemptEnd,
        checkpoints: Vec<(u64, TreeDigest)>,
    ) {
        let Some(job) = self.jobs.remove(&id) else {
            return;
        };
        let Some(attempt) = job.attempt else {
            return;
        };
        for (step, tree) in checkpoints {
            self.records.push(Record::CheckpointKept {
                attempt,
                step,
                tree,
            });
        }
        let state = end.state;
        let outputs = job.official.clone().unwrap_or_else(|| end.outputs.clone());
        self.records.push(Record::AttemptEnded { attempt, end });
        self.queue_again(attempt.run, state);
        self.actions.push(Action::Clean {
            attempt,
            keep: state != RunState::Succeeded && matches!(job.task.reason, Reason::Launch { .. }),
        });
        self.compare(&job);
        self.settle(&job, state, &outputs);
    }

    /// Work that waits for a run whose attempt has just failed keeps the run queued.
    fn queue_again(&mut self, run: RunId, state: RunState) {
        let waits =
            |job: &Job| job.task.run == run && job.task.reason == (Reason::Launch { rerun: false });
        if state != RunState::Succeeded && self.jobs.values().any(waits) {
            self.records.push(Record::RunState {
                run,
                state: RunState::Queued,
                reason: None,
            });
        }
    }

    fn compare(&mut self, job: &Job) {
        if let Reason::Reproduce { id } = job.task.reason {
            self.actions.push(Action::Compare {
                id,
                attempt: job.attempt,
                run: job.task.run,
            });
        }
    }

    pub(super) fn cancel_job(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.cancelled = true;
        match job.state {
            JobState::Queued | JobState::Paused(_) if job.alive => self.seal(id, SealAs::Cancelled),
            JobState::Queued | JobState::Paused(_) => self.drop_queued(id),
            JobState::Running => {
                if let Some(attempt) = job.attempt {
                    self.actions.push(Action::Stop { attempt });
                }
            }
            JobState::Starting | JobState::Sealing => {}
        }
    }

    /// Cancels work of which the ledger has no attempt that is alive.
    fn drop_queued(&mut self, id: JobId) {
        let Some(job) = self.jobs.remove(&id) else {
            return;
        };
        if job.task.reason == (Reason::Launch { rerun: false }) {
            self.records.push(Record::RunState {
                run: job.task.run,
                state: RunState::Cancelled,
                reason: None,
            });
        }
        if job.attempt.is_none() {
            self.close_up(job.task.run, job.number);
        }
        self.compare(&job);
        self.settle(&job, RunState::Cancelled, &Outputs::new());
    }

    /// Attempts are counted without gaps: those that wait behind the one that will never be move up.
    fn close_up(&mut self, run: RunId, number: u32) {
        let behind = self
            .jobs
            .values_mut()
            .filter(|job| job.task.run == run && job.attempt.is_none() && job.number > number);
        for job in behind {
            job.number -= 1;
            let Some(promised) = job.promised() else {
                continue;
            };
            let again = |(launch, stage): &(LaunchId, StageName)| Record::StageRun {
                launch: *launch,
                stage: stage.clone(),
                run,
                found: false,
                attempt: Some(promised),
            };
            self.records.extend(job.waiters.iter().map(again));
        }
    }
}
