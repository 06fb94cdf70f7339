//! What a drop consists of at one moment: enough to see whether it changed, and whether it can be a dataset at all.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use walkdir::WalkDir;

/// A drop as it was found. Two that are equal are the same bytes, as far as the file system says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    files: u64,
    entries: Vec<Entry>,
}

/// What changes when an entry does. The change time cannot be set by whoever writes, unlike the modification time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    path: PathBuf,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// Why a drop is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScanError {
    #[error("`{path}` is {what}: only files and folders can be part of a dataset", path = .0.display(), what = .1)]
    Refused(PathBuf, &'static str),
    #[error("cannot look at `{path}`: {source}", path = .0.display(), source = .1)]
    Io(PathBuf, io::Error),
}

impl Snapshot {
    /// Looks at the drop at `path`, without following any link.
    pub(super) fn of(path: &Path) -> Result<Self, ScanError> {
        let mut snapshot = Self {
            files: 0,
            entries: Vec::new(),
        };
        for entry in WalkDir::new(path).follow_links(false).sort_by_file_name() {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(path).to_owned();
                ScanError::Io(path, error.into())
            })?;
            let metadata = entry
                .metadata()
                .map_err(|error| ScanError::Io(entry.path().to_owned(), error.into()))?;
            if let Some(what) = unfit(&metadata) {
                return Err(ScanError::Refused(entry.path().to_owned(), what));
            }
            snapshot.files += u64::from(metadata.is_file());
            snapshot.entries.push(Entry {
                path: entry.into_path(),
                inode: metadata.ino(),
                size: metadata.size(),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            });
        }
        Ok(snapshot)
    }

    /// Whether there is any file in it.
    pub(super) const fn has_files(&self) -> bool {
        self.files > 0
    }

    /// How long ago its newest change was.
    pub(super) fn quiet_for(&self, now: SystemTime) -> Duration {
        let newest = self.entries.iter().map(|entry| entry.changed).max();
        let (seconds, nanoseconds) = newest.unwrap_or_default();
        let newest = Duration::new(
            u64::try_from(seconds).unwrap_or(0),
            u32::try_from(nanoseconds).unwrap_or(0),
        );
        now.duration_since(SystemTime::UNIX_EPOCH + newest)
            .unwrap_or(Duration::ZERO)
    }
}

/// What is wrong with an entry of this kind, if something is.
fn unfit(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() || kind.is_dir() {
        None
    } else if kind.is_symlink() {
        Some("a symbolic link")
    } else if kind.is_fifo() {
        Some("a named pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_change_anywhere_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let drop = folder.path().join("drop");
        fs::create_dir_all(drop.join("inner")).unwrap();
        assert!(!Snapshot::of(&drop).unwrap().has_files());
        fs::write(drop.join("inner/rows"), "1").unwrap();
        let before = Snapshot::of(&drop).unwrap();
        assert!(before.has_files());
        assert_eq!(before, Snapshot::of(&drop).unwrap());
        std::thread::sleep(Duration::from_millis(20));
        // The same length, so that only its times tell.
        fs::write(drop.join("inner/rows"), "2").unwrap();
        assert_ne!(before, Snapshot::of(&drop).unwrap());
    }

    #[test]
    fn links_and_pipes_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let drop = folder.path().join("drop");
        fs::create_dir(&drop).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", drop.join("link")).unwrap();
        let error = Snapshot::of(&drop).unwrap_err().to_string();
        assert!(error.contains("drop/link` is a symbolic link"), "{error}");
        fs::remove_file(drop.join("link")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            drop.join("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let error = Snapshot::of(&drop).unwrap_err().to_string();
        assert!(error.contains("drop/pipe` is a named pipe"), "{error}");
        std::os::unix::fs::symlink(&drop, folder.path().join("itself")).unwrap();
        assert!(Snapshot::of(&folder.path().join("itself")).is_err());
    }
}
