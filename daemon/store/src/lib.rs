//! begat's store: bytes by hash. It knows nothing of runs, models or HTTP.
//!
//! A [`Store`] keeps blobs (files' bytes) and trees (folders) under their BLAKE3 digests: cut into chunks, each kept once,
//! compressed, in append-only pack files. The packs are the truth; the sled index over them can be lost at any time. What
//! [`Store::commit`] has acknowledged survives a power cut, and what is read is verified. FORMAT.md says how it lies on disk.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod chunk;
mod encoding;
mod error;
pub mod fs;
mod fsck;
mod gc;
pub mod index;
mod pack;
mod store;
mod tree;

pub use chunk::safetensors::{SafetensorsError, check as check_safetensors};
pub use error::Error;
pub use fsck::{Damage, FsckReport};
pub use gc::{GcOptions, GcReport, Root};
pub use store::{
    BlobReader, FIND_LIMIT, Footprint, Footprints, ObjectKind, OpenReport, PutBlob, Statistics,
    Store, StoreOptions, StoredBlob, Traffic,
};

pub use tree::{AddedFolder, Materialise, Walk, WalkedFile, hash_file, walk_folder};

/// The disk that fails when told to, for the tests of this crate and of those that build on it.
#[doc(hidden)]
pub mod faults {
    pub use crate::fs::faulty::{Fault, FaultyFs};
}
