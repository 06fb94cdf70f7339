//! sled, distrusted: a fast index over files that hold the truth.
//!
//! sled 0.34.7 answers a flush before the disk has anything, and after a power cut it may panic at open or open without old
//! records. So nothing here is ever the only copy. A [`DistrustedSled`] is opened where a panic is caught; its folder is named
//! by a generation that begat fsyncs in a file of its own, with the boot it was written in and, after a clean close, the hash of
//! every file of sled's; it holds, with its data, up to where each source file is in it. On any doubt, at open or later, it is
//! thrown away and filled afresh from the source files by the owner's [`Rebuild`], and says why.
//!
//! The owner has one duty: to [`apply`](DistrustedSled::apply) only what its source file already holds durably. Then the index
//! may be behind the files, never ahead of them.

mod batch;
mod doubt;
mod generation;
mod quiet;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::fs::{Fs, FsError};
pub use batch::{Batch, Fill};
pub use doubt::Doubt;
use generation::{GENERATION_KEY, Generation};
use quiet::quietly;

/// The length, or the position, of each source file by its name.
pub type Sources = BTreeMap<String, u64>;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// An error of the owner's rebuild.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Writes every key and position afresh from the source files. It may run at any time, in any thread, more than once.
pub type Rebuild = dyn Fn(&mut Fill<'_>) -> Result<(), BoxError> + Send + Sync;

/// Where an index lives.
#[derive(Debug, Clone)]
pub struct Place {
    /// sled's folder, on the real disk: sled does its own input and output.
    pub folder: PathBuf,
    /// The file that names the generation in use.
    pub generation_file: PathBuf,
    /// The file system of the generation file.
    pub fs: Arc<dyn Fs>,
    /// What sled may cache, in bytes.
    pub cache_bytes: u64,
}

/// What goes wrong with an index beyond what a rebuild mends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The generation file could not be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// sled failed on an index that was just made.
    #[error("the index in {} fails even when made afresh: {doubt}", folder.display())]
    Sled {
        /// sled's folder.
        folder: PathBuf,
        /// What it did.
        doubt: Doubt,
    },
    /// The source files could not be read.
    #[error("the index cannot be rebuilt: {source}")]
    Rebuild {
        /// The owner's error.
        source: BoxError,
    },
    /// It was closed.
    #[error("the index is closed")]
    Closed,
}

/// An index that is never believed over the files it was made from.
pub struct DistrustedSled {
    place: Place,
    rebuild: Arc<Rebuild>,
    /// Read by every question, written only to replace a doubtful sled.
    state: RwLock<State>,
    /// Why it was made afresh since it was opened.
    doubts: Mutex<Vec<Doubt>>,
}

enum State {
    Open(Open),
    /// It could not be made afresh; the next question tries again.
    Broken,
    Closed,
}

#[derive(Clone)]
struct Open {
    db: sled::Db,
    generation: Generation,
}

impl std::fmt::Debug for DistrustedSled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DistrustedSled")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl DistrustedSled {
    /// Opens the index, or makes it afresh and says why. `sources` are the files it is made from, as they are now.
    pub fn open(
        place: Place,
        sources: &Sources,
        rebuild: Arc<Rebuild>,
    ) -> Result<(Self, Option<Doubt>), IndexError> {
        let (open, doubt) = match open_trusted(&place, sources)? {
            Ok(open) => (open, None),
            Err(doubt) => (open_afresh(&place, &*rebuild)?, Some(doubt)),
        };
        let index = Self {
            place,
            rebuild,
            state: RwLock::new(State::Open(open)),
            doubts: Mutex::new(Vec::new()),
        };
        Ok((index, doubt))
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        self.ask(|db| Ok(db.get(key)?.map(|value| value.to_vec())))
    }

    /// Keys that begin with `prefix`, in order, with their values.
    pub fn scan_prefix(&self, prefix: &[u8]) -> Result<Vec<Pair>, IndexError> {
        self.ask(|db| collect(db.scan_prefix(prefix)))
    }

    /// At most `limit` keys between `from` and `to`, both included, in order, with their values.
    pub fn scan_range(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<Pair>, IndexError> {
        self.ask(|db| collect(db.range(from..=to).take(limit)))
    }

    /// Makes all changes of `batch`, or none. They must be durable in their source files already.
    pub fn apply(&self, batch: &Batch) -> Result<(), IndexError> {
        self.ask(|db| db.apply_batch(batch.to_sled()))
    }

    /// Up to where each source file is in the index: what lies beyond is for the owner to replay at start.
    pub fn positions(&self) -> Result<Sources, IndexError> {
        self.ask(read_positions)
    }

    /// Throws the index away and makes it afresh.
    pub fn rebuild(&self) -> Result<(), IndexError> {
        let mut state = self.state.write();
        self.replace(&mut state).map(drop)
    }

    /// Why the index was made afresh since this was last asked, for the log.
    pub fn take_doubts(&self) -> Vec<Doubt> {
        std::mem::take(&mut *self.doubts.lock())
    }

    /// Flushes, fsyncs sled's files and marks them clean, so that the next start can believe them at once.
    pub fn close(self) -> Result<(), IndexError> {
        self.shut()
    }

    /// As [`close`](Self::close), for an owner that shares the index; later calls fail with [`IndexError::Closed`].
    pub fn shut(&self) -> Result<(), IndexError> {
        match std::mem::replace(&mut *self.state.write(), State::Closed) {
            State::Open(open) => {
                let generation = open.generation.clone();
                retire(open);
                generation.mark_clean(&self.place)
            }
            State::Broken | State::Closed => Ok(()),
        }
    }

    /// Asks sled; when it panics or fails, makes the index afresh and asks again.
    fn ask<T>(&self, question: impl Fn(&sled::Db) -> sled::Result<T>) -> Result<T, IndexError> {
        let asked = match &*self.state.read() {
            State::Closed => return Err(IndexError::Closed),
            State::Broken => None,
            State::Open(open) => match quietly(|| question(&open.db)) {
                Ok(answer) => return Ok(answer),
                Err(doubt) => {
                    self.doubts.lock().push(doubt);
                    Some(open.generation.name().to_owned())
                }
            },
        };
        let mut state = self.state.write();
        let open = match &*state {
            // Another thread has already replaced the one that failed.
            State::Open(open) if Some(open.generation.name()) != asked.as_deref() => open,
            State::Closed => return Err(IndexError::Closed),
            State::Open(_) | State::Broken => self.replace(&mut state)?,
        };
        quietly(|| question(&open.db)).map_err(|doubt| self.place.hopeless(doubt))
    }

    fn replace<'a>(&self, state: &'a mut State) -> Result<&'a Open, IndexError> {
        if let State::Open(open) = std::mem::replace(state, State::Broken) {
            retire(open);
        }
        *state = State::Open(open_afresh(&self.place, &*self.rebuild)?);
        match state {
            State::Open(open) => Ok(open),
            State::Broken | State::Closed => Err(IndexError::Closed),
        }
    }
}

