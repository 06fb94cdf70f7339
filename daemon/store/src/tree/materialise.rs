//! Laying a tree out as a folder.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use begat_schemas::{Tree, TreeDigest, TreeEntry};
use parking_lot::Mutex;

use crate::error::Error;
use crate::fs::{At, Open, append_all, parent};
use crate::store::Store;

/// How a tree is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Materialise {
    /// Whether its files and folders may not be written.
    pub read_only: bool,
    /// Whether it survives a power cut once this returns.
    pub durable: bool,
}

impl Default for Materialise {
    fn default() -> Self {
        Self {
            read_only: true,
            durable: false,
        }
    }
}

impl Store {
    /// Lays `tree` out at `destination`, which must not be there. It appears there in one step, whole and verified.
    pub fn materialise(
        &self,
        tree: TreeDigest,
        destination: &Path,
        options: Materialise,
    ) -> Result<(), Error> {
        let fs = &*self.inner.fs;
        let tree = self.get_tree(tree)?;
        if fs.meta(destination).at("look at", destination)?.is_some() {
            return Err(Error::Exists {
                path: destination.to_owned(),
            });
        }
        let beside = beside(destination);
        fs.remove_dir_all(&beside).at("remove", &beside)?;
        let laid_out = self
            .lay_out(&tree, &beside, options)
            .and_then(|()| Ok(fs.rename(&beside, destination).at("rename", &beside)?));
        if let Err(error) = laid_out {
            // The first error is the one to tell; what is left behind is removed by the next try.
            let _removed = fs.remove_dir_all(&beside);
            return Err(error);
        }
        if options.read_only {
            // A folder that may not be written cannot be renamed by every file system, so this comes last.
            fs.set_mode(destination, 0o555).at("protect", destination)?;
        }
        if options.durable {
            let above = parent(destination);
            fs.sync_dir(above).at("sync", above)?;
        }
        Ok(())
    }

    fn lay_out(&self, tree: &Tree, root: &Path, options: Materialise) -> Result<(), Error> {
        let fs = &*self.inner.fs;
        fs.create_dir(root).at("create", root)?;
        let folders = folders_of(tree, root);
        for folder in &folders {
            fs.create_dir(folder).at("create", folder)?;
        }
        self.write_files(tree.entries(), root, options)?;
        for folder in folders.iter().rev() {
            if options.durable {
                fs.sync_dir(folder).at("sync", folder)?;
            }
            if options.read_only {
                fs.set_mode(folder, 0o555).at("protect", folder)?;
            }
        }
        if options.durable {
            fs.sync_dir(root).at("sync", root)?;
        }
        Ok(())
    }

    /// Writes the files with as many threads as a put uses.
    fn write_files(
        &self,
        entries: &[TreeEntry],
        root: &Path,
        options: Materialise,
    ) -> Result<(), Error> {
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        let work = || {
            while let Some(entry) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = self.write_file(entry, root, options) {
                    failure.lock().get_or_insert(error);
                    next.store(entries.len(), Ordering::Relaxed);
                }
            }
        };
        let helpers = self.inner.threads().min(entries.len()).saturating_sub(1);
        std::thread::scope(|scope| {
            for _ in 0..helpers {
                scope.spawn(work);
            }
            work();
        });
        failure.into_inner().map_or(Ok(()), Err)
    }

    fn write_file(
        &self,
        entry: &TreeEntry,
        root: &Path,
        options: Materialise,
    ) -> Result<(), Error> {
        let fs = &*self.inner.fs;
        let path = root.join(entry.path.as_str());
        let mut reader = self.get_blob(entry.blob)?;
        if reader.size() != entry.size {
            return Err(Error::TreeLacksBlob {
                path: entry.path.to_string(),
                blob: entry.blob,
            });
        }
        let file = fs.open(&path, Open::CreateNew).at("create", &path)?;
        while let Some(bytes) = reader.next_chunk()? {
            append_all(&*file, bytes).at("write", &path)?;
        }
        if options.durable {
            file.sync().at("sync", &path)?;
        }
        Ok(fs
            .set_mode(&path, mode(entry, options))
            .at("set the mode of", &path)?)
    }
}

fn mode(entry: &TreeEntry, options: Materialise) -> u32 {
    match (options.read_only, entry.executable) {
        (true, false) => 0o444,
        (true, true) => 0o555,
        (false, false) => 0o644,
        (false, true) => 0o755,
    }
}

/// The folders that the tree's files need, the outer before the inner.
fn folders_of(tree: &Tree, root: &Path) -> Vec<PathBuf> {
    let mut folders = std::collections::BTreeSet::new();
    for entry in tree.entries() {
        let path = entry.path.as_str();
        folders.extend(
            path.match_indices('/')
                .map(|(at, _)| root.join(&path[..at])),
        );
    }
    folders.into_iter().collect()
}

/// Where the tree is laid out before it gets its name.
fn beside(destination: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(destination.file_name().unwrap_or_default());
    name.push(format!(".{}.partial", std::process::id()));
    destination.with_file_name(name)
}
