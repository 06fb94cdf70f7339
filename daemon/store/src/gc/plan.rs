//! What is alive, and which packs hold what is not.

use std::collections::BTreeSet;

use begat_schemas::{BlobDigest, Digest, Tree, TreeDigest};

use super::{GcReport, Marked, Root};
use crate::error::Error;
use crate::pack::reader::{Scratch, read_trailer};
use crate::pack::record::Kind;
use crate::pack::trailer::{Entry, Location};
use crate::pack::{PackNumber, PackState};
use crate::store::{Inner, PackFile, list_packs, pack_entries};

/// Marks what `roots` need. A root that is not here, or damaged, is an error: then too little would be marked.
pub(super) fn mark(inner: &Inner, roots: &[Root]) -> Result<Marked, Error> {
    let mut marked = Marked::default();
    for root in roots {
        match root {
            Root::Blob(blob) => mark_blob(inner, *blob, &mut marked)?,
            Root::Tree(tree) => mark_tree(inner, *tree, &mut marked)?,
        }
    }
    Ok(marked)
}

fn mark_tree(inner: &Inner, digest: TreeDigest, marked: &mut Marked) -> Result<(), Error> {
    if !inner.knows(Kind::Tree, digest.digest())? {
        return Err(Error::NoTree { tree: digest });
    }
    if !marked.records.insert((Kind::Tree, digest.digest())) {
        return Ok(());
    }
    mark_blob(inner, digest.manifest(), marked)?;
    let manifest = read_blob(inner, digest.manifest())?;
    let tree = Tree::from_manifest(&manifest).map_err(|source| Error::TreeDamaged {
        tree: digest,
        source,
    })?;
    for entry in tree.entries() {
        mark_blob(inner, entry.blob, marked)?;
    }
    Ok(())
}

fn mark_blob(inner: &Inner, blob: BlobDigest, marked: &mut Marked) -> Result<(), Error> {
    if !marked.records.insert((Kind::Blob, blob.digest())) {
        return Ok(());
    }
    let list = inner.chunk_list_alone(blob)?;
    let chunks = list.chunks.iter();
    marked
        .records
        .extend(chunks.map(|chunk| (Kind::Chunk, chunk.id.digest())));
    Ok(())
}

fn read_blob(inner: &Inner, blob: BlobDigest) -> Result<Vec<u8>, Error> {
    let mut scratch = Scratch::new();
    let (mut bytes, mut plain) = (Vec::new(), Vec::new());
    for chunk in inner.chunk_list_alone(blob)?.chunks {
        inner.read_chunk_alone(blob, chunk, &mut scratch, &mut plain)?;
        bytes.extend_from_slice(&plain);
    }
    Ok(bytes)
}

/// What will be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Live records to copy out of packs that go.
    pub copies: Vec<(Kind, Digest, Location)>,
    /// Records that go: with the bytes of what they stand for.
    pub dead: Vec<(Kind, Digest, u64)>,
    /// Packs that go.
    pub packs: Vec<PackFile>,
    live: [u64; 3],
    copied_bytes: u64,
    freed_bytes: u64,
}

impl Plan {
    pub(super) fn report(&self, dry_run: bool) -> GcReport {
        let dead = |kind| self.dead.iter().filter(|(of, ..)| *of == kind).count() as u64;
        let [live_chunks, live_blobs, live_trees] = self.live;
        GcReport {
            dry_run,
            live_blobs,
            live_trees,
            live_chunks,
            dead_blobs: dead(Kind::Blob),
            dead_trees: dead(Kind::Tree),
            dead_chunks: dead(Kind::Chunk),
            copied_bytes: self.copied_bytes,
            freed_bytes: self.freed_bytes,
            removed_packs: self.packs.len() as u64,
        }
    }
}

pub(super) fn plan(inner: &Inner, marked: &Marked) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    for kind in Kind::ALL {
        let live = marked.records.iter().filter(|(of, _)| *of == kind).count();
        plan.live[usize::from(kind.tag()) - 1] = live as u64;
    }
    let mut dead = BTreeSet::new();
    for pack in list_packs(&*inner.fs, &inner.packs_folder)? {
        look_into(inner, pack, marked, &mut plan, &mut dead)?;
    }
    Ok(plan)
}

fn look_into(
    inner: &Inner,
    pack: PackFile,
    marked: &Marked,
    plan: &mut Plan,
    dead: &mut BTreeSet<(Kind, Digest)>,
) -> Result<(), Error> {
    let mut copies = Vec::new();
    let mut needless = false;
    // A damaged pack may hold more than can be listed, so it is an error here and nothing is removed.
    let entries = match pack.state {
        PackState::Sealed => read_trailer(&*inner.fs, &pack.path)?.0,
        PackState::Open => pack_entries(&*inner.fs, &pack)?,
    };
    for entry in entries {
        if is_needed(inner, marked, pack.number, &entry)? {
            copies.push((entry.kind, entry.id, entry.location(pack.number)));
            continue;
        }
        needless = true;
        let key = (entry.kind, entry.id);
        // A second copy of a live record goes with its pack, but is not dead.
        if !marked.records.contains(&key) && dead.insert(key) {
            plan.dead.push((entry.kind, entry.id, entry.content));
        }
    }
    if needless || copies.is_empty() {
        let kept: u64 = copies.iter().map(|(.., at)| u64::from(at.length)).sum();
        plan.copied_bytes += kept;
        plan.freed_bytes += pack.length - kept;
        plan.copies.append(&mut copies);
        plan.packs.push(pack);
    }
    Ok(())
}

/// Whether this very copy of the record is the one that is used.
fn is_needed(
    inner: &Inner,
    marked: &Marked,
    pack: PackNumber,
    entry: &Entry,
) -> Result<bool, Error> {
    if !marked.records.contains(&(entry.kind, entry.id)) {
        return Ok(false);
    }
    let used = inner.locate(entry.kind, entry.id)?;
    Ok(used.is_none_or(|at| at.pack == pack && at.offset == entry.offset))
}
