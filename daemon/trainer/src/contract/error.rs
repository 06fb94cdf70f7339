//! Why a stage ends without its outputs.

use std::path::{Path, PathBuf};

use begat_schemas::{BadValue, CONTRACT};

/// Shorthand for what stages return.
pub type StageResult<T> = std::result::Result<T, StageError>;

/// Why a stage ends without its outputs. `Display` is the sentence that its journal gets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// The model, the device or libtorch.
    #[error(transparent)]
    Model(#[from] crate::Error),
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file of the work folder that is not what the contract says.
    #[error("{path}: {problem}", path = path.display())]
    Work {
        /// The file.
        path: PathBuf,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// A contract of another version.
    #[error("{path}: contract {found}, but this begat-stage keeps contract {CONTRACT}", path = path.display())]
    Contract {
        /// The job file.
        path: PathBuf,
        /// The version found.
        found: u64,
    },
    /// A parameter that cannot be.
    #[error("parameter {0}")]
    Parameter(#[from] BadValue),
    /// A dataset that cannot be read.
    #[error(transparent)]
    Data(#[from] begat_data::Error),
    /// A row of a dataset that cannot be used.
    #[error("{place}: {problem}")]
    Row {
        /// File and line.
        place: String,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// A dataset that cannot be used as a whole.
    #[error("dataset `{input}`: {problem}")]
    Dataset {
        /// The input's name.
        input: String,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// An input that is not what the stage needs.
    #[error("input `{input}`: {problem}")]
    Input {
        /// The input's name.
        input: String,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// A program that was to judge, and did not.
    #[error("labeller `{program}`: {problem}")]
    Labeller {
        /// The program.
        program: String,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// A tokenizer or chat template that cannot be used.
    #[error("{path}: {problem}", path = path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// A loss or gradient that is not a number any more, or that grows without end.
    #[error("{what} at step {step}; its batch: {batch}")]
    Broken {
        /// The step, from 1.
        step: u64,
        /// What was seen.
        what: String,
        /// The rows or sequences of the step's batch.
        batch: String,
    },
    /// It was asked to stop, and left a checkpoint behind.
    #[error("asked to stop; step {step} is kept")]
    Interrupted {
        /// The checkpoint's step.
        step: u64,
    },
}

impl StageError {
    /// The exit code of a stage that was asked to stop; sysexits' EX_TEMPFAIL.
    pub const INTERRUPTED: u8 = 75;

    /// The step at which it happened, if it has one.
    pub fn step(&self) -> Option<u64> {
        match self {
            Self::Broken { step, .. } | Self::Interrupted { step } => Some(*step),
            _ => None,
        }
    }

    /// What the process exits with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted { .. } => Self::INTERRUPTED,
            _ => 1,
        }
    }

    pub(crate) fn work(path: &Path, problem: impl Into<String>) -> Self {
        Self::Work {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }

    pub(crate) fn tokenizer(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self::Tokenizer {
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }

    pub(crate) fn input(input: &str, problem: impl Into<String>) -> Self {
        Self::Input {
            input: input.to_owned(),
            problem: problem.into(),
        }
    }

    pub(crate) fn dataset(input: &str, problem: impl Into<String>) -> Self {
        Self::Dataset {
            input: input.to_owned(),
            problem: problem.into(),
        }
    }
}

impl From<tch::TchError> for StageError {
    fn from(error: tch::TchError) -> Self {
        Self::Model(error.into())
    }
}

/// Attaches the path to an I/O error.
pub(crate) trait At<T> {
    fn at(self, path: &Path) -> StageResult<T>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, path: &Path) -> StageResult<T> {
        self.map_err(|source| StageError::File {
            path: path.to_owned(),
            source,
        })
    }
}
