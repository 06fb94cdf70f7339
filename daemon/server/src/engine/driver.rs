//! Carries out what the scheduler decides, on a thread of its own.
//!
//! Records and look-ups are done here, one after the other, so that what the scheduler has decided is durable before
//! anything follows from it. What takes long (beginning, following, sealing, comparing) goes on beside and reports back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use begat_ledger::Record;
use begat_schemas::{Device, LaunchId, RunId, RunState, StageName, Time};
use tokio::sync::oneshot;

use super::{EngineError, Shared};
use crate::attempts::{Live, begin, seal, stop, watch};
use crate::reproduce;
use crate::scheduler::{Action, Event, JobId, Known, Scheduler, Task};
use crate::work::WorkFolder;

/// How long the driver sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// What reaches the driver.
pub(super) enum Message {
    /// Something happened.
    Event(Event),
    /// Something happened, and someone waits until what follows from it at once is done.
    Handle(Event, oneshot::Sender<()>),
    /// A slot for something that is no stage.
    Lease(Device, oneshot::Sender<Option<Device>>),
    /// Such a slot is free again.
    GiveBack(Device),
    /// Whether nothing runs or waits.
    AskIdle(oneshot::Sender<bool>),
    /// The daemon stops.
    Stop,
}

/// Called after each action with its name; tests end the process there.
pub type AfterAction = Box<dyn FnMut(&'static str) + Send>;

pub(super) struct Driver {
    pub(super) shared: Arc<Shared>,
    pub(super) scheduler: Scheduler,
    pub(super) after_action: Option<AfterAction>,
}

impl Driver {
    /// Runs until the daemon stops.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        loop {
            *self.shared.scheduled.lock() = self.scheduler.figures();
            match messages.recv_timeout(self.until_wake()) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => self.handle(Event::Tick),
            }
        }
    }

    fn until_wake(&self) -> Duration {
        self.scheduler.next_wake().map_or(IDLE, |wake| {
            let left = wake.as_milliseconds() - Time::now().as_milliseconds();
            Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(IDLE)
        })
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Event(event) => self.handle(event),
            Message::Handle(event, done) => {
                self.handle(event);
                let _ = done.send(());
            }
            Message::Lease(device, answer) => {
                if let Err(Some(device)) = answer.send(self.scheduler.lease(&device)) {
                    self.scheduler.give_back(&device);
                }
            }
            Message::GiveBack(device) => {
                self.scheduler.give_back(&device);
                self.handle(Event::Tick);
            }
            Message::AskIdle(answer) => drop(answer.send(self.scheduler.is_idle())),
            Message::Stop => {}
        }
    }

    /// Handles `event` and all that follows from it at once.
    pub(super) fn handle(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.scheduler.on(event, Time::now()) {
                if self.shared.failure.lock().is_some() || self.shared.stopping.is_cancelled() {
                    return;
                }
                let name = action.name();
                match self.perform(action) {
                    Ok(event) => events.extend(event),
                    Err(error) => self.shared.fail(&error),
                }
                if let Some(after) = &mut self.after_action {
                    after(name);
                }
            }
        }
    }

    fn perform(&self, action: Action) -> Result<Option<Event>, EngineError> {
        let shared = Arc::clone(&self.shared);
        match action {
            Action::Record(records) => self.record(records)?,
            Action::Resolve { launch, stage, run } => {
                return self.resolve(launch, stage, run).map(Some);
            }
            Action::Start(start) => {
                let waited = Duration::from_millis(start.waited_milliseconds);
                let kind = start.task.derivation.kind;
                shared.telemetry.work().waited(kind, waited);
                drop(self.shared.runtime.spawn(begin(shared, *start)));
            }
            Action::Watch { job, attempt, task } => self.watch_again(job, attempt, *task)?,
            Action::Stop { attempt } => {
                if let Some(live) = self.shared.live.get(attempt) {
                    drop(self.shared.runtime.spawn(stop(shared, live)));
                }
            }
            Action::Seal {
                job,
                attempt,
                task,
                seal: as_what,
            } => {
                if let Some(live) = self.shared.live.get(attempt) {
                    live.set_state(RunState::Storing);
                }
                drop(
                    self.shared
                        .runtime
                        .spawn(seal(shared, job, attempt, *task, as_what)),
                );
            }
            Action::Clean { attempt, keep } => self.clean(attempt, keep)?,
            Action::Compare { id, attempt, run } => {
                drop(
                    self.shared
                        .runtime
                        .spawn(reproduce::compare(shared, id, run, attempt)),
                );
            }
        }
        Ok(None)
    }

    fn record(&self, mut records: Vec<Record>) -> Result<(), EngineError> {
        let ledger = &self.shared.ledger;
        let mut kept = Vec::with_capacity(records.len());
        for record in records.drain(..) {
            match &record {
                // A ref that stands there already has not moved.
                Record::RefMoved { name, tree, .. } => {
                    let known = ledger.get_ref(name)?.map(|known| known.tree);
                    if known == *tree {
                        continue;
                    }
                }
                Record::RunDeclared { derivation, .. } => {
                    let bytes = derivation
                        .canonical_bytes()
                        .map_err(EngineError::internal)?;
                    self.shared.store.put_bytes(&bytes)?;
                    self.shared.store.commit()?;
                }
                Record::AttemptState { attempt, state, .. } => {
                    if let Some(live) = self.shared.live.get(*attempt) {
                        live.set_state(*state);
                    }
                }
                _ => {}
            }
            kept.push(record);
        }
        let found: Vec<_> = kept.iter().filter_map(found).collect();
        let used: Vec<_> = kept.iter().filter_map(used).collect();
        self.shared.record(kept)?;
        for (launch, run) in used {
            self.note_launch(launch, run)?;
        }
        self.tell_found(found);
        Ok(())
    }

    /// What was found is counted and shown beside: its journal is read for that.
    fn tell_found(&self, found: Vec<(LaunchId, StageName, RunId)>) {
        for (launch, stage, run) in found {
            let shared = Arc::clone(&self.shared);
            self.shared.runtime.spawn_blocking(move || {
                if let Err(error) = shared.found(launch, stage, run) {
                    tracing::warn!("what launch {launch} found is not shown: {error}");
                }
            });
        }
    }

    /// Shows a launch at a run that is alive. One that is just beginning reads its launches from the ledger once it can be
    /// found among the live ones; so this comes after the record, and none is missed.
    fn note_launch(&self, launch: LaunchId, run: RunId) -> Result<(), EngineError> {
        if let Some(live) = self.shared.live.of_run(run)
            && let Some(entry) = self.shared.ledger.launch(launch)?
        {
            live.launches.lock().push((launch, entry.recipe));
        }
        Ok(())
    }

    fn resolve(
        &self,
        launch: LaunchId,
        stage: StageName,
        run: RunId,
    ) -> Result<Event, EngineError> {
        let known = self.shared.known(run, Some((launch, &stage)))?;
        Ok(Event::Resolved {
            launch,
            stage,
            known,
        })
    }

    fn watch_again(
        &self,
        job: JobId,
        attempt: begat_schemas::AttemptId,
        task: Task,
    ) -> Result<(), EngineError> {
        let shared = Arc::clone(&self.shared);
        let live = self.shared.revive(attempt, task)?;
        drop(self.shared.runtime.spawn(watch(shared, job, live)));
        Ok(())
    }

    fn clean(&self, attempt: begat_schemas::AttemptId, keep: bool) -> Result<(), EngineError> {
        let state = self
            .shared
            .ledger
            .attempt(attempt)?
            .map(|entry| entry.state);
        if let Some(live) = self.shared.live.get(attempt) {
            live.end(state.unwrap_or(RunState::Failed));
        }
        let all = self.shared.config.work_folder();
        if !keep {
            // With the result there, nobody needs what earlier attempts left to go on from.
            for number in 1..=attempt.number {
                let earlier = begat_schemas::AttemptId { number, ..attempt };
                if self.shared.live.get(earlier).is_none() {
                    let removed = WorkFolder::of(&all, earlier).remove();
                    let _ = removed.inspect_err(|error| tracing::warn!("{error}"));
                }
            }
        }
        Ok(())
    }
}

