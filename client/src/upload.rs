//! Adding files: hash here, ask what the store lacks, stream only that.
//!
//! Memory is bounded by a few buffers whatever the files' sizes. A file is hashed once before anything is sent, and
//! again by the daemon as it arrives; its stamp is compared around both, so that a file which changes meanwhile is
//! named as such and never becomes a tree that existed at no moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use begat_schemas::api::TreeAdded;
use begat_schemas::{BadTree, BlobDigest, Digest, Tree, TreeEntry};
use futures::{StreamExt, TryStreamExt};
use tokio::io::AsyncReadExt;
use tokio_util::io::{InspectReader, ReaderStream};

use crate::api::{ApiError, Client};
use crate::walk::{FoundFile, Stamp, Walk, WalkError};

/// Files hashed, and files sent, at a time.
const FILES_AT_A_TIME: usize = 4;
/// The size of a buffer, in bytes.
const BUFFER_BYTES: usize = 256 << 10;
/// Digests in one question for what is missing.
const DIGESTS_AT_A_TIME: usize = 5_000;

/// How far an addition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddProgress {
    /// So many more bytes are hashed.
    Hashed(u64),
    /// The store lacks so much.
    Lacking {
        /// Distinct contents.
        blobs: usize,
        /// Their size.
        bytes: u64,
    },
    /// So many more bytes are sent.
    Sent(u64),
}

/// Hears of progress, from several threads.
pub type ProgressSink = Arc<dyn Fn(AddProgress) + Send + Sync>;

/// A tree that was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// The daemon's answer.
    pub added: TreeAdded,
    /// The tree.
    pub tree: Tree,
    /// Bytes that had to be sent.
    pub bytes_sent: u64,
}

/// Why files could not be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// The folder cannot become a tree.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A file is not as it was when the addition began.
    #[error("{} was changed while it was being added", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The files make no tree.
    #[error(transparent)]
    Tree(#[from] BadTree),
    /// The daemon did not take them.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// Stores the files of `walk` as a tree.
pub async fn add(client: &Client, walk: Walk, progress: ProgressSink) -> Result<Added, AddError> {
    let hashed: Vec<(FoundFile, BlobDigest)> = futures::stream::iter(walk.files)
        .map(|file| hash(file, progress.clone()))
        .buffered(FILES_AT_A_TIME)
        .try_collect()
        .await?;
    let tree = Tree::new(hashed.iter().map(entry).collect())?;
    let bytes_sent = send_missing(client, &hashed, &progress).await?;
    Ok(Added {
        added: client.put_tree(&tree).await?,
        tree,
        bytes_sent,
    })
}

fn entry((file, blob): &(FoundFile, BlobDigest)) -> TreeEntry {
    TreeEntry {
        path: file.path.clone(),
        size: file.stamp.size,
        blob: *blob,
        executable: file.stamp.executable,
    }
}

async fn hash(
    file: FoundFile,
    progress: ProgressSink,
) -> Result<(FoundFile, BlobDigest), AddError> {
    let at = file.source.clone();
    let hashing = tokio::task::spawn_blocking(move || {
        let digest = hash_file(&file, &progress)?;
        Ok((file, digest))
    });
    match hashing.await {
        Ok(result) => result,
        Err(error) => Err(AddError::Read {
            path: at,
            source: std::io::Error::other(error.to_string()),
        }),
    }
}

fn hash_file(file: &FoundFile, progress: &ProgressSink) -> Result<BlobDigest, AddError> {
    let read_error = |source| AddError::Read {
        path: file.source.clone(),
        source,
    };
    let mut open = File::open(&file.source).map_err(read_error)?;
    unchanged(file, &open)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = open.read(&mut buffer).map_err(read_error)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        progress(AddProgress::Hashed(count as u64));
    }
    unchanged(file, &open)?;
    if hasher.count() != file.stamp.size {
        return Err(changed(&file.source));
    }
    Ok(Digest::from(hasher.finalize()).into())
}

