//! What the ledger writes down. These shapes are the format of the log, so they only ever grow.

use std::collections::BTreeMap;

use begat_schemas::api::{LaunchState, ReproduceRequest, ReproduceState, RunVerdict};
use begat_schemas::recipe::Override;
use begat_schemas::{
    AttemptId, BlobDigest, Derivation, Execution, ExecutionClass, Exit, LaunchId, Metric,
    OutputName, Purpose, RecipeName, RefName, RunId, RunState, StageKind, StageName, TreeDigest,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
#[allow(
    clippy::large_enum_variant,
    reason = "records live for a moment, few at a time"
)]
pub enum Record {
    /// Someone submitted a recipe.
    LaunchCreated {
        /// Its id.
        launch: LaunchId,
        /// The recipe's name.
        recipe: RecipeName,
        /// The blob that holds the resolved recipe.
        recipe_blob: BlobDigest,
        /// What was changed on the command line.
        overrides: Vec<Override>,
        /// Stages to run again though their results are there.
        rerun: Vec<StageName>,
        /// The recipe's stages in running order.
        stages: Vec<LaunchStage>,
    },
    /// A launch came to an end, or goes on again (`Running`).
    LaunchState {
        /// The launch.
        launch: LaunchId,
        /// How it stands.
        state: LaunchState,
    },
    /// A derivation is wanted. Saying so again changes nothing.
    RunDeclared {
        /// Its id, the digest of the derivation.
        run: RunId,
        /// What determines its result.
        derivation: Derivation,
    },
    /// A stage of a launch is this run.
    StageRun {
        /// The launch.
        launch: LaunchId,
        /// The stage.
        stage: StageName,
        /// The run.
        run: RunId,
        /// Whether its result was there already.
        found: bool,
        /// The attempt that the launch waits for, if it asked for a new one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
    },
    /// A run without a live attempt is queued again, failed or cancelled.
    RunState {
        /// The run.
        run: RunId,
        /// Its state from now on.
        state: RunState,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An attempt begins.
    AttemptStarted {
        /// Its id; its number is one more than the run had attempts.
        attempt: AttemptId,
        /// Why it is made.
        purpose: Purpose,
        /// How its work is done.
        execution: Execution,
        /// The build of begat.
        begat: String,
        /// The name of its work folder.
        work: String,
        /// The recipe it is made for, for people.
        recipe: RecipeName,
        /// The stage it is made for, for people.
        stage: StageName,
    },
    /// An attempt has a process.
    AttemptProcess {
        /// The attempt.
        attempt: AttemptId,
        /// What tells the process from all others.
        process: Process,
    },
    /// An attempt goes on.
    AttemptResumed {
        /// The attempt.
        attempt: AttemptId,
        /// From which checkpoint; from the beginning if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from_step: Option<u64>,
    },
    /// An attempt is stored, interrupted, or queued again.
    AttemptState {
        /// The attempt.
        attempt: AttemptId,
        /// Its state from now on.
        state: RunState,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An attempt ended.
    AttemptEnded {
        /// The attempt.
        attempt: AttemptId,
        /// How.
        end: AttemptEnd,
    },
    /// A checkpoint was stored for good: `RUN@STEP`.
    CheckpointKept {
        /// The attempt that wrote it.
        attempt: AttemptId,
        /// Its step.
        step: u64,
        /// The tree.
        tree: TreeDigest,
    },
    /// A ref points elsewhere.
    RefMoved {
        /// Its name.
        name: RefName,
        /// Where it points; nowhere if it was removed.
        tree: Option<TreeDigest>,
        /// Who or what moved it.
        reason: String,
    },
    /// Someone added a tree from outside.
    TreeAdded {
        /// The tree.
        tree: TreeDigest,
        /// Who.
        by: String,
        /// What it was called there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Number of files.
        files: u64,
        /// Their size, in bytes.
        bytes: u64,
    },
    /// A run and its attempts are forgotten.
    RunRemoved {
        /// The run.
        run: RunId,
    },
    /// Someone asked whether runs can be made again.
    ReproductionCreated {
        /// Its id.
        id: Uuid,
        /// What was asked for.
        request: ReproduceRequest,
        /// The runs, oldest ancestor first.
        runs: Vec<RunId>,
    },
    /// What came of making a run again; the newest verdict on a run counts.
    ReproductionVerdict {
        /// The reproduction.
        id: Uuid,
        /// The verdict.
        verdict: RunVerdict,
    },
    /// A reproduction came to an end.
    ReproductionState {
        /// The reproduction.
        id: Uuid,
        /// How it stands.
        state: ReproduceState,
    },
}

/// A stage of a launch, as the ledger needs it to say how the launch stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchStage {
    /// Its name.
    pub stage: StageName,
    /// Its kind.
    pub kind: StageKind,
    /// The stages that it takes inputs from.
    pub needs: Vec<StageName>,
}

/// What tells a process from all others, so that a restarted daemon finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// When it started, in the kernel's ticks since boot.
    pub start_ticks: u64,
    /// The boot it lives in.
    pub boot_id: String,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptEnd {
    /// `Succeeded`, `Failed` or `Cancelled`.
    pub state: RunState,
    /// What it produced.
    pub outputs: BTreeMap<OutputName, TreeDigest>,
    /// How its process ended.
    pub exit: Option<Exit>,
    /// Why it failed.
    pub reason: Option<String>,
    /// The blob of its journal.
    pub journal: Option<BlobDigest>,
    /// The blob of what it wrote to its standard error.
    pub log: Option<BlobDigest>,
    /// What else could move a bit.
    pub execution_class: Option<ExecutionClass>,
    /// The last value of each metric.
    pub metrics: BTreeMap<String, Metric>,
    /// Steps done and planned.
    pub progress: Option<(u64, u64)>,
    /// How long it took, interruptions not counted.
    pub seconds: f64,
}
