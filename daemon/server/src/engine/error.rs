//! What can go wrong in the engine, as facts; the HTTP layer adds status and advice.

use std::path::PathBuf;

use begat_ledger::LedgerError;
use begat_schemas::TreeDigest;
use begat_schemas::api::Candidate;

use crate::work::{WorkError, is_corruption};

/// What can go wrong in the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Nothing has that name.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// The name.
        name: String,
        /// What it was to be.
        what: &'static str,
        /// The name that was probably meant.
        near: Option<String>,
    },
    /// An input of a recipe that nothing matches.
    #[error("{place}: there is no ref, run or digest `{name}`{}", near.as_ref().map(|near| format!(", did you mean `{near}`?")).unwrap_or_default())]
    NoInput {
        /// The key, as a dotted path.
        place: String,
        /// What was named.
        name: String,
        /// The name that was probably meant.
        near: Option<String>,
    },
    /// Several objects have that name.
    #[error("`{name}` may mean {} things: {}", candidates.len(), list(candidates))]
    Ambiguous {
        /// The name.
        name: String,
        /// What it may mean.
        candidates: Vec<Candidate>,
    },
    /// The request cannot be.
    #[error("{problem}")]
    BadRequest {
        /// What is wrong with it.
        problem: String,
    },
    /// The recipe cannot be run.
    #[error("{key}: {problem}")]
    BadRecipe {
        /// The key, as a dotted path.
        key: String,
        /// What is wrong there.
        problem: String,
        /// The name that was probably meant.
        near: Option<String>,
    },
    /// The request contradicts what is there.
    #[error("{problem}")]
    Conflict {
        /// In what.
        problem: String,
    },
    /// It cannot be done while something goes on.
    #[error("{problem}")]
    Busy {
        /// What goes on.
        problem: String,
    },
    /// What is stored is not what was stored.
    #[error("{object} is damaged: {problem}")]
    Corrupt {
        /// What is damaged.
        object: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing is written any more.
    #[error("the daemon takes no more changes: {problem}")]
    ReadOnly {
        /// Why.
        problem: String,
    },
    /// No run made the tree.
    #[error("no run made tree {}: {}", tree.short(), if additions.is_empty() { "it is not known where it came from".to_owned() } else { additions.join("; ") })]
    NoProducer {
        /// The tree.
        tree: TreeDigest,
        /// When it was added, and by whom.
        additions: Vec<String>,
    },
    /// The program of the built-in stages cannot be run.
    #[error("the stage program {} cannot be run: {problem}", path.display())]
    StageProgram {
        /// The program.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The disk is full.
    #[error("the disk is full: cannot write {}", path.display())]
    DiskFull {
        /// What was to be written.
        path: PathBuf,
    },
    /// The daemon cannot start.
    #[error("{problem}")]
    Start {
        /// Why.
        problem: String,
    },
    /// A case that should not come up.
    #[error("{problem}")]
    Internal {
        /// What happened.
        problem: String,
    },
}

fn list(candidates: &[Candidate]) -> String {
    let words = candidates.iter().map(|candidate| {
        let kind = format!("{:?}", candidate.kind).to_lowercase();
        match &candidate.label {
            Some(label) => format!("{kind} {} ({label})", candidate.id),
            None => format!("{kind} {}", candidate.id),
        }
    });
    words.collect::<Vec<_>>().join(", ")
}

impl EngineError {
    /// Names the kind of error for programs; it never changes.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotFound { .. } | Self::NoInput { .. } => "not-found",
            Self::Ambiguous { .. } => "ambiguous",
            Self::BadRequest { .. } => "bad-request",
            Self::BadRecipe { .. } => "bad-recipe",
            Self::Conflict { .. } => "conflict",
            Self::Busy { .. } => "busy",
            Self::Corrupt { .. } => "corrupt",
            Self::ReadOnly { .. } => "read-only",
            Self::NoProducer { .. } => "no-producer",
            Self::StageProgram { .. } => "stage-program",
            Self::DiskFull { .. } => "disk-full",
            Self::Start { .. } | Self::Internal { .. } => "internal",
        }
    }

    pub(crate) fn not_found(name: &str, what: &'static str) -> Self {
        Self::NotFound {
            name: name.to_owned(),
            what,
            near: None,
        }
    }

    pub(crate) fn bad_request(problem: impl std::fmt::Display) -> Self {
        Self::BadRequest {
            problem: problem.to_string(),
        }
    }

    pub(crate) fn internal(problem: impl std::fmt::Display) -> Self {
        Self::Internal {
            problem: problem.to_string(),
        }
    }

    pub(crate) fn start(problem: impl std::fmt::Display) -> Self {
        Self::Start {
            problem: problem.to_string(),
        }
    }
}

impl From<begat_store::Error> for EngineError {
    fn from(error: begat_store::Error) -> Self {
        use begat_store::Error;
        match &error {
            Error::Fs(inner) if is_full(&inner.source) => Self::DiskFull {
                path: inner.path.clone(),
            },
            Error::Poisoned { .. } => Self::ReadOnly {
                problem: error.to_string(),
            },
            Error::NoBlob { blob } => Self::not_found(&blob.to_string(), "blob"),
            Error::NoTree { tree } => Self::not_found(&tree.to_string(), "tree"),
            Error::TreeLacksBlob { .. }
            | Error::DigestMismatch { .. }
            | Error::BadTree(_)
            | Error::BadPath { .. }
            | Error::NotStorable { .. }
            | Error::TooLong { .. } => Self::bad_request(&error),
            _ if is_corruption(&error) => Self::Corrupt {
                object: "the store".to_owned(),
                problem: error.to_string(),
            },
            _ => Self::internal(&error),
        }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
}

impl From<LedgerError> for EngineError {
    fn from(error: LedgerError) -> Self {
        match &error {
            LedgerError::Refused(refusal) => Self::Conflict {
                problem: refusal.to_string(),
            },
            LedgerError::Fs(inner) if error.is_disk_full() => Self::DiskFull {
                path: inner.path.clone(),
            },
            LedgerError::Poisoned { .. } | LedgerError::Write(_) => Self::ReadOnly {
                problem: error.to_string(),
            },
            LedgerError::Damaged { .. } => Self::Corrupt {
                object: "the ledger".to_owned(),
                problem: error.to_string(),
            },
            _ => Self::internal(&error),
        }
    }
}

impl From<WorkError> for EngineError {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Store(error) => error.into(),
            WorkError::StageProgram { path, problem } => Self::StageProgram { path, problem },
            WorkError::File { source, path, .. } if is_full(&source) => Self::DiskFull { path },
            error => Self::internal(error),
        }
    }
}
