use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AttemptId, Derivation, Event, Execution, ExecutionClass, Exit, InputName, LaunchId, Metric,
    OutputName, Purpose, RecipeName, RefName, RunId, RunState, StageKind, StageName, Time,
    TreeDigest,
};

/// A run, in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    /// Its id.
    pub run: RunId,
    /// The recipe of the newest launch that uses it.
    pub recipe: Option<RecipeName>,
    /// The stage's name in that launch.
    pub stage: Option<StageName>,
    /// Its kind.
    pub kind: StageKind,
    /// The launches that use it, newest first.
    pub launches: Vec<LaunchId>,
    /// How it stands.
    pub state: RunState,
    /// Its outputs.
    pub outputs: BTreeMap<OutputName, TreeDigest>,
    /// The last value of each metric.
    pub metrics: BTreeMap<String, Metric>,
    /// When its first attempt began.
    pub started: Option<Time>,
    /// Seconds that the attempt that counts took, or has taken so far; the time before it went on after a stop is none of them.
    pub seconds: Option<f64>,
    /// Steps done and planned.
    pub progress: Option<(u64, u64)>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Number of attempts, reproductions included.
    pub attempts: u32,
}

/// A run with all that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunDetail {
    /// What a list shows.
    #[serde(flatten)]
    pub view: RunView,
    /// What determines its result.
    pub derivation: Derivation,
    /// What it consumed.
    pub inputs: BTreeMap<InputName, InputView>,
    /// The refs that point at its outputs.
    pub refs: Vec<RefName>,
    /// Its attempts, oldest first.
    pub attempt_list: Vec<AttemptView>,
}

/// An input of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InputView {
    /// The tree.
    pub tree: TreeDigest,
    /// The run that made it, if one did.
    pub producer: Option<RunId>,
    /// Refs that point at it.
    pub refs: Vec<RefName>,
}

/// An attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    /// Its id.
    pub attempt: AttemptId,
    /// Why it was made.
    pub purpose: Purpose,
    /// How it stands.
    pub state: RunState,
    /// How its work is done.
    pub execution: Execution,
    /// What else could move a bit.
    pub execution_class: Option<ExecutionClass>,
    /// The build of begat that ran it.
    pub begat: String,
    /// When it began.
    pub started: Time,
    /// When it ended.
    pub ended: Option<Time>,
    /// How often it went on from a checkpoint.
    pub resumes: u32,
    /// What it produced.
    pub outputs: BTreeMap<OutputName, TreeDigest>,
    /// How its process ended.
    pub exit: Option<Exit>,
    /// Why it failed.
    pub reason: Option<String>,
}

/// Curves of a run's attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricsView {
    /// The attempt.
    pub attempt: AttemptId,
    /// The first and last step there are.
    pub steps: Option<(u64, u64)>,
    /// Per metric its points: step and value, thinned to the number asked for.
    pub series: BTreeMap<String, Vec<(u64, Metric)>>,
    /// Whether points were left out.
    pub thinned: bool,
}

/// A piece of what a stage wrote to its standard error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogChunk {
    /// The attempt.
    pub attempt: AttemptId,
    /// Where the piece begins, in bytes.
    pub offset: u64,
    /// The text; bytes that are no UTF-8 are replaced.
    pub text: String,
    /// Where to ask for more.
    pub next_offset: u64,
    /// Whether the attempt has ended, so that nothing will be added.
    pub ended: bool,
}

/// One message of a run's event stream. Its server-sent id is `<attempt number>.<seq>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StreamEvent {
    /// A line of an attempt's journal.
    Journal {
        /// The attempt's number.
        attempt: u32,
        /// The line.
        event: Event,
    },
    /// The run's state changed.
    State {
        /// The state.
        state: RunState,
        /// Why, if it failed.
        reason: Option<String>,
    },
}
