//! Making the index afresh from the packs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Durable, Store, encode_location, index_key};
use crate::error::Error;
use crate::fs::{At, Fs, Open};
use crate::index::{Batch, BoxError, Doubt, Fill, Rebuild};
use crate::pack::reader::read_trailer;
use crate::pack::record::Kind;
use crate::pack::recover::{scan_headers, scan_verified};
use crate::pack::trailer::Entry;
use crate::pack::{PackNumber, PackState, parse_name, path, source_name};

/// The index's key of the counters.
const COUNTERS_KEY: &[u8] = b"counters";

/// What [`crate::Statistics`] counts, kept with the index so that asking costs nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub chunks: u64,
    pub blobs: u64,
    pub trees: u64,
    pub chunk_bytes: u64,
    pub blob_bytes: u64,
    /// Of trees' manifests, which are blobs too.
    pub manifest_bytes: u64,
}

impl Counters {
    pub(super) fn add(&mut self, kind: Kind, content: u64) {
        let (count, bytes) = self.of(kind);
        *count += 1;
        *bytes += content;
    }

    pub(super) fn subtract(&mut self, kind: Kind, content: u64) {
        let (count, bytes) = self.of(kind);
        *count = count.saturating_sub(1);
        *bytes = bytes.saturating_sub(content);
    }

    fn of(&mut self, kind: Kind) -> (&mut u64, &mut u64) {
        match kind {
            Kind::Chunk => (&mut self.chunks, &mut self.chunk_bytes),
            Kind::Blob => (&mut self.blobs, &mut self.blob_bytes),
            Kind::Tree => (&mut self.trees, &mut self.manifest_bytes),
        }
    }

    pub(super) fn write(&self, batch: &mut Batch) {
        batch.insert(COUNTERS_KEY, self.encode());
    }

    fn encode(&self) -> Vec<u8> {
        let words = [
            self.chunks,
            self.blobs,
            self.trees,
            self.chunk_bytes,
            self.blob_bytes,
            self.manifest_bytes,
        ];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub(super) fn read(index: &crate::index::DistrustedSled) -> Result<Self, Error> {
        let value = index.get(COUNTERS_KEY)?.unwrap_or_default();
        let mut words = value.chunks_exact(8).map(|word| {
            let bytes = word.try_into().expect("chunks of 8");
            u64::from_le_bytes(bytes)
        });
        let mut next = || words.next().unwrap_or_default();
        Ok(Self {
            chunks: next(),
            blobs: next(),
            trees: next(),
            chunk_bytes: next(),
            blob_bytes: next(),
            manifest_bytes: next(),
        })
    }
}

/// A pack file as the folder's listing shows it.
#[derive(Debug, Clone)]
pub(crate) struct PackFile {
    pub number: PackNumber,
    pub state: PackState,
    pub path: PathBuf,
    pub length: u64,
}

/// The packs in a folder, by number.
pub(crate) fn list_packs(fs: &dyn Fs, folder: &Path) -> Result<Vec<PackFile>, Error> {
    let mut packs: Vec<PackFile> = Vec::new();
    for entry in fs.list(folder).at("list", folder)? {
        let Some((number, state)) = entry.name.to_str().and_then(parse_name) else {
            continue;
        };
        packs.push(PackFile {
            number,
            state,
            path: path(folder, number, state),
            length: entry.meta.len,
        });
    }
    packs.sort_by_key(|pack| pack.number);
    Ok(packs)
}

/// The records of a sealed pack: by its trailer, or, where that is damaged, by what a scan finds whole.
pub(super) fn sealed_entries(fs: &dyn Fs, pack: &PackFile) -> Result<Vec<Entry>, Error> {
    match read_trailer(fs, &pack.path) {
        Err(Error::BadPack { .. }) => {
            let file = fs.open(&pack.path, Open::Read).at("open", &pack.path)?;
            let scan = scan_verified(&*file, 0, pack.length).at("read", &pack.path)?;
            Ok(scan.entries)
        }
        other => Ok(other?.0),
    }
}

/// The records of a pack, sealed or not, by what it says of itself.
pub(crate) fn pack_entries(fs: &dyn Fs, pack: &PackFile) -> Result<Vec<Entry>, Error> {
    match pack.state {
        PackState::Sealed => sealed_entries(fs, pack),
        PackState::Open => {
            let file = fs.open(&pack.path, Open::Read).at("open", &pack.path)?;
            let scan = scan_headers(&*file, 0, pack.length).at("read", &pack.path)?;
            Ok(scan.entries)
        }
    }
}

/// What fills a new index from the packs in `folder`.
pub(super) fn rebuild_from(fs: Arc<dyn Fs>, folder: PathBuf, durable: Durable) -> Arc<Rebuild> {
    Arc::new(move |fill: &mut Fill<'_>| {
        let mut counters = Counters::default();
        for pack in list_packs(&*fs, &folder)? {
            let (entries, position) = match pack.state {
                PackState::Sealed => (sealed_entries(&*fs, &pack)?, pack.length),
                PackState::Open => match durable.lock().get(&pack.number).copied() {
                    // Not known to be durable: recovery sees to it when the store is opened.
                    None => continue,
                    Some(end) => {
                        let file = fs.open(&pack.path, Open::Read).at("open", &pack.path)?;
                        let scan = scan_headers(&*file, 0, end).at("read", &pack.path)?;
                        (scan.entries, end)
                    }
                },
            };
            for entry in entries {
                add(fill, &mut counters, pack.number, &entry)?;
            }
            fill.set_position(&source_name(pack.number), position)?;
        }
        fill.insert(COUNTERS_KEY, counters.encode())
    })
}

fn add(
    fill: &mut Fill<'_>,
    counters: &mut Counters,
    pack: PackNumber,
    entry: &Entry,
) -> Result<(), BoxError> {
    let key = index_key(entry.kind, entry.id);
    // A gc that was cut off leaves a record in two packs.
    if fill.get(&key)?.is_none() {
        counters.add(entry.kind, entry.content);
    }
    fill.insert(key, encode_location(entry.location(pack)))
}

impl Store {
    /// Why the index was made afresh while the store was open, since this was last asked: for the log.
    pub fn take_index_doubts(&self) -> Vec<Doubt> {
        self.inner.index.take_doubts()
    }

    /// Throws the index away and makes it afresh from the packs.
    pub fn rebuild_index(&self) -> Result<(), Error> {
        self.inner.commit()?;
        let _alone = self.inner.work.write();
        self.inner.index.rebuild()?;
        *self.inner.counters.lock() = Counters::read(&self.inner.index)?;
        Ok(())
    }
}
