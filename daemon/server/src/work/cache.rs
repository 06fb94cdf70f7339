//! Trees laid out once, verified and read-only, for all stages that take them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use begat_schemas::TreeDigest;
use begat_store::{Materialise, Store};
use parking_lot::Mutex;

use super::{At, WorkError};

/// The folder of laid-out trees.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    /// One lock a tree, so that two stages that need it wait for one laying out.
    laying: Mutex<HashMap<TreeDigest, Arc<Mutex<()>>>>,
}

impl Cache {
    /// The cache at `folder`.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            laying: Mutex::default(),
        }
    }

    /// Where `tree` lies; it is laid out if it does not yet.
    pub fn lay_out(&self, store: &Store, tree: TreeDigest) -> Result<PathBuf, WorkError> {
        let path = self.path(tree);
        let lock = Arc::clone(self.laying.lock().entry(tree).or_default());
        let _one_at_a_time = lock.lock();
        if !path.is_dir() {
            std::fs::create_dir_all(&self.folder).at("create", &self.folder)?;
            store.materialise(tree, &path, Materialise::default())?;
        }
        Ok(path)
    }

    /// Where `tree` lies if it is laid out.
    pub fn path(&self, tree: TreeDigest) -> PathBuf {
        self.folder.join(tree.to_string())
    }

    /// Forgets every tree but those for which `wanted` says so. Called while nothing runs.
    pub fn retain(&self, wanted: impl Fn(&str) -> bool) -> Result<(), WorkError> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return Ok(());
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !name.to_str().is_some_and(&wanted) {
                remove_read_only(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// Removes a folder whose parts may be read-only; fine if it is not there.
pub(super) fn remove_read_only(path: &Path) -> Result<(), WorkError> {
    use std::os::unix::fs::PermissionsExt;
    let Ok(meta) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !meta.is_dir() {
        return std::fs::remove_file(path).at("remove", path);
    }
    let folders = walkdir::WalkDir::new(path).into_iter().flatten();
    for entry in folders.filter(|entry| entry.file_type().is_dir()) {
        let writable = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(entry.path(), writable).at("open for writing", entry.path())?;
    }
    std::fs::remove_dir_all(path).at("remove", path)
}
