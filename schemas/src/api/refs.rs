use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, RefName, Time, TreeDigest};

/// A ref and where it points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefView {
    /// Its name.
    pub name: RefName,
    /// The tree.
    pub tree: TreeDigest,
    /// Since when.
    pub updated: Time,
    /// Who or what moved it there.
    pub reason: String,
}

/// One move of a ref.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefChange {
    /// When.
    pub time: Time,
    /// Where it pointed from then on; nowhere if it was removed.
    pub tree: Option<TreeDigest>,
    /// Who or what moved it.
    pub reason: String,
}

/// A request to move a ref.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefPut {
    /// What it shall name: a tree's digest or its first digits, a run, or another ref.
    pub target: String,
    /// Why, kept in its history.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What kind of object a digest or name stands for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CandidateKind {
    /// A run.
    Run,
    /// An attempt.
    Attempt,
    /// A launch.
    Launch,
    /// A recipe, which stands for its newest launch.
    Recipe,
    /// A ref.
    Ref,
    /// A folder.
    Tree,
    /// A file's content.
    Blob,
}

/// An object that a name or prefix may mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// What it is.
    pub kind: CandidateKind,
    /// Its full name: 64 digits, a ref, a recipe, a launch.
    pub id: String,
    /// The digest it leads to: a run's id, a tree, a blob.
    pub digest: Option<Digest>,
    /// What a person knows it by, such as `gpt/sft`.
    pub label: Option<String>,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resolution {
    /// The name as asked.
    pub query: String,
    /// What it may mean: one, or several if it is ambiguous. None is an error instead.
    pub candidates: Vec<Candidate>,
}
