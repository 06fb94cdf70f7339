//! Watched folders: what is dropped there becomes a dataset.
//!
//! A drop is one file or folder in the watched folder. It is taken when it is complete: at once if it was renamed in, which
//! is how a careful program delivers, and otherwise when nothing in it has changed for the folder's settle time. It is
//! hashed where it lies; if anything is written meanwhile, the hash counts for nothing and the waiting begins anew. Only
//! then are the tree recorded and the ref `<inbox>/<drop>` moved. The drop itself is left where it is: it is not ours.

mod drops;
mod scan;
mod watch;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::time::Duration;

use begat_schemas::RefName;

use crate::engine::Engine;

/// A folder to watch.
#[derive(Debug, Clone)]
pub struct Inbox {
    /// What the refs of its drops begin with.
    pub name: RefName,
    /// The folder. It is made if it is not there.
    pub folder: PathBuf,
    /// How long a drop that was not renamed in must be unchanged.
    pub settle: Duration,
}

/// Why a folder cannot be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InboxError {
    /// It cannot be made.
    #[error("cannot make the inbox `{folder}`: {source}", folder = folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system does not report its changes.
    #[error("cannot watch the inbox `{folder}`: {source}", folder = folder.display())]
    Watch {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: notify::Error,
    },
    /// No thread for it.
    #[error("cannot start a thread for an inbox: {0}")]
    Thread(io::Error),
}

/// The watching threads. Dropping this ends them, each after what it is just hashing.
#[must_use = "dropping it ends the watching"]
pub struct Watchers(Vec<Sender<watch::Message>>);

impl Drop for Watchers {
    fn drop(&mut self) {
        for watcher in &self.0 {
            // One that has ended already needs no word.
            let _ = watcher.send(watch::Message::Stop);
        }
    }
}

/// Watches these folders. It must be called in a tokio runtime.
pub fn start(inboxes: Vec<Inbox>, engine: &Engine) -> Result<Watchers, InboxError> {
    let started = inboxes
        .into_iter()
        .map(|inbox| watch::start(inbox, engine.clone()));
    started.collect::<Result<_, _>>().map(Watchers)
}

#[cfg(test)]
mod tests;
