//! What the ledger knows of a launch, a run, an attempt: the records about it folded into one value.

use std::collections::BTreeMap;

use begat_schemas::api::{AttemptView, LaunchState, ReproduceRequest, ReproduceState};
use begat_schemas::recipe::Override;
use begat_schemas::{
    AttemptId, BlobDigest, Derivation, Execution, LaunchId, OutputName, Purpose, RecipeName, RunId,
    RunState, StageKind, StageName, Time, TreeDigest,
};
use serde::{Deserialize, Serialize};

use crate::record::{AttemptEnd, LaunchStage, Process};

/// A launch.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchEntry {
    /// Its id.
    pub launch: LaunchId,
    /// The recipe's name.
    pub recipe: RecipeName,
    /// The blob that holds the resolved recipe.
    pub recipe_blob: BlobDigest,
    /// What was changed on the command line.
    pub overrides: Vec<Override>,
    /// Stages to run again though their results are there.
    pub rerun: Vec<StageName>,
    /// The recipe's stages in running order.
    pub stages: Vec<LaunchStage>,
    /// When it was submitted.
    pub created: Time,
    /// The state last recorded: `Running` while it is open.
    pub state: LaunchState,
    /// The runs of its stages, as far as they are known.
    pub runs: BTreeMap<StageName, StageRunEntry>,
}

/// Which run a stage of a launch is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRunEntry {
    /// The run.
    pub run: RunId,
    /// Whether its result was there already.
    pub found: bool,
    /// The attempt that the launch waits for, if it asked for a new one.
    pub attempt: Option<u32>,
    /// Since when it is known.
    pub time: Time,
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEntry {
    /// Its id.
    pub run: RunId,
    /// What determines its result.
    pub derivation: Derivation,
    /// When it was first wanted.
    pub declared: Time,
    /// How it stands.
    pub state: RunState,
    /// Why it failed or waits.
    pub reason: Option<String>,
    /// Number of attempts.
    pub attempts: u32,
    /// The attempt whose outputs are the run's, for ever: the first that succeeded.
    pub output_attempt: Option<u32>,
    /// The newest attempt that a launch asked for.
    pub current_attempt: Option<u32>,
    /// When its first attempt began.
    pub started: Option<Time>,
    /// Its outputs.
    pub outputs: BTreeMap<OutputName, TreeDigest>,
}

/// An attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptEntry {
    /// Its id.
    pub attempt: AttemptId,
    /// Why it was made.
    pub purpose: Purpose,
    /// How its work is done.
    pub execution: Execution,
    /// The build of begat.
    pub begat: String,
    /// The name of its work folder.
    pub work: String,
    /// The recipe it was made for.
    pub recipe: RecipeName,
    /// The stage it was made for.
    pub stage: StageName,
    /// When it began.
    pub started: Time,
    /// How it stands.
    pub state: RunState,
    /// Why it failed or was interrupted.
    pub reason: Option<String>,
    /// How often it went on.
    pub resumes: u32,
    /// Its newest process.
    pub process: Option<Process>,
    /// When it ended.
    pub ended: Option<Time>,
    /// How it ended.
    pub end: Option<AttemptEnd>,
    /// Its checkpoints that are stored for good.
    pub checkpoints: Vec<(u64, TreeDigest)>,
}

impl AttemptEntry {
    /// The attempt as the API shows it.
    pub fn view(&self) -> AttemptView {
        let end = self.end.as_ref();
        AttemptView {
            attempt: self.attempt,
            purpose: self.purpose,
            state: self.state,
            execution: self.execution.clone(),
            execution_class: end.and_then(|end| end.execution_class.clone()),
            begat: self.begat.clone(),
            started: self.started,
            ended: self.ended,
            resumes: self.resumes,
            outputs: end.map(|end| end.outputs.clone()).unwrap_or_default(),
            exit: end.and_then(|end| end.exit.clone()),
            reason: self.reason.clone(),
        }
    }
}

/// A launch that uses a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchUse {
    /// The launch.
    pub launch: LaunchId,
    /// Its recipe.
    pub recipe: RecipeName,
    /// The stage that the run is there.
    pub stage: StageName,
}

/// An attempt that made a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerEntry {
    /// The run.
    pub run: RunId,
    /// Which of its outputs the tree is, unless it is a checkpoint.
    pub output: Option<OutputName>,
    /// The step, if the tree is a checkpoint that was kept.
    pub step: Option<u64>,
    /// The attempt.
    pub attempt: u32,
    /// Whether this is what the run stands for: its first success, not a later attempt.
    pub official: bool,
    /// When it was stored.
    pub time: Time,
}

/// One time that a tree was added from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addition {
    /// When.
    pub time: Time,
    /// Who did it.
    pub by: String,
    /// What it was called there.
    pub name: Option<String>,
    /// Number of files.
    pub files: u64,
    /// Their size, in bytes.
    pub bytes: u64,
}

/// Stored under a launch's key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LaunchHead {
    pub recipe: RecipeName,
    pub recipe_blob: BlobDigest,
    pub overrides: Vec<Override>,
    pub rerun: Vec<StageName>,
    pub stages: Vec<LaunchStage>,
    pub created: Time,
    pub state: LaunchState,
}

/// Stored under a run's key: what never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunHead {
    pub derivation: Derivation,
}

/// Stored under a run's key: what changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunStatus {
    pub kind: StageKind,
    pub declared: Time,
    pub state: RunState,
    pub reason: Option<String>,
    pub attempts: u32,
    pub output_attempt: Option<u32>,
    pub current_attempt: Option<u32>,
    pub started: Option<Time>,
    /// Number of launches' stages that are this run.
    pub uses: u32,
}

/// Stored under an attempt's key: what never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AttemptHead {
    pub purpose: Purpose,
    pub execution: Execution,
    pub begat: String,
    pub work: String,
    pub recipe: RecipeName,
    pub stage: StageName,
    pub started: Time,
}

/// Stored under an attempt's key: what changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AttemptStatus {
    pub purpose: Purpose,
    pub state: RunState,
    pub reason: Option<String>,
    pub resumes: u32,
    pub process: Option<Process>,
    pub ended: Option<Time>,
    pub checkpoints: Vec<(u64, TreeDigest)>,
}

/// Stored under a ref's key; it stays when the ref is removed, so that its history goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RefHead {
    pub tree: Option<TreeDigest>,
    pub time: Time,
    pub reason: String,
    pub moves: u64,
}

/// Stored under a reproduction's key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReproductionHead {
    pub request: ReproduceRequest,
    pub created: Time,
    pub runs: Vec<RunId>,
    pub state: ReproduceState,
}
