//! What can go wrong in the store, as facts.

use std::io;
use std::path::PathBuf;

use begat_schemas::{BadTree, BadTreePath, BlobDigest, ChunkId, TreeDigest};

use crate::fs::{FsError, Holder};
use crate::index::IndexError;

/// What can go wrong in the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file-system call failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The index failed beyond what a rebuild mends.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Another process has the folder.
    #[error("{} is in use by {holder}", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// Who has it.
        holder: Holder,
    },
    /// The folder was written in another format.
    #[error("{} has format `{found}`; this begat reads `{expected}`", path.display())]
    Format {
        /// The file that says so.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What it would have to say.
        expected: &'static str,
    },
    /// A sync failed before: nothing more is written until the store is opened again.
    #[error("the store takes no more writes until it is opened again, because {reason}")]
    Poisoned {
        /// The failure.
        reason: String,
    },
    /// A blob that is not here.
    #[error("there is no blob {blob}")]
    NoBlob {
        /// Its digest.
        blob: BlobDigest,
    },
    /// A tree that is not here.
    #[error("there is no tree {tree}")]
    NoTree {
        /// Its digest.
        tree: TreeDigest,
    },
    /// A file of a tree that is not here.
    #[error("`{path}` of the tree is blob {blob}, which is not in the store")]
    TreeLacksBlob {
        /// The file's path in the tree.
        path: String,
        /// Its content.
        blob: BlobDigest,
    },
    /// A blob whose chunk is not here.
    #[error("blob {blob} is damaged: its chunk {chunk} is not in the store")]
    NoChunk {
        /// The blob.
        blob: BlobDigest,
        /// The chunk.
        chunk: ChunkId,
    },
    /// Stored bytes that are not what they should be.
    #[error("{object} is damaged: {reason} (pack {pack:08}, byte {offset})")]
    Damaged {
        /// What is damaged: "chunk 0123…".
        object: String,
        /// What is wrong.
        reason: String,
        /// The pack's number.
        pack: u32,
        /// Where in the pack.
        offset: u64,
    },
    /// A blob whose chunks are whole but make other bytes.
    #[error("blob {blob} is damaged: its chunks make {found}")]
    BlobDiffers {
        /// What was asked for.
        blob: BlobDigest,
        /// What its chunks make.
        found: BlobDigest,
    },
    /// Bytes that were announced under another digest.
    #[error("the bytes have digest {found}, announced was {expected}")]
    DigestMismatch {
        /// What was announced.
        expected: BlobDigest,
        /// What came.
        found: BlobDigest,
    },
    /// A tree whose manifest is none.
    #[error("tree {tree} is damaged: {source}")]
    TreeDamaged {
        /// The tree.
        tree: TreeDigest,
        /// What is wrong.
        source: BadTree,
    },
    /// Files that make no tree.
    #[error(transparent)]
    BadTree(#[from] BadTree),
    /// A file whose name cannot stand in a tree.
    #[error("{}: {source}", path.display())]
    BadPath {
        /// The file.
        path: PathBuf,
        /// What is wrong with its path in the tree.
        source: BadTreePath,
    },
    /// Something in a folder that a tree cannot hold.
    #[error("{} is {what}, which a tree cannot hold", path.display())]
    NotStorable {
        /// Where it is.
        path: PathBuf,
        /// "a symbolic link", "a special file", "not UTF-8 in its name".
        what: &'static str,
    },
    /// What was to be read from the caller failed.
    #[error("cannot read {name}: {source}")]
    Reader {
        /// What was being read.
        name: String,
        /// The reader's error.
        source: io::Error,
    },
    /// A destination that is already there.
    #[error("{} is already there", path.display())]
    Exists {
        /// The destination.
        path: PathBuf,
    },
    /// A blob too long for what it was to be used for.
    #[error("blob {blob} has {size} bytes, at most {limit} were expected")]
    TooLong {
        /// The blob.
        blob: BlobDigest,
        /// Its length.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// A pack of the store that cannot be read as one.
    #[error("{} is damaged: {reason}", path.display())]
    BadPack {
        /// The pack file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}
