//! Work folders: made before a stage begins, read while it runs, stored from when it has ended.
//!
//! Nothing here decides anything: the scheduler says when, the schemas' stage contract says what lies where.

mod cache;
mod folder;
mod inputs;
mod outputs;

use std::path::{Path, PathBuf};

pub use cache::Cache;
pub use folder::{WorkFolder, prepare, prepare_again};
pub use outputs::{kept_checkpoints, store_outputs};

/// Why a stage cannot begin, or its outputs cannot be stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// A file-system call failed.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// With which path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store cannot give or take.
    #[error(transparent)]
    Store(#[from] begat_store::Error),
    /// An input is not in the store, or damaged there.
    #[error("input `{name}`: {source}")]
    Input {
        /// The input.
        name: String,
        /// What is wrong.
        source: Box<WorkError>,
    },
    /// The device does not exist here.
    #[error("device `{device}`: this daemon has no such GPU ({})", if *nvidia { "slots.cuda in its configuration leaves it out" } else { "the system shows no /dev/nvidia0, so slots.cuda is empty" })]
    NoDevice {
        /// The device.
        device: String,
        /// Whether the system shows any GPU.
        nvidia: bool,
    },
    /// The program of the built-in stages is not there.
    #[error("the stage program {} cannot be run: {problem}", path.display())]
    StageProgram {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The derivation is of a version that this begat cannot run.
    #[error("this begat cannot run the derivation: {0}")]
    Params(#[from] begat_schemas::BadValue),
    /// A promised output is not there.
    #[error(
        "the stage did not write the output `{name}` that it promised: there is no folder outputs/{name} with a file in it"
    )]
    NoOutput {
        /// The output.
        name: String,
    },
    /// An output is not what it was to be.
    #[error("the output `{name}` is no {artifact}: {problem}")]
    BadOutput {
        /// The output.
        name: String,
        /// What it was to be.
        artifact: String,
        /// What is wrong.
        problem: String,
    },
    /// The stage changed what it was given.
    #[error("the stage changed its input `{name}`: it was tree {expected}, now it is {found}")]
    InputChanged {
        /// The input.
        name: String,
        /// What it was.
        expected: String,
        /// What it is now.
        found: String,
    },
}

impl WorkError {
    /// Whether what is stored is damaged or gone.
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::Store(error) => is_corruption(error),
            Self::Input { source, .. } => source.is_corruption(),
            _ => false,
        }
    }
}

/// Whether a store's error says that what is stored is damaged or gone.
pub fn is_corruption(error: &begat_store::Error) -> bool {
    use begat_store::Error;
    matches!(
        error,
        Error::Damaged { .. }
            | Error::BlobDiffers { .. }
            | Error::NoChunk { .. }
            | Error::TreeDamaged { .. }
            | Error::BadPack { .. }
            | Error::NoBlob { .. }
            | Error::NoTree { .. }
            | Error::TreeLacksBlob { .. }
    )
}

/// Adds the place to a bare `io::Error`.
pub(crate) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, WorkError>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, WorkError> {
        self.map_err(|source| WorkError::File {
            action,
            path: path.to_owned(),
            source,
        })
    }
}
