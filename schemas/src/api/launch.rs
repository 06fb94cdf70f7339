use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::recipe::Override;
use crate::{
    BlobDigest, Difference, LaunchId, OutputName, Recipe, RecipeName, RunId, RunState, StageKind,
    StageName, Time, TreeDigest,
};

/// A request to run a recipe, or to say what running it would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LaunchRequest {
    /// The recipe with everything filled in.
    #[schemars(with = "BTreeMap<String, Value>")]
    pub recipe: Recipe,
    /// What the caller changed in the file, for the record.
    #[serde(default)]
    pub overrides: Vec<Override>,
    /// Stages to run again though their results are there.
    #[serde(default)]
    pub rerun: Vec<StageName>,
}

/// A launch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LaunchView {
    /// Its id.
    pub launch: LaunchId,
    /// The recipe's name.
    pub recipe: RecipeName,
    /// The blob that holds the resolved recipe.
    pub recipe_blob: BlobDigest,
    /// What was changed on the command line.
    pub overrides: Vec<Override>,
    /// When it was submitted.
    pub created: Time,
    /// How it stands.
    pub state: LaunchState,
    /// Its stages in running order.
    pub stages: Vec<StageView>,
}

/// How a launch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LaunchState {
    /// Some stage may still run.
    Running,
    /// Every stage's result is there.
    Succeeded,
    /// Some stage failed, and what does not depend on it is done.
    Failed,
    /// Someone cancelled it.
    Cancelled,
}

/// How a stage of a launch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StageState {
    /// An input is not there yet, so that its run id is not known.
    Waiting,
    /// A stage it depends on failed or was cancelled.
    Blocked,
    /// Its run waits for a device slot.
    Queued,
    /// Its run is alive.
    Running,
    /// Its outputs are being stored.
    Storing,
    /// It was ended from outside and will go on by itself.
    Interrupted,
    /// Its outputs are there.
    Succeeded,
    /// It gave up.
    Failed,
    /// Someone cancelled it.
    Cancelled,
}

impl From<RunState> for StageState {
    fn from(state: RunState) -> Self {
        match state {
            RunState::Queued => Self::Queued,
            RunState::Running => Self::Running,
            RunState::Storing => Self::Storing,
            RunState::Interrupted => Self::Interrupted,
            RunState::Succeeded => Self::Succeeded,
            RunState::Failed => Self::Failed,
            RunState::Cancelled => Self::Cancelled,
        }
    }
}

/// A stage of a launch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageView {
    /// Its name.
    pub stage: StageName,
    /// Its kind.
    pub kind: StageKind,
    /// Its run, once all inputs are known.
    pub run: Option<RunId>,
    /// How it stands.
    pub state: StageState,
    /// Whether the result was there already, so that nothing was executed for this launch.
    pub found: bool,
    /// Its outputs.
    pub outputs: BTreeMap<OutputName, TreeDigest>,
    /// Why it failed or is blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Steps done and planned, while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<(u64, u64)>,
}

/// What a launch would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The recipe's name.
    pub recipe: RecipeName,
    /// Its stages in running order.
    pub stages: Vec<PlannedStage>,
}

/// What a launch would do with a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanAction {
    /// Its result is there.
    Found,
    /// It is running or queued for another launch, and would be shared.
    Shared,
    /// It would run.
    Run,
    /// Known only after a stage it depends on.
    KnownAfter,
}

/// A stage in a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStage {
    /// Its name.
    pub stage: StageName,
    /// Its kind.
    pub kind: StageKind,
    /// Its run, if all inputs are known.
    pub run: Option<RunId>,
    /// What would be done.
    pub action: PlanAction,
    /// The stages it waits for.
    pub known_after: Vec<StageName>,
    /// The finished run nearest to it, and in what it differs: why it would run.
    pub difference: Option<PlanDifference>,
}

/// In what a planned run differs from one that is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanDifference {
    /// The run that is there.
    pub nearest: RunId,
    /// The keys; `left` is the planned value, `right` that of the run that is there.
    pub keys: Vec<Difference>,
}

/// A run that made a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Producer {
    /// The run.
    pub run: RunId,
    /// Which of its outputs the tree is.
    pub output: OutputName,
}