fn unchanged(file: &FoundFile, open: &File) -> Result<(), AddError> {
    let metadata = open.metadata().map_err(|source| AddError::Read {
        path: file.source.clone(),
        source,
    })?;
    if Stamp::of(&metadata) == file.stamp {
        Ok(())
    } else {
        Err(changed(&file.source))
    }
}

fn changed(path: &Path) -> AddError {
    AddError::Changed {
        path: path.to_owned(),
    }
}

async fn send_missing(
    client: &Client,
    hashed: &[(FoundFile, BlobDigest)],
    progress: &ProgressSink,
) -> Result<u64, AddError> {
    let files: BTreeMap<BlobDigest, &FoundFile> = hashed
        .iter()
        .map(|(file, digest)| (*digest, file))
        .collect();
    let digests: Vec<BlobDigest> = files.keys().copied().collect();
    let mut missing = BTreeSet::new();
    for some in digests.chunks(DIGESTS_AT_A_TIME) {
        missing.extend(client.missing(some.to_vec()).await?);
    }
    let lacking: Vec<(BlobDigest, FoundFile)> = files
        .into_iter()
        .filter(|(digest, _)| missing.contains(digest))
        .map(|(digest, file)| (digest, file.clone()))
        .collect();
    let bytes = lacking.iter().map(|(_, file)| file.stamp.size).sum();
    progress(AddProgress::Lacking {
        blobs: lacking.len(),
        bytes,
    });
    futures::stream::iter(lacking)
        .map(|(digest, file)| send(client, digest, file, progress.clone()))
        .buffer_unordered(FILES_AT_A_TIME)
        .try_collect::<()>()
        .await?;
    Ok(bytes)
}

async fn send(
    client: &Client,
    digest: BlobDigest,
    file: FoundFile,
    progress: ProgressSink,
) -> Result<(), AddError> {
    let read_error = |source| AddError::Read {
        path: file.source.clone(),
        source,
    };
    let open = File::open(&file.source).map_err(read_error)?;
    let kept = open.try_clone().map_err(read_error)?;
    unchanged(&file, &kept)?;
    let limited = tokio::fs::File::from_std(open).take(file.stamp.size);
    let counted = InspectReader::new(limited, move |piece: &[u8]| {
        progress(AddProgress::Sent(piece.len() as u64));
    });
    let body = reqwest::Body::wrap_stream(ReaderStream::with_capacity(counted, BUFFER_BYTES));
    let sent = client.put_blob(digest, file.stamp.size, body).await;
    // A file that shrank or was written to makes the request fail; the stamp knows why.
    unchanged(&file, &kept)?;
    Ok(sent?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walk::walk;
    use std::io::Write;

    fn quiet() -> ProgressSink {
        Arc::new(|_| ())
    }

    #[test]
    fn a_files_digest_is_plain_blake3() {
        let folder = tempfile::tempdir().unwrap();
        let content = vec![7; BUFFER_BYTES * 2 + 1];
        std::fs::write(folder.path().join("a"), &content).unwrap();
        let file = &walk(folder.path()).unwrap().files[0];
        assert_eq!(hash_file(file, &quiet()).unwrap(), BlobDigest::of(&content));
    }

    #[test]
    fn a_file_that_grew_since_the_walk_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "before").unwrap();
        let file = walk(folder.path()).unwrap().files.remove(0);
        let mut open = File::options().append(true).open(&path).unwrap();
        open.write_all(b", after").unwrap();
        let error = hash_file(&file, &quiet()).unwrap_err();
        assert!(matches!(error, AddError::Changed { path: changed } if changed == path));
    }

    #[test]
    fn a_file_that_grows_while_it_is_hashed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, vec![1; BUFFER_BYTES * 3]).unwrap();
        let file = walk(folder.path()).unwrap().files.remove(0);
        let grow: ProgressSink = Arc::new(move |_| {
            let mut open = File::options().append(true).open(&path).unwrap();
            open.write_all(b"more").unwrap();
            drop(open);
            let _ = std::fs::remove_file(&path);
            std::fs::write(&path, "another").unwrap();
        });
        assert!(matches!(
            hash_file(&file, &grow),
            Err(AddError::Changed { .. })
        ));
    }
}
