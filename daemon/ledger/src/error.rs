//! What can go wrong with the ledger.

use std::path::PathBuf;

use begat_schemas::{AttemptId, LaunchId, RefName, RunId, StageName};
use begat_store::fs::FsError;
use begat_store::index::IndexError;

use crate::state::BadTransition;

/// An error of the ledger.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A call to the file system failed. Nothing was acknowledged.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// An earlier write or sync failed in a way after which nothing is known of the log's end.
    #[error("the ledger takes no more records since a write failed ({reason}): restart the daemon")]
    Poisoned {
        /// What failed.
        reason: String,
    },
    /// The records contradict what is known. Nothing was written.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The log is not as it was written.
    #[error("the ledger's file {} is damaged at byte {offset}: {problem}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        problem: String,
    },
    /// Another version of begat wrote the log.
    #[error("{} is of format `{found}`, this begat reads `{expected}`", file.display())]
    OtherFormat {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: String,
        /// The format of this begat.
        expected: &'static str,
    },
    /// The index failed in a way that making it afresh does not mend.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A value of the index is not of the shape it was written in.
    #[error("the ledger's index holds something unreadable under `{key}`: {source}")]
    Value {
        /// The key, unprintable bytes escaped.
        key: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A record cannot be written as JSON.
    #[error("a record cannot be written: {0}")]
    NotJson(serde_json::Error),
    /// A group of records could not be written. Nothing was acknowledged.
    #[error(transparent)]
    Write(std::sync::Arc<LedgerError>),
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
}

impl LedgerError {
    /// Whether the disk is full, or the user's share of it.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Fs(error) => matches!(
                error.source.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            ),
            Self::Write(error) => error.is_disk_full(),
            _ => false,
        }
    }
}

/// Why a record was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The launch is not known.
    #[error("there is no launch {0}")]
    NoSuchLaunch(LaunchId),
    /// The launch has no stage of that name.
    #[error("launch {launch} has no stage `{stage}`")]
    NoSuchStage {
        /// The launch.
        launch: LaunchId,
        /// The stage.
        stage: StageName,
    },
    /// The run is not known.
    #[error("there is no run {0}")]
    NoSuchRun(RunId),
    /// The attempt is not known.
    #[error("there is no attempt {0}")]
    NoSuchAttempt(AttemptId),
    /// The reproduction is not known.
    #[error("there is no reproduction {0}")]
    NoSuchReproduction(uuid::Uuid),
    /// The ref is not known.
    #[error("there is no ref `{0}`")]
    NoSuchRef(RefName),
    /// An id is used twice.
    #[error("{0} is there already")]
    Twice(String),
    /// A derivation does not have the run's id.
    #[error("the derivation's digest is {found}, not {run}")]
    NotItsDerivation {
        /// The id that was claimed.
        run: RunId,
        /// The id that it has.
        found: String,
    },
    /// The run's next attempt has another number.
    #[error("the next attempt of run {run} is number {expected}, not {found}")]
    AttemptNumber {
        /// The run.
        run: RunId,
        /// The number that it would have.
        expected: u32,
        /// The number that was claimed.
        found: u32,
    },
    /// Another attempt of the run is alive.
    #[error("attempt {0} is alive")]
    AttemptAlive(AttemptId),
    /// What happened cannot happen in that state.
    #[error("{what}: {bad}")]
    BadTransition {
        /// The run or attempt.
        what: String,
        /// The transition.
        bad: BadTransition,
    },
    /// A state that this record cannot bring about.
    #[error("{what} cannot be made {state} by this record")]
    BadState {
        /// The run or attempt.
        what: String,
        /// The state.
        state: String,
    },
    /// Another run needs what the run produced.
    #[error("run {run} is needed by run {by}")]
    Needed {
        /// The run that was to be removed.
        run: RunId,
        /// The run that consumed an output of it.
        by: RunId,
    },
}
