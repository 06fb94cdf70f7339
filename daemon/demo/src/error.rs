//! What can go wrong while the data is built.

use std::path::{Path, PathBuf};

/// Why the datasets could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A folder or file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A folder or file could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The folder for the datasets already holds something.
    #[error("{path} is not empty: expected a new or an empty folder to write the datasets to")]
    OutputNotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The folder of sources holds no crate that can be used.
    #[error(
        "no usable crate in {path}: expected a folder for each crate with a Cargo.toml, as `cargo vendor` writes them"
    )]
    NoCrates {
        /// The folder.
        path: PathBuf,
    },
    /// The crates gave nothing for one of the datasets.
    #[error("the crates in {path} give no row for {file}: expected the sources of more crates")]
    EmptyDataset {
        /// The folder of sources.
        path: PathBuf,
        /// The file that would be empty, relative to the output folder.
        file: String,
    },
    /// The threads that read the crates could not be started.
    #[error("cannot start the threads that read the crates: {reason}")]
    Threads {
        /// What the system answered.
        reason: String,
    },
}

impl BuildError {
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }
}
