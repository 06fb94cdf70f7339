//! A stage's inputs: links into the cache, or copies of its own for a program that might write into them.

use std::fs::File;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use begat_schemas::{Derivation, Tree, TreeDigest, TreeEntry, layout};
use begat_store::Store;
use begat_store::fs::DiskFs;
use begat_store::{hash_file, walk_folder};

use super::{At, Cache, WorkError};

/// Puts every input of `derivation` below `work/inputs`, unless it is there.
pub(super) fn provide(
    store: &Store,
    cache: &Cache,
    work: &Path,
    derivation: &Derivation,
) -> Result<(), WorkError> {
    for (name, tree) in &derivation.inputs {
        let place = work.join(layout::INPUTS).join(name.as_str());
        if std::fs::symlink_metadata(&place).is_ok() {
            continue;
        }
        let copy = derivation.runs_program();
        provide_one(store, cache, *tree, &place, copy).map_err(|source| WorkError::Input {
            name: name.to_string(),
            source: Box::new(source),
        })?;
    }
    Ok(())
}

fn provide_one(
    store: &Store,
    cache: &Cache,
    tree: TreeDigest,
    place: &Path,
    copy: bool,
) -> Result<(), WorkError> {
    let source = cache.lay_out(store, tree)?;
    if copy {
        copy_tree(&store.get_tree(tree)?, &source, place)
    } else {
        symlink(&source, place).at("link", place)
    }
}

fn copy_tree(tree: &Tree, source: &Path, place: &Path) -> Result<(), WorkError> {
    let beside = place.with_extension("part");
    super::cache::remove_read_only(&beside)?;
    std::fs::create_dir_all(&beside).at("create", &beside)?;
    for entry in tree.entries() {
        let from = source.join(entry.path.as_str());
        let to = beside.join(entry.path.as_str());
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).at("create", folder)?;
        }
        copy_file(&from, &to)?;
        let mode = if entry.executable { 0o700 } else { 0o600 };
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&to, mode).at("set the mode of", &to)?;
    }
    std::fs::rename(&beside, place).at("rename", &beside)
}

/// Shares the blocks where the file system can, else copies them.
fn copy_file(from: &Path, to: &Path) -> Result<(), WorkError> {
    let source = File::open(from).at("open", from)?;
    let target = File::create(to).at("create", to)?;
    if rustix::fs::ioctl_ficlone(&target, &source).is_ok() {
        return Ok(());
    }
    std::fs::copy(from, to).map(drop).at("copy", from)
}

/// Whether a program left its copies as they were.
pub(super) fn verify_copies(work: &Path, derivation: &Derivation) -> Result<(), WorkError> {
    for (name, expected) in &derivation.inputs {
        let place = work.join(layout::INPUTS).join(name.as_str());
        let found = digest_of_folder(&place)?;
        if found != Some(*expected) {
            return Err(WorkError::InputChanged {
                name: name.to_string(),
                expected: expected.short(),
                found: found.map_or_else(|| "no tree".to_owned(), |tree| tree.short()),
            });
        }
    }
    Ok(())
}

/// `None` if what lies there makes no tree.
fn digest_of_folder(folder: &Path) -> Result<Option<TreeDigest>, WorkError> {
    let Ok(walk) = walk_folder(&DiskFs, folder) else {
        return Ok(None);
    };
    let mut entries = Vec::with_capacity(walk.files.len());
    // Python leaves its bytecode beside the source that it ran; that changes no input.
    let own = |path: &str| !path.split('/').any(|part| part == "__pycache__");
    for file in walk
        .files
        .into_iter()
        .filter(|file| own(file.path.as_str()))
    {
        let (blob, size) = hash_file(&DiskFs, &file.source)?;
        entries.push(TreeEntry {
            path: file.path,
            size,
            blob,
            executable: file.executable,
        });
    }
    Ok(Tree::new(entries).ok().map(|tree| tree.digest()))
}
