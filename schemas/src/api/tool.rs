//! What commands print with `--json` that no request answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::TreeDigest;

/// Completions of a prompt: `begat sample`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Completions {
    /// The completions.
    pub completions: Vec<Completion>,
}

/// A completion.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Completion {
    /// Which it is, from 0.
    pub index: u32,
    /// Its text.
    pub text: String,
    /// `stop` (the model ended it, or a stop text came) or `length`; absent if it was cut off.
    pub finish_reason: Option<String>,
    /// Its tokens.
    pub tokens: Option<u32>,
}

/// A tree that was written to a folder: `begat checkout`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckedOut {
    /// The tree.
    pub tree: TreeDigest,
    /// The folder, as it was named.
    pub folder: String,
}

/// A run that was forgotten: `begat rm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunRemoved {
    /// The run, or the attempt that was named to mean it.
    pub run: String,
}

/// The demo's datasets: `begat demo-data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DemoData {
    /// The datasets, each a folder.
    pub datasets: Vec<DemoDataset>,
    /// Number of crates read.
    pub crates: u64,
    /// Number of them whose functions only the held-out datasets have.
    pub crates_held_out: u64,
    /// Number of documented signatures.
    pub pairs: u64,
}

/// A dataset of the demo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DemoDataset {
    /// Its name, and that of its folder.
    pub name: String,
    /// Its files.
    pub files: Vec<DemoFile>,
}

/// A file of a dataset of the demo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DemoFile {
    /// Its name.
    pub name: String,
    /// Number of rows.
    pub rows: u64,
    /// Its size, in bytes.
    pub bytes: u64,
}
