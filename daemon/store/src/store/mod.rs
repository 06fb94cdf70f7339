//! The store itself: what a put, a read and a commit do to packs and index.
//!
//! The order that keeps promise 3 ("acknowledged means durable"): records are appended to an open pack and remembered as
//! *pending*; a commit syncs the pack and only then moves them to the index. So the index never knows of a record that a power
//! cut could take away, and nothing can be found "already stored" that is not there after it.

mod commit;
mod footprint;
mod open;
mod put;
mod questions;
mod read;
mod rebuild;
mod traffic;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use begat_schemas::Digest;
use parking_lot::{Mutex, RwLock};

use crate::encoding::Encoder;
use crate::error::Error;
use crate::fs::{DiskFs, Fs, FsLock};
use crate::index::{DistrustedSled, Doubt};
use crate::pack::reader::Packs;
use crate::pack::record::Kind;
use crate::pack::trailer::Location;
use crate::pack::writer::OpenPack;
use crate::pack::{PACK_BYTES, PackNumber};
pub use footprint::{Footprint, Footprints};
pub use put::{PutBlob, StoredBlob};
pub use questions::{FIND_LIMIT, ObjectKind, Statistics};
pub use read::BlobReader;
pub(crate) use read::decode_list;
use rebuild::Counters;
pub(crate) use rebuild::{PackFile, list_packs, pack_entries};
use traffic::Flow;
pub use traffic::Traffic;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where its packs are; created when absent.
    pub folder: PathBuf,
    /// The file system of that folder.
    pub fs: Arc<dyn Fs>,
    /// Where sled keeps its files, on the real disk: by default `index` in the folder.
    pub index_folder: Option<PathBuf>,
    /// How many threads a put of a large blob may use to encode; 0 stands for the machine's cores, at most 4.
    pub threads: usize,
    /// At how many bytes a pack is sealed. Smaller ones are for tests.
    #[doc(hidden)]
    pub pack_bytes: u64,
}

impl StoreOptions {
    /// A store on the machine's disk.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            fs: Arc::new(DiskFs),
            index_folder: None,
            threads: 0,
            pack_bytes: PACK_BYTES,
        }
    }
}

/// What opening a store found and did, for the log.
#[derive(Debug, Default)]
pub struct OpenReport {
    /// Why the index was made afresh, if it was.
    pub index_rebuilt: Option<Doubt>,
    /// Records that were in sealed packs but not in the index.
    pub records_replayed: u64,
    /// What was saved from packs that an earlier process left unfinished, in sentences.
    pub recovered: Vec<String>,
}

/// Bytes by hash. Shared by threads; one process at a time.
#[derive(Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) folder: PathBuf,
    pub(crate) packs_folder: PathBuf,
    threads: usize,
    pack_bytes: u64,
    pub(crate) packs: Packs,
    pub(crate) index: DistrustedSled,
    /// Records that no sync has covered yet.
    pub(crate) pending: RwLock<HashMap<(Kind, Digest), Location>>,
    /// Who appends. Taken after `turn`, never before.
    pub(crate) writer: Mutex<Writer>,
    /// Who makes durable: one at a time, the others find their work done.
    turn: Mutex<()>,
    /// Up to where each pack that is not sealed is durable; what a rebuild of the index may read.
    durable: Durable,
    counters: Mutex<Counters>,
    /// Shared by all work, exclusive to gc.
    pub(crate) work: RwLock<()>,
    idle_encoder: Mutex<Option<Encoder>>,
    ingested: Flow,
    restored: Flow,
    /// Last, so that the folder is free only when all else is gone.
    _lock: Box<dyn FsLock>,
}

/// Durable lengths of packs that are not sealed.
pub(crate) type Durable = Arc<Mutex<BTreeMap<PackNumber, u64>>>;

/// The end of the store, where records are added.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) open: Option<OpenPack>,
    next_number: PackNumber,
    poisoned: Option<String>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// How many threads one piece of work may use.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Where the record is, pending or indexed.
    pub(crate) fn locate(&self, kind: Kind, id: Digest) -> Result<Option<Location>, Error> {
        if let Some(at) = self.pending.read().get(&(kind, id)) {
            return Ok(Some(*at));
        }
        let value = self.index.get(&index_key(kind, id))?;
        Ok(value.as_deref().and_then(decode_location))
    }

    pub(crate) fn knows(&self, kind: Kind, id: Digest) -> Result<bool, Error> {
        Ok(self.locate(kind, id)?.is_some())
    }
}

/// A record's key in the index.
pub(crate) fn index_key(kind: Kind, id: Digest) -> Vec<u8> {
    let mut key = Vec::with_capacity(33);
    key.push(kind.tag());
    key.extend_from_slice(id.as_bytes());
    key
}

/// A record's place, as the index keeps it.
pub(crate) fn encode_location(at: Location) -> Vec<u8> {
    let mut value = Vec::with_capacity(20);
    value.extend_from_slice(&at.pack.to_le_bytes());
    value.extend_from_slice(&at.offset.to_le_bytes());
    value.extend_from_slice(&at.length.to_le_bytes());
    value.extend_from_slice(&at.content.to_le_bytes());
    value
}

pub(crate) fn decode_location(value: &[u8]) -> Option<Location> {
    let value: &[u8; 20] = value.try_into().ok()?;
    let word =
        |at: usize| u32::from_le_bytes([value[at], value[at + 1], value[at + 2], value[at + 3]]);
    Some(Location {
        pack: word(0),
        offset: word(4),
        length: word(8),
        content: u64::from(word(12)) | u64::from(word(16)) << 32,
    })
}
