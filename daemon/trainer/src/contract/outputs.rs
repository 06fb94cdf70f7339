//! An output folder while it is being written.

use std::fs;
use std::path::{Path, PathBuf};

use super::{At, StageResult, WorkFolder, sync_folder, write_durably};

/// A folder beside its final place; [`OutputFolder::publish`] gives it its name.
#[derive(Debug)]
pub struct OutputFolder {
    partial: PathBuf,
    target: PathBuf,
}

impl OutputFolder {
    /// Begins the output `name`; what an earlier try left of it goes away.
    pub fn begin(work: &WorkFolder, name: &str) -> StageResult<Self> {
        let outputs = work.outputs();
        let partial = outputs.join(format!(".partial-{name}"));
        let target = outputs.join(name);
        for stale in [&partial, &target] {
            remove_if_there(stale)?;
        }
        fs::create_dir_all(&partial).at(&partial)?;
        Ok(Self { partial, target })
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Writes one file of it.
    pub fn write(&self, name: &str, bytes: &[u8]) -> StageResult<()> {
        write_durably(&self.partial.join(name), bytes)
    }

    /// Gives it its final name, once the disk has all of it.
    pub fn publish(self) -> StageResult<()> {
        publish(&self.partial, &self.target)
    }
}

/// Syncs the folder with the files directly in it and in its subfolders, then renames it.
pub(super) fn publish(partial: &Path, target: &Path) -> StageResult<()> {
    sync_tree(partial)?;
    fs::rename(partial, target).at(target)?;
    match target.parent() {
        Some(parent) => sync_folder(parent),
        None => Ok(()),
    }
}

fn sync_tree(folder: &Path) -> StageResult<()> {
    for entry in fs::read_dir(folder).at(folder)? {
        let path = entry.at(folder)?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            sync_folder(&path)?;
        }
    }
    sync_folder(folder)
}

/// Removes a folder that others may look at: its name goes first, so that it is never seen in part.
pub(super) fn remove_whole(folder: &Path) -> StageResult<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let doomed = folder.with_file_name(format!(".removed-{name}"));
    remove_if_there(&doomed)?;
    fs::rename(folder, &doomed).at(folder)?;
    remove_if_there(&doomed)
}

pub(super) fn remove_if_there(folder: &Path) -> StageResult<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at(folder),
        _ => Ok(()),
    }
}