impl Place {
    fn hopeless(&self, doubt: Doubt) -> IndexError {
        IndexError::Sled {
            folder: self.folder.clone(),
            doubt,
        }
    }

    fn start_sled(&self, generation: &Generation) -> Result<sled::Db, Doubt> {
        let config = sled::Config::new()
            .path(self.folder.join(generation.name()))
            .cache_capacity(self.cache_bytes)
            .mode(sled::Mode::LowSpace);
        quietly(|| config.open())
    }
}

/// The index that is there, if nothing speaks against it.
fn open_trusted(place: &Place, sources: &Sources) -> Result<Result<Open, Doubt>, IndexError> {
    let generation = match Generation::read(place)? {
        Ok(generation) => generation,
        Err(doubt) => return Ok(Err(doubt)),
    };
    if let Some(doubt) = generation.doubt(place) {
        return Ok(Err(doubt));
    }
    let generation = generation.in_use(place)?;
    Ok(place.start_sled(&generation).and_then(|db| {
        let open = Open { db, generation };
        match look_for_doubt(&open, sources) {
            None => Ok(open),
            Some(doubt) => {
                retire(open);
                Err(doubt)
            }
        }
    }))
}

fn look_for_doubt(open: &Open, sources: &Sources) -> Option<Doubt> {
    let named = quietly(|| open.db.get(GENERATION_KEY));
    match named {
        Err(doubt) => return Some(doubt),
        Ok(None) => return Some(Doubt::Empty),
        Ok(Some(name)) if name != open.generation.name().as_bytes() => {
            return Some(Doubt::Generation);
        }
        Ok(Some(_)) => {}
    }
    match quietly(|| read_positions(&open.db)) {
        Err(doubt) => Some(doubt),
        Ok(positions) => doubt::of_positions(&positions, sources),
    }
}

fn open_afresh(place: &Place, rebuild: &Rebuild) -> Result<Open, IndexError> {
    let generation = Generation::fresh(place);
    generation::remove_others(place);
    let db = place
        .start_sled(&generation)
        .map_err(|doubt| place.hopeless(doubt))?;
    let mut fill = Fill::new(&db);
    rebuild(&mut fill).map_err(|source| IndexError::Rebuild { source })?;
    fill.finish(generation.name())
        .map_err(|doubt| place.hopeless(doubt))?;
    let generation = generation.in_use(place)?;
    Ok(Open { db, generation })
}

/// Closing a broken sled may panic like anything else it does.
fn retire(open: Open) {
    let _its_last_words_do_not_matter = quietly(|| {
        drop(open);
        Ok(())
    });
}

fn collect(
    pairs: impl Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>>,
) -> sled::Result<Vec<Pair>> {
    pairs
        .map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())))
        .collect()
}

fn read_positions(db: &sled::Db) -> sled::Result<Sources> {
    let mut positions = Sources::new();
    for pair in db.scan_prefix(batch::POSITION_PREFIX) {
        let (key, value) = pair?;
        let name = String::from_utf8_lossy(&key[batch::POSITION_PREFIX.len()..]).into_owned();
        let value = <[u8; 8]>::try_from(value.as_ref())
            .map_err(|_| sled::Error::ReportableBug("a position of odd length".to_owned()))?;
        positions.insert(name, u64::from_be_bytes(value));
    }
    Ok(positions)
}
