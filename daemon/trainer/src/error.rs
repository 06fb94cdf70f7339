//! The one error of this crate. Each variant carries the facts; `Display` puts them in one sentence.

use std::path::{Path, PathBuf};

use begat_schemas::layout;

/// What can go wrong below the stages.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// libtorch refused an operation.
    #[error("libtorch: {}", first_line(&.0.to_string()))]
    Torch(#[from] tch::TchError),
    /// The C++ shim refused an operation.
    #[error("libtorch: {}", first_line(.0))]
    Shim(String),
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A folder where a model was expected.
    #[error("{place}: expected a model, found no config.json; it holds {holds}")]
    NotAModel {
        /// Which one.
        place: String,
        /// What is there instead.
        holds: String,
    },
    /// A model configuration that cannot work, or that this program does not support.
    #[error("{place}: `{field}` {problem}")]
    Config {
        /// The file, or where else the configuration came from.
        place: String,
        /// The key at fault.
        field: String,
        /// What is wrong with it and what was expected.
        problem: String,
    },
    /// A weights file that is damaged or does not fit the configuration.
    #[error("{path}: {problem}", path = path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The device that was asked for cannot be used.
    #[error("device \"{device}\" cannot be used: {missing}")]
    Device {
        /// As asked for.
        device: String,
        /// What is missing.
        missing: String,
    },
    /// An argument outside of what an operation accepts.
    #[error("{0}")]
    Invalid(String),
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// `folder` has no `config.json`. Where it lies is nobody's business but this program's, so its name has to do.
    pub(crate) fn not_a_model(folder: &Path) -> Self {
        const SHOWN: usize = 4;
        let parent = folder.parent().and_then(Path::file_name);
        let place = match folder.file_name() {
            Some(name) if parent.is_some_and(|parent| parent == layout::INPUTS) => {
                format!("input `{}`", name.to_string_lossy())
            }
            _ => "this tree".to_owned(),
        };
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        let more = names.len().saturating_sub(SHOWN);
        names.truncate(SHOWN);
        let holds = match (names.is_empty(), more) {
            (true, _) => "nothing".to_owned(),
            (false, 0) => names.join(", "),
            (false, more) => format!("{} and {more} more", names.join(", ")),
        };
        Self::NotAModel { place, holds }
    }

    pub(crate) fn weights(path: &Path, problem: impl Into<String>) -> Self {
        Self::Weights {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }
}

/// Attaches the path to an I/O error.
pub(crate) trait At<T> {
    fn at(self, path: &Path) -> Result<T>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|source| Error::File {
            path: path.to_owned(),
            source,
        })
    }
}

/// libtorch appends a C++ backtrace to its messages; a user needs the first line only.
fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}
