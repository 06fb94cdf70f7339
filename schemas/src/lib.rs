//! Every type of begat that crosses a process or reaches a disk.
//!
//! One derive serves Rust, the JSON Schemas in `json/` and the OpenAPI document, so that they cannot drift apart.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod canonical;
mod digest;
mod tree;

pub use canonical::{CanonicalError, INTEGER_MAX, canonical_json};
pub use digest::{
    BlobDigest, ChunkId, Digest, DigestPrefix, NotADigest, PREFIX_DIGITS_MIN, PackId, RunId,
    SHORT_DIGITS, TreeDigest,
};
pub use tree::{BadTree, BadTreePath, Tree, TreeEntry, TreeFormat, TreePath};
