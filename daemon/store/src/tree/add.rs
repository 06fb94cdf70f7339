//! Walking a folder and storing what is in it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use begat_schemas::{BlobDigest, Digest, Tree, TreeDigest, TreeEntry, TreePath};

use crate::error::Error;
use crate::fs::{At, FileKind, Fs, FsFile, Meta, Open};
use crate::store::{PutBlob, Store};

/// A folder that was stored.
#[derive(Debug)]
pub struct AddedFolder {
    /// The tree's digest.
    pub digest: TreeDigest,
    /// The tree.
    pub tree: Tree,
    /// Folders without a file in them: a tree does not keep them.
    pub empty_folders: Vec<String>,
    /// Bytes that were not in the store before.
    pub new_bytes: u64,
}

/// The files below a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// All files, in no particular order.
    pub files: Vec<WalkedFile>,
    /// Folders without a file in them, relative.
    pub empty_folders: Vec<String>,
}

/// One file below a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkedFile {
    /// Its path in the tree.
    pub path: TreePath,
    /// Where it is.
    pub source: PathBuf,
    /// Its length when the folder was walked.
    pub size: u64,
    /// Whether it may be executed.
    pub executable: bool,
}

/// Lists the files below `path`, a folder or a single file. Refuses what a tree cannot hold, by name.
pub fn walk_folder(fs: &dyn Fs, path: &Path) -> Result<Walk, Error> {
    let mut walk = Walk {
        files: Vec::new(),
        empty_folders: Vec::new(),
    };
    let meta = fs.meta(path).at("look at", path)?;
    let meta = meta
        .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        .at("look at", path)?;
    if meta.kind == FileKind::Folder {
        walk_into(fs, path, "", &mut walk)?;
    } else {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| not_utf8(path))?;
        add_entry(fs, path, name, meta, &mut walk)?;
    }
    Ok(walk)
}

fn walk_into(fs: &dyn Fs, folder: &Path, prefix: &str, walk: &mut Walk) -> Result<(), Error> {
    let entries = fs.list(folder).at("list", folder)?;
    if entries.is_empty() && !prefix.is_empty() {
        walk.empty_folders.push(prefix.to_owned());
    }
    for entry in entries {
        let source = folder.join(&entry.name);
        let name = entry.name.to_str().ok_or_else(|| not_utf8(&source))?;
        let relative = if prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{prefix}/{name}")
        };
        add_entry(fs, &source, &relative, entry.meta, walk)?;
    }
    Ok(())
}

fn add_entry(
    fs: &dyn Fs,
    source: &Path,
    relative: &str,
    meta: Meta,
    walk: &mut Walk,
) -> Result<(), Error> {
    let refuse = |what| {
        Err(Error::NotStorable {
            path: source.to_owned(),
            what,
        })
    };
    match meta.kind {
        FileKind::Symlink => refuse("a symbolic link"),
        FileKind::Special => refuse("a special file"),
        FileKind::Folder => walk_into(fs, source, relative, walk),
        FileKind::File => {
            let path = TreePath::new(relative).map_err(|error| Error::BadPath {
                path: source.to_owned(),
                source: error,
            })?;
            walk.files.push(WalkedFile {
                path,
                source: source.to_owned(),
                size: meta.len,
                executable: meta.executable,
            });
            Ok(())
        }
    }
}

fn not_utf8(path: &Path) -> Error {
    Error::NotStorable {
        path: path.to_owned(),
        what: "not UTF-8 in its name",
    }
}

/// The digest and the length of a file.
pub fn hash_file(fs: &dyn Fs, path: &Path) -> Result<(BlobDigest, u64), Error> {
    let file = fs.open(path, Open::Read).at("open", path)?;
    let mut reader = FileReader { file, offset: 0 };
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&mut reader).at("read", path)?;
    Ok((Digest::from(hasher.finalize()).into(), reader.offset))
}

impl Store {
    /// Stores a folder, or a single file, as a tree. Durable after the next [`Store::commit`].
    pub fn add_folder(&self, path: &Path) -> Result<AddedFolder, Error> {
        let walk = walk_folder(&*self.inner.fs, path)?;
        let mut entries = Vec::with_capacity(walk.files.len());
        let mut new_bytes = 0;
        for file in walk.files {
            let (entry, added) = self.add_file(file)?;
            entries.push(entry);
            new_bytes += added;
        }
        let tree = Tree::new(entries)?;
        Ok(AddedFolder {
            digest: self.put_tree(&tree)?,
            tree,
            empty_folders: walk.empty_folders,
            new_bytes,
        })
    }

    fn add_file(&self, file: WalkedFile) -> Result<(TreeEntry, u64), Error> {
        let source = &file.source;
        let opened = self.inner.fs.open(source, Open::Read).at("open", source)?;
        let mut reader = FileReader {
            file: opened,
            offset: 0,
        };
        let name = source.display().to_string();
        let put = PutBlob {
            name: Some(&name),
            size: Some(file.size),
            expected: None,
        };
        let stored = self.put_blob(&mut reader, &put)?;
        let entry = TreeEntry {
            path: file.path,
            // As read: the file may have grown since it was walked.
            size: stored.size,
            blob: stored.digest,
            executable: file.executable,
        };
        Ok((entry, stored.new_bytes))
    }
}

/// Reads a file from its start.
struct FileReader {
    file: Arc<dyn FsFile>,
    offset: u64,
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}
