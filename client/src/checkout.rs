//! Writing a tree into a folder: down, verified, and there as a whole or not at all.
//!
//! Everything is written beside the target and renamed when it is complete. Paths cannot lead out of the folder:
//! [`begat_schemas::TreePath`] holds no `..` and nothing absolute, and the folder is new, so that no link can lie in
//! the way.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use begat_schemas::{BlobDigest, Digest, Tree, TreeEntry};
use futures::{StreamExt, TryStreamExt};

use crate::api::{ApiError, Client};

/// Files that come down at a time.
const FILES_AT_A_TIME: usize = 4;

/// How far a checkout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckoutProgress {
    /// So many more bytes are written and verified.
    Written(u64),
}

/// Why a tree could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckoutError {
    /// Something is there already.
    #[error("{} is there already: expected a new or an empty folder", path.display())]
    Exists {
        /// The target.
        path: PathBuf,
    },
    /// The disk refused.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The daemon gave no bytes, or wrong ones.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl CheckoutError {
    fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }
}

/// Writes `tree` to the folder `target`, which must be new or empty.
pub async fn checkout(
    client: &Client,
    tree: &Tree,
    target: &Path,
    progress: &(dyn Fn(CheckoutProgress) + Sync),
) -> Result<(), CheckoutError> {
    refuse_existing(target)?;
    let parent = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent).map_err(|error| CheckoutError::write(parent, error))?;
    let beside = tempfile::Builder::new()
        .prefix(".begat-checkout-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir_in(parent)
        .map_err(|error| CheckoutError::write(parent, error))?;
    futures::stream::iter(tree.entries())
        .map(|entry| write_entry(client, beside.path(), entry, progress))
        .buffer_unordered(FILES_AT_A_TIME)
        .try_collect::<()>()
        .await?;
    std::fs::rename(beside.path(), target).map_err(|error| match error.kind() {
        ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            CheckoutError::Exists {
                path: target.to_owned(),
            }
        }
        _ => CheckoutError::write(target, error),
    })
}

fn refuse_existing(target: &Path) -> Result<(), CheckoutError> {
    let exists = || CheckoutError::Exists {
        path: target.to_owned(),
    };
    match std::fs::symlink_metadata(target) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CheckoutError::write(target, error)),
        Ok(metadata) if metadata.is_dir() => {
            let mut entries =
                std::fs::read_dir(target).map_err(|error| CheckoutError::write(target, error))?;
            entries.next().map_or(Ok(()), |_| Err(exists()))
        }
        Ok(_) => Err(exists()),
    }
}

async fn write_entry(
    client: &Client,
    folder: &Path,
    entry: &TreeEntry,
    progress: &(dyn Fn(CheckoutProgress) + Sync),
) -> Result<(), CheckoutError> {
    let path = folder.join(entry.path.as_str());
    let at = |error| CheckoutError::write(&path, error);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(at)?;
    }
    let mut file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(at)?;
    let mut hasher = blake3::Hasher::new();
    let mut stream = client.blob(entry.blob).await?;
    while let Some(piece) = stream.chunk().await? {
        let piece = piece.as_ref();
        hasher.update(piece);
        file.write_all(piece).map_err(at)?;
        progress(CheckoutProgress::Written(piece.len() as u64));
    }
    verify(entry, &hasher)?;
    if entry.executable {
        let permissions = std::fs::Permissions::from_mode(0o755);
        file.set_permissions(permissions).map_err(at)?;
    }
    Ok(())
}

fn verify(entry: &TreeEntry, hasher: &blake3::Hasher) -> Result<(), ApiError> {
    let found = BlobDigest::from(Digest::from(hasher.finalize()));
    if found == entry.blob && hasher.count() == entry.size {
        return Ok(());
    }
    Err(ApiError::Corrupt {
        what: "blob",
        digest: entry.blob.to_string(),
    })
}
