use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AttemptId, Device, OutputName, RunId, Time, TreeDigest, TreePath};

/// A request to make a result again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReproduceRequest {
    /// A run, a ref, or the digest of a tree; a prefix will do.
    pub target: String,
    /// Whether to make its whole ancestry again, oldest first.
    pub deep: bool,
    /// Threads to do it with; as before if absent.
    pub threads: Option<u32>,
    /// Device to do it on; as before if absent.
    pub device: Option<Device>,
}

/// How a reproduction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReproduceState {
    /// Some run is still being made again.
    Running,
    /// Every output came out bit for bit.
    Identical,
    /// Some output differs.
    Different,
    /// What is stored is not what was stored: an object is damaged.
    Corrupt,
    /// A run could not be made again.
    Failed,
}

/// A reproduction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReproduceView {
    /// Its id.
    pub id: Uuid,
    /// What was asked for.
    pub request: ReproduceRequest,
    /// When.
    pub created: Time,
    /// How it stands.
    pub state: ReproduceState,
    /// Per run what came of it, oldest ancestor first.
    pub verdicts: Vec<RunVerdict>,
}

/// What came of making a run again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunVerdict {
    /// The run.
    pub run: RunId,
    /// `recipe/stage`, if it belongs to a launch.
    pub label: Option<String>,
    /// The attempt whose outputs count.
    pub original: AttemptId,
    /// The new attempt, once it began.
    pub attempt: Option<AttemptId>,
    /// How it stands.
    pub state: ReproduceState,
    /// Whether both attempts ran in one execution class; absent until known.
    pub same_execution_class: Option<bool>,
    /// Probe operations whose bits differ between the two machines.
    pub differing_probes: Vec<String>,
    /// The first step whose fingerprint differs.
    pub first_differing_step: Option<u64>,
    /// Number of steps whose fingerprints were compared.
    pub steps_compared: u64,
    /// Per output what was found.
    pub outputs: Vec<OutputVerdict>,
    /// Why it failed, or what is corrupt.
    pub reason: Option<String>,
}

/// What was found of an output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutputVerdict {
    /// Its name.
    pub output: OutputName,
    /// The tree that is stored.
    pub expected: TreeDigest,
    /// The tree made now.
    pub found: TreeDigest,
    /// Number of tensors compared.
    pub tensors: u64,
    /// Number of tensors that are equal in every bit.
    pub identical_tensors: u64,
    /// The files that differ.
    pub differing_files: Vec<FileVerdict>,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileVerdict {
    /// Its path in the output.
    pub path: TreePath,
    /// What differs: `content`, `only in the stored output`, `only in the new output`.
    pub what: String,
    /// The tensors that differ, in the file's order.
    pub tensors: Vec<TensorVerdict>,
}

/// A tensor that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TensorVerdict {
    /// Its name.
    pub name: String,
    /// Number of elements that differ.
    pub differing: u64,
    /// Number of elements.
    pub elements: u64,
    /// The largest absolute difference; absent if shapes or dtypes differ.
    pub max_difference: Option<f64>,
}
