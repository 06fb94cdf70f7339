//! The one door to the file system.
//!
//! Everything that store and ledger promise about crashes rests on a handful of calls, so these stand in one small trait
//! with two implementations: [`DiskFs`], and a disk in memory ([`crate::faults`]) that can fail, write short and lose power at
//! any of them. One set of tests (`tests.rs`) holds for both.

mod disk;
pub(crate) mod faulty;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use disk::DiskFs;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// To read a file that is there.
    Read,
    /// To read and append; created when absent.
    Append,
    /// To read and append a file that must not be there yet.
    CreateNew,
}

/// What a path leads to, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// A socket, a pipe, a device.
    Special,
}

/// What the file system says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: FileKind,
    /// Length in bytes; 0 for what is no file.
    pub len: u64,
    /// Whether its owner may execute it.
    pub executable: bool,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, without the folder.
    pub name: OsString,
    /// What it is.
    pub meta: Meta,
}

/// Who holds a lock, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder(pub String);

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Held until dropped; released by the kernel when the process ends in any way.
pub trait FsLock: Debug + Send + Sync {}

/// A file system. Names (create, rename, remove) are durable only after [`Fs::sync_dir`] of their folder, bytes only after
/// [`FsFile::sync`].
pub trait Fs: Debug + Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn FsFile>>;
    /// Gives a file or folder another name, replacing a file that has it, in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in `folder` durable.
    fn sync_dir(&self, folder: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder with all in it; fine when there is none.
    fn remove_dir_all(&self, folder: &Path) -> io::Result<()>;
    /// The names in a folder, sorted.
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>>;
    /// What stands at `path`, links not followed; `None` when nothing does.
    fn meta(&self, path: &Path) -> io::Result<Option<Meta>>;
    /// Creates a folder and those above it; fine when it is there.
    fn create_dir(&self, folder: &Path) -> io::Result<()>;
    /// Sets the permission bits.
    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Locks the file at `path`, created when absent, or says who holds it.
    fn lock(&self, path: &Path) -> io::Result<Result<Box<dyn FsLock>, Holder>>;
    /// A text that changes with every boot of the machine.
    fn boot_id(&self) -> String;
}

/// An open file. Reads see what was appended before, synced or not.
pub trait FsFile: Debug + Send + Sync {
    /// Reads at `offset`; fewer bytes than asked for only at the end or on a signal.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at the end; may write fewer bytes than given, and says how many.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Makes the bytes durable. After it failed nothing is known of them, and it must not be called again: the kernel may
    /// call lost pages clean, and a second call then succeeds without a write.
    fn sync(&self) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether it holds no byte.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts it to `len` bytes.
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// A call that failed, and where.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct FsError {
    /// What was tried, as a verb.
    pub action: &'static str,
    /// With which path.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Adds the place to a bare `io::Error`.
pub trait At<T> {
    /// `action` is a verb: "open", "append to".
    fn at(self, action: &'static str, path: &Path) -> Result<T, FsError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, FsError> {
        self.map_err(|source| FsError {
            action,
            path: path.to_owned(),
            source,
        })
    }
}

/// Reads exactly `buffer.len()` bytes at `offset`.
pub fn read_exact_at(file: &dyn FsFile, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.read_at(buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Appends all of `bytes`. When it fails some of them may stand at the end of the file.
pub fn append_all(file: &dyn FsFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.append(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The whole of a small file; `None` when there is none. Longer than `limit` is an error.
pub fn read_file(fs: &dyn Fs, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FsError> {
    let file = match fs.open(path, Open::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.at("open", path)?,
    };
    let len = file.len().at("measure", path)?;
    if len > limit {
        let reason = format!("it has {len} bytes, at most {limit} were expected");
        return Err(io::Error::other(reason)).at("read", path);
    }
    let mut bytes = vec![0; len as usize];
    read_exact_at(&*file, &mut bytes, 0).at("read", path)?;
    Ok(Some(bytes))
}

/// Puts `bytes` at `path` in one durable step: written beside, synced, renamed, the folder synced.
pub fn write_file_atomic(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    if fs.meta(&beside).at("look at", &beside)?.is_some() {
        fs.remove(&beside).at("remove", &beside)?;
    }
    let file = fs.open(&beside, Open::CreateNew).at("create", &beside)?;
    append_all(&*file, bytes).at("write", &beside)?;
    file.sync().at("sync", &beside)?;
    fs.rename(&beside, path).at("rename", &beside)?;
    let folder = parent(path);
    fs.sync_dir(folder).at("sync", folder)
}

/// Creates `folder` and makes its name, and those of the new folders above it, durable.
pub fn create_dir_durable(fs: &dyn Fs, folder: &Path) -> Result<(), FsError> {
    let mut missing = Vec::new();
    let mut at = folder;
    while fs.meta(at).at("look at", at)?.is_none() {
        missing.push(at);
        at = parent(at);
    }
    fs.create_dir(folder).at("create", folder)?;
    // From the top down, so that no name is durable in a folder whose own is not.
    for made in missing.into_iter().rev() {
        let above = parent(made);
        fs.sync_dir(above).at("sync", above)?;
    }
    Ok(())
}

/// Makes the names of `folder` and of those above it durable. An earlier start may have made a folder and failed to sync its
/// name, which nobody notices once the folder is there: so this comes before the first file in it.
pub fn sync_names_above(fs: &dyn Fs, folder: &Path) -> Result<(), FsError> {
    let above: Vec<_> = folder.ancestors().skip(1).collect();
    let named = above.into_iter().rev();
    for folder in named.filter(|folder| !folder.as_os_str().is_empty()) {
        match fs.sync_dir(folder) {
            // What begat may not open, it did not make.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced.at("sync", folder)?,
        }
    }
    Ok(())
}

/// The folder that holds `path`; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        Some(_) => Path::new("."),
        None => path,
    }
}
