//! What one can ask of a store without reading its bytes.

use std::collections::BTreeSet;

use begat_schemas::{BlobDigest, Digest, DigestPrefix, TreeDigest};
use serde::Serialize;

use super::rebuild::list_packs;
use super::{Store, index_key};
use crate::error::Error;
use crate::pack::record::Kind;

/// The most objects that [`Store::find`] lists.
pub const FIND_LIMIT: usize = 64;

/// What a digest found by its prefix names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// A file's bytes.
    Blob,
    /// A folder.
    Tree,
}

/// How much a store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Files' contents, trees' manifests among them.
    pub blobs: u64,
    /// Folders.
    pub trees: u64,
    /// Pieces of blobs.
    pub chunks: u64,
    /// Pack files.
    pub packs: u64,
    /// Bytes of all blobs, each counted once.
    pub logical_bytes: u64,
    /// Bytes of all chunks, each counted once.
    pub unique_bytes: u64,
    /// Bytes of the pack files.
    pub stored_bytes: u64,
}

impl Statistics {
    /// How many times smaller the store is for keeping each chunk once.
    pub fn deduplication_ratio(&self) -> f64 {
        ratio(self.logical_bytes, self.unique_bytes)
    }

    /// How many times smaller it is for compressing chunks, all overhead counted.
    pub fn compression_ratio(&self) -> f64 {
        ratio(self.unique_bytes, self.stored_bytes)
    }
}

fn ratio(before: u64, after: u64) -> f64 {
    if after == 0 {
        1.0
    } else {
        before as f64 / after as f64
    }
}

impl Store {
    /// The blob's length; `None` when it is not here.
    pub fn blob_size(&self, blob: BlobDigest) -> Result<Option<u64>, Error> {
        let at = self.inner.locate(Kind::Blob, blob.digest())?;
        Ok(at.map(|at| at.content))
    }

    /// Whether the blob is here.
    pub fn has_blob(&self, blob: BlobDigest) -> Result<bool, Error> {
        self.inner.knows(Kind::Blob, blob.digest())
    }

    /// Whether the tree is here.
    pub fn has_tree(&self, tree: TreeDigest) -> Result<bool, Error> {
        self.inner.knows(Kind::Tree, tree.digest())
    }

    /// Those of `blobs` that are not here, in their order.
    pub fn missing(&self, blobs: &[BlobDigest]) -> Result<Vec<BlobDigest>, Error> {
        let mut missing = Vec::new();
        for blob in blobs {
            if !self.has_blob(*blob)? {
                missing.push(*blob);
            }
        }
        Ok(missing)
    }

    /// Blobs and trees whose digest begins with `prefix`, sorted, at most [`FIND_LIMIT`]. A tree's manifest counts as a tree
    /// only.
    pub fn find(&self, prefix: &DigestPrefix) -> Result<Vec<(Digest, ObjectKind)>, Error> {
        let trees = self.find_kind(Kind::Tree, prefix)?;
        let blobs = self.find_kind(Kind::Blob, prefix)?;
        let mut found: Vec<(Digest, ObjectKind)> = blobs
            .into_iter()
            .filter(|blob| !trees.contains(blob))
            .map(|blob| (blob, ObjectKind::Blob))
            .collect();
        found.extend(trees.into_iter().map(|tree| (tree, ObjectKind::Tree)));
        found.sort();
        found.truncate(FIND_LIMIT);
        Ok(found)
    }

    fn find_kind(&self, kind: Kind, prefix: &DigestPrefix) -> Result<BTreeSet<Digest>, Error> {
        let inner = &self.inner;
        let (from, to) = (
            index_key(kind, prefix.lowest()),
            index_key(kind, prefix.highest()),
        );
        // A tree hides its manifest among the blobs, so twice as many are needed.
        let indexed = inner.index.scan_range(&from, &to, 2 * FIND_LIMIT)?;
        let mut found: BTreeSet<Digest> = indexed
            .iter()
            .filter_map(|(key, _)| <[u8; 32]>::try_from(&key[1..]).ok())
            .map(Digest::from_bytes)
            .collect();
        let pending = inner.pending.read();
        let waiting = pending
            .keys()
            .filter(|(of, id)| *of == kind && prefix.matches(id));
        found.extend(waiting.map(|(_, id)| *id));
        Ok(found)
    }

    /// How much the store holds, as of the last commit.
    pub fn statistics(&self) -> Result<Statistics, Error> {
        let inner = &self.inner;
        let counters = *inner.counters.lock();
        let packs = list_packs(&*inner.fs, &inner.packs_folder)?;
        Ok(Statistics {
            blobs: counters.blobs,
            trees: counters.trees,
            chunks: counters.chunks,
            packs: packs.len() as u64,
            logical_bytes: counters.blob_bytes,
            unique_bytes: counters.chunk_bytes,
            stored_bytes: packs.iter().map(|pack| pack.length).sum(),
        })
    }
}
