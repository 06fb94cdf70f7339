//! Where stages run.
//!
//! A stage is never a child of the daemon's heart: a tiny parent (`begatd stage-parent`, see [`crate::parent`]) in a session of
//! its own waits for it and writes down how it ended, so that the daemon may die at any time. The parent holds the stage back
//! until the daemon has written down who the parent is ([`Held::release`]); if the daemon dies before, the parent sees its
//! pipe close and goes away without starting anything. So a process that is in no record never runs, and one that is can be
//! found again.

mod local;
mod process;
mod usage;

use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ChildStdin;

pub use local::LocalExecutor;
pub use process::{Process, boot_id};
pub use usage::{Usage, usage};

/// A future that an object-safe trait can give.
pub type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs stages, and finds them again.
pub trait Executor: std::fmt::Debug + Send + Sync {
    /// Starts a parent for the stage of the work folder `work`; the stage itself waits for [`Held::release`].
    fn spawn(&self, work: &Path) -> Result<Held, ExecutorError>;
    /// Resolves once the parent has ended, whoever started it; at once if it is not there.
    fn ended(&self, process: &Process) -> Waiting;
    /// Asks the stage to stop, or kills it. That it has ended meanwhile is no error.
    fn stop(&self, process: &Process, how: Stop) -> Result<(), ExecutorError>;
    /// Kills what an ended parent left behind, and waits until it is gone.
    fn sweep(&self, process: &Process);
}

/// How a stage is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM: it writes a checkpoint and ends.
    Ask,
    /// SIGKILL.
    Kill,
}

/// A parent whose stage has not begun.
#[derive(Debug)]
pub struct Held {
    /// Who the parent is.
    pub process: Process,
    gate: ChildStdin,
}

impl Held {
    /// Lets the stage begin. Dropping instead ends the parent.
    pub fn release(mut self) -> Result<(), ExecutorError> {
        self.gate
            .write_all(b"g")
            .map_err(|source| ExecutorError::Release {
                pid: self.process.pid,
                source,
            })
    }
}

/// Why a stage's parent cannot be started or reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutorError {
    /// The parent cannot be started.
    #[error("cannot start {}: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The parent was gone before its stage could begin.
    #[error("the stage's parent, process {pid}, was gone before its stage began: {source}")]
    Release {
        /// The parent.
        pid: u32,
        /// What the system said.
        source: std::io::Error,
    },
    /// The parent cannot be signalled.
    #[error("cannot signal process {pid}: {source}")]
    Signal {
        /// The parent.
        pid: u32,
        /// What the system said.
        source: std::io::Error,
    },
}