fn found(record: &Record) -> Option<(LaunchId, StageName, RunId)> {
    match record {
        Record::StageRun {
            launch,
            stage,
            run,
            found: true,
            ..
        } => Some((*launch, stage.clone(), *run)),
        _ => None,
    }
}

fn used(record: &Record) -> Option<(LaunchId, RunId)> {
    match record {
        Record::StageRun { launch, run, .. } => Some((*launch, *run)),
        _ => None,
    }
}

impl Shared {
    /// What the ledger knows of `run`, and of what a launch has recorded of it.
    pub(super) fn known(
        &self,
        run: RunId,
        stage: Option<(LaunchId, &StageName)>,
    ) -> Result<Known, EngineError> {
        let mut known = Known::default();
        if let Some(entry) = self.ledger.run(run)? {
            known.state = Some(entry.state);
            known.outputs = entry.outputs;
            known.attempts = entry.attempts;
            known.resumable = self.resumable(run, entry.current_attempt)?;
        }
        if let Some((launch, stage)) = stage
            && let Some(entry) = self.ledger.launch(launch)?
            && let Some(recorded) = entry.runs.get(stage).filter(|recorded| recorded.run == run)
        {
            known.recorded = Some(match recorded.attempt {
                None => None,
                Some(number) => {
                    let id = begat_schemas::AttemptId { run, number };
                    let state = self.ledger.attempt(id)?.map(|entry| entry.state);
                    Some((number, state))
                }
            });
        }
        Ok(known)
    }

    fn resumable(
        &self,
        run: RunId,
        newest: Option<u32>,
    ) -> Result<Option<begat_schemas::AttemptId>, EngineError> {
        let Some(number) = newest else {
            return Ok(None);
        };
        let id = begat_schemas::AttemptId { run, number };
        let over = self
            .ledger
            .attempt(id)?
            .is_some_and(|entry| matches!(entry.state, RunState::Failed | RunState::Cancelled));
        let there = WorkFolder::of(&self.config.work_folder(), id)
            .root()
            .is_dir();
        Ok((over && there).then_some(id))
    }

    /// A live attempt as it is found after a restart.
    pub(super) fn revive(
        &self,
        attempt: begat_schemas::AttemptId,
        task: Task,
    ) -> Result<Arc<Live>, EngineError> {
        let entry = self.ledger.attempt(attempt)?;
        let started = entry.as_ref().map_or_else(Time::now, |entry| entry.started);
        let folder = WorkFolder::of(&self.config.work_folder(), attempt);
        let run = task.run;
        let live = Arc::new(Live::new(attempt, task, folder, started));
        live.launches.lock().extend(self.launches_of(run)?);
        if let Some(entry) = entry {
            live.set_state(entry.state);
            *live.process.lock() = entry.process;
        }
        self.live.insert(Arc::clone(&live));
        Ok(live)
    }
}
