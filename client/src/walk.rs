//! From a file or folder on disk to the list of files that its tree will have.
//!
//! What a tree cannot hold (links, devices, names that are no UTF-8) is refused by name before anything is sent, so
//! that an addition never silently differs from its folder.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use begat_schemas::{BadTreePath, TreePath};

/// A folder's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The files, sorted by name folder by folder.
    pub files: Vec<FoundFile>,
    /// Folders without any file below them, which a tree does not keep; the topmost of each.
    pub empty_folders: Vec<PathBuf>,
}

impl Walk {
    /// The files' sizes together, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.stamp.size).sum()
    }
}

/// A file to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Where it will be in the tree.
    pub path: TreePath,
    /// Where it is on disk.
    pub source: PathBuf,
    /// What it looked like.
    pub stamp: Stamp,
}

/// What tells that a file was changed: a different one means so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Its length in bytes.
    pub size: u64,
    /// Whether it may be executed.
    pub executable: bool,
    inode: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// The stamp of an open file or a path's metadata.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            executable: metadata.mode() & 0o111 != 0,
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// Why a folder cannot become a tree.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalkError {
    /// A folder or file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A symbolic link.
    #[error("{} is a symbolic link, which a tree cannot hold", path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// A device, socket or named pipe.
    #[error("{} is a {what}, which a tree cannot hold", path.display())]
    Special {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A name that is no UTF-8.
    #[error("{}: the name is not UTF-8, which a tree's paths are", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// A name that a tree's paths cannot have.
    #[error("{}: {reason}", path.display())]
    BadPath {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: BadTreePath,
    },
    /// No file at all.
    #[error("{} holds no file", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A listed path that leaves the folder it is listed in.
    #[error("`{path}` leads out of {}: expected a path below it", folder.display())]
    Outside {
        /// The path.
        path: String,
        /// The folder.
        folder: PathBuf,
    },
}

impl WalkError {
    fn read(path: &Path, error: impl Into<std::io::Error>) -> Self {
        Self::Read {
            path: path.to_owned(),
            source: error.into(),
        }
    }
}

/// Lists what `root` holds. A single file makes a tree of one; `root` itself may be a link.
pub fn walk(root: &Path) -> Result<Walk, WalkError> {
    let metadata = std::fs::metadata(root).map_err(|error| WalkError::read(root, error))?;
    let mut walk = Walk {
        files: Vec::new(),
        empty_folders: Vec::new(),
    };
    if metadata.is_dir() {
        walk_folder(root, root, true, &mut walk)?;
    } else {
        let folder = root.parent().unwrap_or(Path::new(""));
        walk.files.push(found_file(root, folder, &metadata)?);
    }
    not_empty(root, walk)
}

/// Lists the files and folders `listed`, relative to `folder`; in the tree they keep these paths.
pub fn walk_listed(folder: &Path, listed: &[String]) -> Result<Walk, WalkError> {
    let mut walk = Walk {
        files: Vec::new(),
        empty_folders: Vec::new(),
    };
    for path in listed {
        let inside = Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside {
            return Err(WalkError::Outside {
                path: path.clone(),
                folder: folder.to_owned(),
            });
        }
        walk_folder(&folder.join(path), folder, false, &mut walk)?;
    }
    not_empty(folder, walk)
}

fn not_empty(root: &Path, walk: Walk) -> Result<Walk, WalkError> {
    if walk.files.is_empty() {
        return Err(WalkError::Empty {
            path: root.to_owned(),
        });
    }
    Ok(walk)
}

fn walk_folder(
    root: &Path,
    base: &Path,
    root_may_be_link: bool,
    walk: &mut Walk,
) -> Result<(), WalkError> {
    let mut folders = Vec::new();
    let mut filled: BTreeSet<PathBuf> = BTreeSet::new();
    for entry in walkdir::WalkDir::new(root)
        .sort_by_file_name()
        .follow_root_links(root_may_be_link)
    {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).to_owned();
            WalkError::read(&path, error)
        })?;
        let is_linked_root = root_may_be_link && entry.depth() == 0;
        if entry.file_type().is_dir() || is_linked_root {
            folders.push(entry.into_path());
            continue;
        }
        let metadata = entry
            .metadata()
            .map_err(|error| WalkError::read(entry.path(), error))?;
        walk.files.push(found_file(entry.path(), base, &metadata)?);
        let above = entry.path().ancestors().skip(1);
        filled.extend(
            above
                .take_while(|path| path.starts_with(root))
                .map(Path::to_owned),
        );
    }
    let is_empty = |folder: &Path| !filled.contains(folder);
    let topmost = |folder: &PathBuf| {
        is_empty(folder) && (folder == root || folder.parent().is_none_or(|above| !is_empty(above)))
    };
    walk.empty_folders
        .extend(folders.into_iter().filter(|folder| topmost(folder)));
    Ok(())
}

