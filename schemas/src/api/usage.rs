use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::TreeDigest;

/// A question: how many bytes several lists of trees take, and how many of them they share.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageRequest {
    /// The lists; a tree may be in several, and several times in one.
    pub lists: Vec<Vec<TreeDigest>>,
}

impl UsageRequest {
    /// The most lists of one request.
    pub const LISTS_MAX: usize = 16;
    /// The most trees of one request, all lists together.
    pub const TREES_MAX: usize = 4096;
}

/// How many bytes lists of trees take. What is in the store once counts once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// What every list needs.
    pub shared: Footprint,
    /// The lists, in the order of the request.
    pub lists: Vec<ListUsage>,
}

/// How many bytes a list of trees takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListUsage {
    /// What the list needs.
    pub whole: Footprint,
    /// What no other list of the request needs.
    pub own: Footprint,
}

/// A number of bytes, before and after compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Footprint {
    /// Bytes of distinct chunks before compression.
    pub unique_bytes: u64,
    /// Bytes on disk, lists of chunks included.
    pub stored_bytes: u64,
}
