//! Removing what nothing needs any more.
//!
//! First a plan, from the roots that are alive, that changes nothing. Then: live records of the packs that hold dead ones are
//! copied to new packs and synced, the index follows, and only then are the old packs removed. A crash in between leaves some
//! records twice, never less than once.

mod apply;
mod plan;

use std::collections::BTreeSet;

use begat_schemas::{BlobDigest, TreeDigest};
use serde::Serialize;

use crate::error::Error;
use crate::store::Store;

/// What must be kept, with all it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Root {
    /// A blob.
    Blob(BlobDigest),
    /// A tree, its manifest and its files.
    Tree(TreeDigest),
}

/// How garbage is collected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcOptions {
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What a collection did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GcReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Blobs that are kept.
    pub live_blobs: u64,
    /// Trees that are kept.
    pub live_trees: u64,
    /// Chunks that are kept.
    pub live_chunks: u64,
    /// Blobs that go.
    pub dead_blobs: u64,
    /// Trees that go.
    pub dead_trees: u64,
    /// Chunks that go.
    pub dead_chunks: u64,
    /// Bytes in packs that are copied to new ones.
    pub copied_bytes: u64,
    /// Bytes in packs that are freed.
    pub freed_bytes: u64,
    /// Packs that are removed.
    pub removed_packs: u64,
}

impl Store {
    /// Removes everything that `live` does not need. Nothing else can be put or read while it runs, and the caller sees to it
    /// that `live` is complete: what was put and is not named by it is gone.
    pub fn gc(
        &self,
        live: impl IntoIterator<Item = Root>,
        options: GcOptions,
    ) -> Result<GcReport, Error> {
        let inner = &self.inner;
        inner.commit()?;
        let _alone = inner.work.write();
        let roots: Vec<Root> = live.into_iter().collect();
        let marked = plan::mark(inner, &roots)?;
        // Only sealed packs can be removed, so what is dead in the open one needs it sealed.
        if !options.dry_run {
            inner.seal_open_pack(1)?;
        }
        let plan = plan::plan(inner, &marked)?;
        let report = plan.report(options.dry_run);
        if !options.dry_run {
            apply::apply(inner, &plan)?;
        }
        Ok(report)
    }
}

/// Everything the roots need.
#[derive(Debug, Default)]
pub(crate) struct Marked {
    pub records: BTreeSet<(crate::pack::record::Kind, begat_schemas::Digest)>,
}