fn found_file(source: &Path, base: &Path, metadata: &Metadata) -> Result<FoundFile, WalkError> {
    refuse_special(source, metadata)?;
    let relative = source.strip_prefix(base).unwrap_or(source);
    let parts: Option<Vec<&str>> = relative
        .components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| part.as_os_str().to_str())
        .collect();
    let parts = parts.ok_or_else(|| WalkError::NotUtf8 {
        path: source.to_owned(),
    })?;
    let path = TreePath::new(parts.join("/")).map_err(|reason| WalkError::BadPath {
        path: source.to_owned(),
        reason,
    })?;
    Ok(FoundFile {
        path,
        source: source.to_owned(),
        stamp: Stamp::of(metadata),
    })
}

fn refuse_special(path: &Path, metadata: &Metadata) -> Result<(), WalkError> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let path = path.to_owned();
    if kind.is_symlink() {
        return Err(WalkError::Symlink { path });
    }
    let what = if kind.is_fifo() {
        "named pipe"
    } else if kind.is_socket() {
        "socket"
    } else {
        "device"
    };
    Err(WalkError::Special { path, what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        folder
    }

    fn paths(walk: &Walk) -> Vec<&str> {
        walk.files.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn lists_files_with_sizes_and_executability() {
        let folder = folder(&["b/run.sh", "a", ".hidden"]);
        let script = folder.path().join("b/run.sh");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let walk = walk(folder.path()).unwrap();
        assert_eq!(paths(&walk), [".hidden", "a", "b/run.sh"]);
        assert_eq!(walk.bytes(), 7 + 1 + 8);
        let executable: Vec<bool> = walk
            .files
            .iter()
            .map(|file| file.stamp.executable)
            .collect();
        assert_eq!(executable, [false, false, true]);
    }

    #[test]
    fn a_single_file_is_a_tree_of_one() {
        let folder = folder(&["deep/rows.jsonl"]);
        let walk = walk(&folder.path().join("deep/rows.jsonl")).unwrap();
        assert_eq!(paths(&walk), ["rows.jsonl"]);
    }

    #[test]
    fn names_the_topmost_empty_folders() {
        let folder = folder(&["a/x"]);
        fs::create_dir_all(folder.path().join("empty/deeper")).unwrap();
        fs::create_dir_all(folder.path().join("a/none")).unwrap();
        let walk = walk(folder.path()).unwrap();
        let expected = ["a/none", "empty"].map(|path| folder.path().join(path));
        assert_eq!(walk.empty_folders, expected);
    }

    #[test]
    fn refuses_links_and_pipes_by_name() {
        let folder = folder(&["a"]);
        let link = folder.path().join("link");
        symlink("a", &link).unwrap();
        let error = walk(folder.path()).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{} is a symbolic link, which a tree cannot hold",
                link.display()
            )
        );
        fs::remove_file(&link).unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        let error = walk(folder.path()).unwrap_err();
        assert!(matches!(error, WalkError::Special { path, what: "named pipe" } if path == pipe));
    }

    #[test]
    fn the_named_folder_itself_may_be_a_link() {
        let folder = folder(&["a"]);
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("link");
        symlink(folder.path(), &link).unwrap();
        assert_eq!(paths(&walk(&link).unwrap()), ["a"]);
    }

    #[test]
    fn refuses_names_that_trees_cannot_have() {
        let folder = folder(&["a\nb"]);
        assert!(matches!(
            walk(folder.path()),
            Err(WalkError::BadPath { .. })
        ));
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        let name = std::ffi::OsStr::from_bytes(b"\xff");
        fs::write(folder.path().join(name), "x").unwrap();
        assert!(matches!(
            walk(folder.path()),
            Err(WalkError::NotUtf8 { .. })
        ));
    }

    #[test]
    fn refuses_what_holds_nothing_or_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(walk(folder.path()), Err(WalkError::Empty { .. })));
        let missing = walk(&folder.path().join("none")).unwrap_err().to_string();
        assert!(
            missing.ends_with("none: No such file or directory (os error 2)"),
            "{missing}"
        );
    }

    #[test]
    fn listed_paths_keep_their_place_and_stay_inside() {
        let folder = folder(&["train.py", "lib/a.py", "other"]);
        let listed = ["train.py".to_owned(), "./lib".to_owned()];
        let walk = walk_listed(folder.path(), &listed).unwrap();
        assert_eq!(paths(&walk), ["train.py", "lib/a.py"]);
        for outside in ["../x", "/etc/passwd", "lib/../../x"] {
            let error = walk_listed(folder.path(), &[outside.to_owned()]);
            assert!(matches!(error, Err(WalkError::Outside { .. })), "{outside}");
        }
        symlink("lib", folder.path().join("link")).unwrap();
        let error = walk_listed(folder.path(), &["link".to_owned()]);
        assert!(matches!(error, Err(WalkError::Symlink { .. })));
    }
}
