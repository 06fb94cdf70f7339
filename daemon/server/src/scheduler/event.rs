//! What happens, and what is to be done about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use begat_ledger::{AttemptEnd, Record};
use begat_schemas::{
    AttemptId, Derivation, Execution, LaunchId, OutputName, Recipe, RecipeName, RunId, RunState,
    StageName, TreeDigest,
};
use uuid::Uuid;

/// Names a piece of work while the daemon lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// A run's outputs.
pub type Outputs = BTreeMap<OutputName, TreeDigest>;

/// What work is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A launch needs the result.
    Launch {
        /// It is made although it is there.
        rerun: bool,
    },
    /// It is made to be compared.
    Reproduce {
        /// The reproduction.
        id: Uuid,
    },
}

/// What work is, apart from how it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The run.
    pub run: RunId,
    /// What determines its result.
    pub derivation: Arc<Derivation>,
    /// How it is to be done.
    pub execution: Execution,
    /// The recipe it is done for, for people.
    pub recipe: RecipeName,
    /// The stage it is done for, for people.
    pub stage: StageName,
    /// What it is for.
    pub reason: Reason,
}

/// What the ledger knows of a stage's run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// How the run stands; none if it was never declared.
    pub state: Option<RunState>,
    /// Its outputs, once it has succeeded.
    pub outputs: Outputs,
    /// How many attempts it has.
    pub attempts: u32,
    /// What this launch has recorded of it before; how the attempt stands that it waits for, if it waits for one.
    pub recorded: Option<Option<(u32, Option<RunState>)>>,
    /// Its newest attempt, if that failed or was cancelled and could go on from where it stopped.
    pub resumable: Option<AttemptId>,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It says that its outputs are complete.
    Succeeded,
    /// The daemon died between writing down its parent and letting it begin: nothing has happened yet.
    NeverBegan,
    /// It gave up, or cannot be done.
    Failed {
        /// Why.
        reason: String,
    },
    /// It was ended from outside.
    Interrupted {
        /// By what.
        reason: String,
    },
}

/// As what an attempt is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealAs {
    /// Its outputs are to be stored.
    Success,
    /// It gave up.
    Failure(String),
    /// Someone cancelled it.
    Cancelled,
}

/// An attempt that was alive when the daemon last wrote anything down.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored {
    /// What the work is.
    pub task: Task,
    /// The attempt.
    pub attempt: AttemptId,
    /// How it stood: running, storing, interrupted or queued.
    pub state: RunState,
    /// How often it has gone on already.
    pub resumes: u32,
    /// The outputs that its run has already, if it has succeeded before.
    pub official: Option<Outputs>,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An attempt is found again after a restart. Comes before any launch.
    Restored(Box<Restored>),
    /// A launch is recorded, found again after a restart, or resumed. Its inputs name digests only.
    Launched {
        /// The launch.
        launch: LaunchId,
        /// Its recipe.
        recipe: Arc<Recipe>,
        /// Stages to run again.
        rerun: BTreeSet<StageName>,
        /// Whether what failed or was cancelled goes on.
        resume: bool,
    },
    /// The answer to [`Action::Resolve`].
    Resolved {
        /// The launch.
        launch: LaunchId,
        /// The stage.
        stage: StageName,
        /// What is known.
        known: Known,
    },
    /// Somebody wants runs made again.
    Reproduce {
        /// What is to be done, oldest ancestor first, with the number of attempts there are and the outputs that count.
        tasks: Vec<(Task, u32, Outputs)>,
    },
    /// A stage's process has begun.
    Started {
        /// The work.
        job: JobId,
    },
    /// A stage's process has ended, or could not begin.
    Ended {
        /// The work.
        job: JobId,
        /// How.
        verdict: Verdict,
    },
    /// An attempt's outputs, journal and log are stored, though not yet recorded.
    Sealed {
        /// The work.
        job: JobId,
        /// What is to be recorded of its end.
        end: Box<AttemptEnd>,
        /// The checkpoints that are stored for good.
        checkpoints: Vec<(u64, TreeDigest)>,
    },
    /// Somebody cancels a launch.
    CancelLaunch(LaunchId),
    /// Somebody cancels a run.
    CancelRun(RunId),
    /// Time has passed.
    Tick,
}

/// A stage to begin or to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// The work.
    pub job: JobId,
    /// The attempt.
    pub attempt: AttemptId,
    /// What it is; the device is one of the slots'.
    pub task: Task,
    /// Whether it goes on.
    pub resume: bool,
    /// How long it waited for its slot, in milliseconds.
    pub waited_milliseconds: u64,
}

/// What is to be done. Actions are done in order; what a [`Action::Record`] holds is durable before the next is begun.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Write this down, all or nothing.
    Record(Vec<Record>),
    /// Say what is known of the run that a stage has come to.
    Resolve {
        /// The launch.
        launch: LaunchId,
        /// The stage.
        stage: StageName,
        /// The run.
        run: RunId,
    },
    /// Make the work folder, and begin.
    Start(Box<Start>),
    /// Find the process again, or see how it ended.
    Watch {
        /// The work.
        job: JobId,
        /// The attempt.
        attempt: AttemptId,
        /// What it is.
        task: Box<Task>,
    },
    /// Ask the stage to stop; kill it after the grace period.
    Stop {
        /// The attempt.
        attempt: AttemptId,
    },
    /// Store what is to be kept of the attempt.
    Seal {
        /// The work.
        job: JobId,
        /// The attempt.
        attempt: AttemptId,
        /// What it is.
        task: Box<Task>,
        /// As what.
        seal: SealAs,
    },
    /// Remove what is no longer needed of the work folder.
    Clean {
        /// The attempt.
        attempt: AttemptId,
        /// Whether its folder stays, for its checkpoints.
        keep: bool,
    },
    /// Compare a new attempt with the one that counts.
    Compare {
        /// The reproduction.
        id: Uuid,
        /// The new attempt; none if it was cancelled before it began.
        attempt: Option<AttemptId>,
        /// The run.
        run: RunId,
    },
}

impl Action {
    /// What kind of action it is, for logs and tests.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Record(_) => "record",
            Self::Resolve { .. } => "resolve",
            Self::Start(_) => "start",
            Self::Watch { .. } => "watch",
            Self::Stop { .. } => "stop",
            Self::Seal { .. } => "seal",
            Self::Clean { .. } => "clean",
            Self::Compare { .. } => "compare",
        }
    }
}
