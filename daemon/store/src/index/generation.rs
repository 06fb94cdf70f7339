//! begat's own file about an index: which generation is in use, since which boot, and whether it was closed cleanly.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "sled's folder is on the real disk, where sled itself put it"
)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Doubt, IndexError, Place};
use crate::fs::{At, read_file, write_file_atomic};

/// Where sled itself holds the name of its generation.
pub(super) const GENERATION_KEY: &[u8] = b"\0generation";

/// The file is a few hundred bytes; more is no file of ours.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Beyond this many bytes a clean index is compared by its lengths only: hashing more would be felt at start.
const HASHED_BYTES_MAX: u64 = 256 << 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Generation {
    generation: String,
    boot: String,
    /// After a clean close: sled's files as they were left.
    clean: Option<BTreeMap<String, FileState>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileState {
    len: u64,
    blake3: Option<String>,
}

impl Generation {
    /// The generation that the file names.
    pub(super) fn read(place: &Place) -> Result<Result<Self, Doubt>, IndexError> {
        let bytes = match read_file(&*place.fs, &place.generation_file, FILE_BYTES_MAX) {
            Err(error) if error.source.kind() == io::ErrorKind::Other => {
                return Ok(Err(Doubt::Absent));
            }
            other => other?,
        };
        let read = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        Ok(read.filter(Self::is_plain_name).ok_or(Doubt::Absent))
    }

    /// A generation that no file names yet.
    pub(super) fn fresh(place: &Place) -> Self {
        Self {
            generation: uuid::Uuid::now_v7().simple().to_string(),
            boot: place.fs.boot_id(),
            clean: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.generation
    }

    /// The name becomes a folder's, so it must not lead anywhere else.
    fn is_plain_name(&self) -> bool {
        self.generation.len() == 32 && self.generation.bytes().all(|b| b.is_ascii_hexdigit())
    }

    /// What speaks against it before sled is even asked.
    pub(super) fn doubt(&self, place: &Place) -> Option<Doubt> {
        let folder = place.folder.join(&self.generation);
        if !folder.is_dir() {
            return Some(Doubt::Absent);
        }
        let Some(clean) = &self.clean else {
            // A killed process loses nothing that the kernel has; a machine that stopped may have.
            return (self.boot != place.fs.boot_id()).then_some(Doubt::Unclean);
        };
        let now = match states(&folder) {
            Ok(now) => now,
            Err(error) => return Some(Doubt::Failed(error.to_string())),
        };
        let names: std::collections::BTreeSet<&String> = clean.keys().chain(now.keys()).collect();
        let changed = names
            .into_iter()
            .find(|name| clean.get(*name) != now.get(*name));
        changed.map(|name| Doubt::Changed(name.clone()))
    }

    /// Writes the file: this generation is in use from now on, and not clean.
    pub(super) fn in_use(self, place: &Place) -> Result<Self, IndexError> {
        let open = Self {
            boot: place.fs.boot_id(),
            clean: None,
            ..self
        };
        open.write(place)?;
        Ok(open)
    }

    /// fsyncs what sled only flushed, and writes the file: this generation may be believed as it is.
    pub(super) fn mark_clean(self, place: &Place) -> Result<(), IndexError> {
        let folder = place.folder.join(&self.generation);
        sync_all(&folder).at("sync", &folder)?;
        let clean = Some(states(&folder).at("read", &folder)?);
        Self { clean, ..self }.write(place)
    }

    fn write(&self, place: &Place) -> Result<(), IndexError> {
        let text = serde_json::to_vec(self).expect("strings and numbers are JSON");
        Ok(write_file_atomic(
            &*place.fs,
            &place.generation_file,
            &text,
        )?)
    }
}

/// Removes every generation's folder. What cannot be removed takes space but is never opened.
pub(super) fn remove_others(place: &Place) {
    let _gone = fs::remove_dir_all(&place.folder);
    let _is_there = fs::create_dir_all(&place.folder);
}

fn states(folder: &Path) -> io::Result<BTreeMap<String, FileState>> {
    let files = files(folder)?;
    let mut total = 0;
    for file in &files {
        total += fs::metadata(folder.join(file))?.len();
    }
    let hashed = total <= HASHED_BYTES_MAX;
    let mut states = BTreeMap::new();
    for file in files {
        let state = state_of(&folder.join(&file), hashed)?;
        states.insert(file, state);
    }
    Ok(states)
}

fn state_of(path: &Path, hashed: bool) -> io::Result<FileState> {
    let mut hasher = blake3::Hasher::new();
    if hashed {
        hasher.update_reader(File::open(path)?)?;
    }
    Ok(FileState {
        len: fs::metadata(path)?.len(),
        blake3: hashed.then(|| hasher.finalize().to_hex().to_string()),
    })
}

fn files(folder: &Path) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            let below = self::files(&entry.path())?;
            files.extend(below.into_iter().map(|file| format!("{name}/{file}")));
        } else {
            files.push(name);
        }
    }
    Ok(files)
}

fn sync_all(folder: &Path) -> io::Result<()> {
    for file in files(folder)? {
        File::open(folder.join(file))?.sync_all()?;
    }
    File::open(folder)?.sync_all()?;
    match folder.parent() {
        Some(above) => File::open(above)?.sync_all(),
        None => Ok(()),
    }
}
