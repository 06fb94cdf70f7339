use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{BlobDigest, TreeDigest};

/// Which daemon answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// The version of begat.
    pub version: String,
    /// The version of the data folder's format.
    pub data_format: u32,
    /// The version of the stage contract.
    pub contract: u32,
    /// The data folder.
    pub data: String,
    /// The daemon's process id.
    pub pid: u32,
}

/// Blobs that the store lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// Their digests: asked for in a request, lacking in an answer.
    pub blobs: Vec<BlobDigest>,
}

/// A tree that is now stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TreeAdded {
    /// The tree.
    pub tree: TreeDigest,
    /// Number of files.
    pub files: u64,
    /// Their size, in bytes.
    pub bytes: u64,
}

/// What to check.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FsckRequest {
    /// Whether to read and verify every byte.
    pub read_data: bool,
}

/// Something that is not as it was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectFault {
    /// What it is: `pack`, `chunk`, `blob`, `tree`, `ref`, `run`.
    pub kind: String,
    /// Its digest or name.
    pub id: String,
    /// What is wrong, in a sentence.
    pub problem: String,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FsckReport {
    /// Packs looked at.
    pub packs: u64,
    /// Chunks looked at.
    pub chunks: u64,
    /// Blobs looked at.
    pub blobs: u64,
    /// Bytes read and verified.
    pub bytes_read: u64,
    /// What is wrong; empty if all is well.
    pub faults: Vec<ObjectFault>,
}

/// What to collect.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GcRequest {
    /// Whether to say only what would be done.
    pub dry_run: bool,
}

/// What a collection did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GcReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Blobs that something leads to.
    pub live_blobs: u64,
    /// Blobs that nothing leads to.
    pub dead_blobs: u64,
    /// Packs written anew or removed.
    pub packs_rewritten: u64,
    /// Bytes on disk before.
    pub bytes_before: u64,
    /// Bytes on disk after.
    pub bytes_after: u64,
}

/// What the store holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiskUsage {
    /// Bytes of all trees as if each were copied whole.
    pub logical_bytes: u64,
    /// Bytes of distinct chunks before compression.
    pub unique_bytes: u64,
    /// Bytes on disk.
    pub stored_bytes: u64,
    /// Number of distinct chunks.
    pub chunks: u64,
    /// Number of blobs.
    pub blobs: u64,
    /// Number of pack files.
    pub packs: u64,
    /// Free bytes on the store's disk.
    pub free_bytes: u64,
    /// Per ref its size.
    pub refs: Vec<UsageEntry>,
}

/// What a named tree holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsageEntry {
    /// The ref.
    pub name: String,
    /// The tree.
    pub tree: TreeDigest,
    /// Number of files.
    pub files: u64,
    /// Bytes of its files.
    pub bytes: u64,
}
