//! What can be wrong with a dataset.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::{FieldPath, Place, Problem};

/// Shorthand for what reading a dataset returns.
pub type Result<T> = std::result::Result<T, Error>;

/// What can be wrong with a dataset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file that is not what its name says.
    #[error("{path}: {problem}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// A row that cannot be used.
    #[error(transparent)]
    Row(Box<RowError>),
    /// A dataset that cannot be used as a whole.
    #[error("dataset `{input}`: {problem}")]
    Dataset {
        /// The input's name.
        input: String,
        /// What is wrong and what was expected.
        problem: String,
    },
}

impl Error {
    pub(crate) fn format(path: &Path, problem: impl Into<String>) -> Self {
        Self::Format {
            path: path.to_owned(),
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

/// Where in a dataset something is wrong, and what.
#[derive(Debug, Clone, PartialEq)]
pub struct RowError {
    /// File and line, or row.
    pub place: Place,
    /// The field; empty if the row as a whole is meant.
    pub field: FieldPath,
    /// What is wrong with it.
    pub problem: Problem,
    /// The byte in the line at which it was noticed, from 1, if reading it noticed it.
    pub column: Option<u64>,
    /// Where the line begins in its file.
    pub(crate) line_start: Option<u64>,
}

impl RowError {
    /// What is wrong, without the place.
    pub fn sentence(&self) -> String {
        let column = self.column.map(|column| format!(" at column {column}"));
        format!("{}{}", self.field_and_problem(), column.unwrap_or_default())
    }

    /// What is wrong, with neither place nor column.
    pub(crate) fn field_and_problem(&self) -> String {
        if self.field.is_empty() {
            self.problem.to_string()
        } else {
            format!("field `{}`: {}", self.field, self.problem)
        }
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.sentence())
    }
}

impl std::error::Error for RowError {}

impl From<RowError> for Error {
    fn from(error: RowError) -> Self {
        Self::Row(Box::new(error))
    }
}

/// Attaches the path to an I/O error.
pub(crate) trait At<T> {
    fn at(self, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|source| Error::File {
            path: path.to_owned(),
            source,
        })
    }
}
