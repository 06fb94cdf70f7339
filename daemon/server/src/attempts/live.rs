//! What the daemon knows of attempts that are not over, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use begat_ledger::Process;
use begat_ledger::journal::Summary;
use begat_schemas::{AttemptId, LaunchId, RecipeName, RunId, RunState, StageKind, Time};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::Meter;
use crate::scheduler::Task;
use crate::work::WorkFolder;

/// An attempt that is not over, or that ended a short while ago.
#[derive(Debug)]
pub struct Live {
    /// The attempt.
    pub attempt: AttemptId,
    /// What it is.
    pub task: Task,
    /// Where it works.
    pub folder: WorkFolder,
    /// When it began.
    pub started: Time,
    /// How far its journal's whole lines go, and whether it is over.
    pub status: watch::Sender<Status>,
    /// What its journal says so far.
    pub summary: Mutex<Summary>,
    /// The launches that use its run.
    pub launches: Mutex<Vec<(LaunchId, RecipeName)>>,
    /// The parent of its stage, while there is one.
    pub process: Mutex<Option<Process>>,
    /// What it uses of its device.
    pub meter: Mutex<Meter>,
    stands: Mutex<Stands>,
}

/// How far a journal goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// Bytes of whole lines.
    pub position: u64,
    /// Whether nothing will be added, and the ledger knows the end.
    pub over: bool,
}

#[derive(Debug, Clone, Copy)]
struct Stands {
    state: RunState,
    ended: Option<(Time, Instant)>,
}

impl Live {
    /// One that begins.
    pub fn new(attempt: AttemptId, task: Task, folder: WorkFolder, started: Time) -> Self {
        Self {
            attempt,
            task,
            folder,
            started,
            status: watch::Sender::new(Status::default()),
            summary: Mutex::default(),
            launches: Mutex::default(),
            process: Mutex::default(),
            meter: Mutex::default(),
            stands: Mutex::new(Stands {
                state: RunState::Running,
                ended: None,
            }),
        }
    }

    /// How it stands.
    pub fn state(&self) -> RunState {
        self.stands.lock().state
    }

    /// Says how it stands now.
    pub fn set_state(&self, state: RunState) {
        self.stands.lock().state = state;
    }

    /// When it ended, if it did.
    pub fn ended(&self) -> Option<Time> {
        self.stands.lock().ended.map(|(time, _)| time)
    }

    /// It is over, and the ledger knows.
    pub fn end(&self, state: RunState) {
        *self.stands.lock() = Stands {
            state,
            ended: Some((Time::now(), Instant::now())),
        };
        self.status.send_modify(|status| status.over = true);
    }

    fn ended_before(&self, age: Duration) -> bool {
        let ended = self.stands.lock().ended;
        ended.is_some_and(|(_, at)| at.elapsed() >= age)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct LiveTable(Mutex<BTreeMap<AttemptId, Arc<Live>>>);

impl LiveTable {
    /// The attempt, if it is here and not over.
    pub fn get(&self, attempt: AttemptId) -> Option<Arc<Live>> {
        let live = self.0.lock().get(&attempt).cloned();
        live.filter(|live| live.ended().is_none())
    }

    /// The attempt of `run` that goes on.
    pub fn of_run(&self, run: RunId) -> Option<Arc<Live>> {
        let table = self.0.lock();
        let mut live = table.values().filter(|live| live.attempt.run == run);
        live.find(|live| live.ended().is_none()).cloned()
    }

    /// The kind of `run`'s stage, if an attempt of it is here.
    pub fn kind_of(&self, run: RunId) -> Option<StageKind> {
        let table = self.0.lock();
        let live = table.values().find(|live| live.attempt.run == run)?;
        Some(live.task.derivation.kind)
    }

    /// Adds one, replacing one that is over.
    pub fn insert(&self, live: Arc<Live>) {
        self.0.lock().insert(live.attempt, live);
    }

    /// All of them, without those that ended longer than `retention` ago: these are forgotten.
    pub fn recent(&self, retention: Duration) -> Vec<Arc<Live>> {
        let mut table = self.0.lock();
        table.retain(|_, live| !live.ended_before(retention));
        table.values().cloned().collect()
    }
}
