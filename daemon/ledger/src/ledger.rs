//! Opening, appending to and closing the ledger.

use std::path::PathBuf;
use std::sync::Arc;

use begat_schemas::Time;
use begat_store::fs::{DiskFs, Fs, FsError};
use begat_store::index::{BoxError, DistrustedSled, Doubt, Fill, Place, Rebuild, Sources};
use parking_lot::Mutex;

use crate::commit::{Committer, GroupCommit, Shared};
use crate::error::LedgerError;
use crate::fold::fold_append;
use crate::log::{Append, Cut, LogFolder, Position, source_name, source_number};
use crate::record::Record;
use crate::view::{Filling, Overlay};

/// What sled may cache of the ledger's index.
const CACHE_BYTES: u64 = 4 << 20;

/// Longest file of the log, but for one group.
const LOG_FILE_BYTES: u64 = 1 << 20;

/// Where a ledger lives.
#[derive(Debug, Clone)]
pub struct LedgerOptions {
    /// The folder of its log.
    pub folder: PathBuf,
    /// The file system of the log.
    pub fs: Arc<dyn Fs>,
    /// The folder of its index, always on the real disk.
    pub index_folder: PathBuf,
    /// What the index may cache, in bytes.
    pub cache_bytes: u64,
    /// A file of the log that is longer is followed by another. The last one is copied at every start.
    pub log_file_bytes: u64,
}

impl LedgerOptions {
    /// A ledger on the disk, its index beside its log.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self {
            index_folder: folder.join("index"),
            folder,
            fs: Arc::new(DiskFs),
            cache_bytes: CACHE_BYTES,
            log_file_bytes: LOG_FILE_BYTES,
        }
    }
}

/// What opening a ledger found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// Why the index was made afresh, if it was.
    pub index_rebuilt: Option<Doubt>,
    /// Number of the log's lines that the index had not seen yet.
    pub frames_replayed: u64,
    /// What a crash had left unfinished at the log's end.
    pub cut: Option<Cut>,
}

/// The ledger. All its calls block; share it between threads.
#[derive(Debug)]
pub struct Ledger {
    pub(crate) shared: Arc<Shared>,
    pub(crate) log: LogFolder,
    committer: Committer,
}

impl Ledger {
    /// Opens the ledger, which is created where there is none; mends what a crash left, and distrusts its index.
    pub fn open(options: LedgerOptions) -> Result<(Self, OpenReport), LedgerError> {
        let log = LogFolder {
            fs: Arc::clone(&options.fs),
            folder: options.folder.clone(),
            file_bytes: options.log_file_bytes,
        };
        let (writer, cut) = log.clone().open()?;
        let end = writer.position();
        let indexed = Arc::new(Mutex::new(end));
        let (index, doubt) = DistrustedSled::open(
            place(&options),
            &log.sources()?,
            rebuild(log.clone(), Arc::clone(&indexed)),
        )?;
        let shared = Arc::new(Shared::new(index, indexed));
        let replayed = match doubt {
            Some(_) => 0,
            None => catch_up(&shared, &log, end)?,
        };
        let committer = Committer::start(writer, Arc::clone(&shared)).map_err(|source| {
            LedgerError::Fs(FsError {
                action: "start a thread for",
                path: options.folder,
                source,
            })
        })?;
        let report = OpenReport {
            index_rebuilt: doubt,
            frames_replayed: replayed,
            cut,
        };
        let ledger = Self {
            shared,
            log,
            committer,
        };
        Ok((ledger, report))
    }

    /// Writes `records`, all or none, and returns once they are durable. Records that contradict what is known are
    /// [refused](LedgerError::Refused).
    pub fn append(&self, time: Time, records: Vec<Record>) -> Result<(), LedgerError> {
        if records.is_empty() {
            return Ok(());
        }
        self.committer.append(Append { time, records })
    }

    /// Makes the index afresh from the log.
    pub fn rebuild_index(&self) -> Result<(), LedgerError> {
        let _nothing_enters_meanwhile = self.shared.gate.write();
        Ok(self.shared.index.rebuild()?)
    }

    /// How many appends shared how many syncs since the ledger was opened.
    pub fn statistics(&self) -> GroupCommit {
        self.shared.group_commit()
    }

    /// Ends the ledger and marks its index clean. Dropping it is as safe; only the next start has to do more.
    pub fn close(mut self) -> Result<(), LedgerError> {
        self.committer.stop();
        Ok(self.shared.index.shut()?)
    }
}

fn place(options: &LedgerOptions) -> Place {
    Place {
        folder: options.index_folder.clone(),
        generation_file: options.folder.join("index-generation"),
        fs: Arc::clone(&options.fs),
        cache_bytes: options.cache_bytes,
    }
}

fn rebuild(log: LogFolder, indexed: Arc<Mutex<Position>>) -> Arc<Rebuild> {
    Arc::new(move |fill: &mut Fill<'_>| -> Result<(), BoxError> {
        let to = *indexed.lock();
        let mut filling = Filling::new(fill);
        log.replay(START, to, |group, _| {
            group
                .appends
                .iter()
                .try_for_each(|append| fold_append(&mut filling, append))
        })?;
        filling.finish()?;
        fill.set_position(&source_name(to.file), to.offset)
    })
}

/// Before the first line of the first file.
pub(crate) const START: Position = Position { file: 1, offset: 0 };

/// Replays what the index has not seen.
fn catch_up(shared: &Shared, log: &LogFolder, end: Position) -> Result<u64, LedgerError> {
    let from = seen(&shared.index.positions()?);
    *shared.indexed.lock() = from;
    let mut replayed = 0;
    if from < end {
        log.replay(from, end, |group, after| {
            let mut overlay = Overlay::new(&shared.index);
            group
                .appends
                .iter()
                .try_for_each(|append| fold_append(&mut overlay, append))?;
            replayed += 1;
            shared.enter(&overlay, after)
        })?;
    }
    *shared.indexed.lock() = end;
    Ok(replayed)
}

fn seen(positions: &Sources) -> Position {
    let places = positions.iter().filter_map(|(name, offset)| {
        Some(Position {
            file: source_number(name)?,
            offset: *offset,
        })
    });
    places.max().unwrap_or(START)
}
