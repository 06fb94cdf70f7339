//! Group commit: one thread that writes what all others append.
//!
//! While it waits for the disk, further appends gather; they are then written and synced as one group. A group is folded
//! before it is written, so that a record which contradicts what is known is refused alone, and enters the index only
//! once it is durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use begat_schemas::RunId;
use begat_store::index::DistrustedSled;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use parking_lot::{Mutex, RwLock};

use crate::error::{LedgerError, Refusal};
use crate::fold::fold_append;
use crate::key;
use crate::log::{Append, LogWriter, Position, WriteError, source_name};
use crate::record::Record;
use crate::view::{Overlay, Scan};

/// The most appends in a group.
const GROUP_MAX: usize = 1024;

/// What the committing thread and the questions share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub index: DistrustedSled,
    /// Held to read by each question, so that it sees whole groups only, and to write while one enters the index.
    pub gate: RwLock<()>,
    /// Up to where the log is in the index; what a rebuild has to bring back.
    pub indexed: Arc<Mutex<Position>>,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    appends: AtomicU64,
    records: AtomicU64,
    syncs: AtomicU64,
}

/// What group commit has saved so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupCommit {
    /// Appends acknowledged.
    pub appends: u64,
    /// Records in them.
    pub records: u64,
    /// Syncs that made them durable.
    pub syncs: u64,
}

impl Shared {
    pub(crate) fn new(index: DistrustedSled, indexed: Arc<Mutex<Position>>) -> Self {
        Self {
            index,
            gate: RwLock::new(()),
            indexed,
            counters: Counters::default(),
        }
    }

    pub(crate) fn group_commit(&self) -> GroupCommit {
        GroupCommit {
            appends: self.counters.appends.load(Ordering::Relaxed),
            records: self.counters.records.load(Ordering::Relaxed),
            syncs: self.counters.syncs.load(Ordering::Relaxed),
        }
    }

    /// Brings what `overlay` changed, durable up to `end`, into the index.
    pub(crate) fn enter(&self, overlay: &Overlay<'_>, end: Position) -> Result<(), LedgerError> {
        let mut batch = overlay.batch();
        batch.set_position(&source_name(end.file), end.offset);
        let _whole = self.gate.write();
        self.index.apply(&batch)?;
        *self.indexed.lock() = end;
        Ok(())
    }
}

/// An append that waits for its acknowledgement.
struct Request {
    append: Append,
    reply: Sender<Result<(), LedgerError>>,
}

/// The way to the committing thread, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Committer {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread.
    pub(crate) fn start(writer: LogWriter, shared: Arc<Shared>) -> std::io::Result<Self> {
        let (requests, inbox) = unbounded();
        let state = Committing {
            writer,
            shared,
            poison: None,
        };
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || state.run(&inbox))?;
        Ok(Self {
            requests: Some(requests),
            thread: Some(thread),
        })
    }

    /// Appends, and waits until that is durable.
    pub(crate) fn append(&self, append: Append) -> Result<(), LedgerError> {
        let (reply, answer) = bounded(1);
        let requests = self.requests.as_ref().ok_or(LedgerError::Closed)?;
        requests
            .send(Request { append, reply })
            .map_err(|_| LedgerError::Closed)?;
        answer.recv().map_err(|_| LedgerError::Closed)?
    }

    /// Lets the thread finish what was asked of it, and end.
    pub(crate) fn stop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _a_panic_there_was_reported_there = thread.join();
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Committing {
    writer: LogWriter,
    shared: Arc<Shared>,
    /// Why nothing may be written any more.
    poison: Option<String>,
}

impl Committing {
    fn run(mut self, inbox: &Receiver<Request>) {
        while let Ok(first) = inbox.recv() {
            let group: Vec<Request> = std::iter::once(first)
                .chain(inbox.try_iter().take(GROUP_MAX - 1))
                .collect();
            self.commit(group);
        }
    }

    fn commit(&mut self, group: Vec<Request>) {
        if let Some(reason) = &self.poison {
            for request in group {
                let reason = reason.clone();
                answer(&request.reply, Err(LedgerError::Poisoned { reason }));
            }
            return;
        }
        let shared = Arc::clone(&self.shared);
        let mut overlay = Overlay::new(&shared.index);
        let (appends, replies) = admit(group, &mut overlay);
        if appends.is_empty() {
            return;
        }
        let records = appends.iter().map(|append| append.records.len() as u64);
        let records = records.sum();
        let result = self.write(appends, &overlay).map_err(Arc::new);
        if result.is_ok() {
            let counters = &self.shared.counters;
            let count = replies.len() as u64;
            counters.appends.fetch_add(count, Ordering::Relaxed);
            counters.records.fetch_add(records, Ordering::Relaxed);
            counters.syncs.fetch_add(1, Ordering::Relaxed);
        }
        for reply in &replies {
            answer(reply, result.clone().map_err(LedgerError::Write));
        }
    }

    fn write(&mut self, appends: Vec<Append>, overlay: &Overlay<'_>) -> Result<(), LedgerError> {
        let end = self.writer.write(appends).map_err(|error| match error {
            WriteError::Unchanged(error) => error,
            WriteError::Unknown(error) => {
                self.poison = Some(error.to_string());
                error
            }
        })?;
        self.shared.enter(overlay, end).inspect_err(|error| {
            // The records are durable but cannot be seen; whatever is folded next would miss them.
            self.poison = Some(error.to_string());
        })
    }
}

/// Folds each append of a group, and refuses those that contradict what is known or what came before in the group.
fn admit(
    group: Vec<Request>,
    overlay: &mut Overlay<'_>,
) -> (Vec<Append>, Vec<Sender<Result<(), LedgerError>>>) {
    let mut appends = Vec::with_capacity(group.len());
    let mut replies = Vec::with_capacity(group.len());
    for Request { append, reply } in group {
        let mut attempt = Overlay::new(overlay);
        match check_removals(&attempt, &append).and_then(|()| fold_append(&mut attempt, &append)) {
            Ok(()) => {
                let changes = attempt.into_changes();
                overlay.take(changes);
                appends.push(append);
                replies.push(reply);
            }
            Err(error) => answer(&reply, Err(error)),
        }
    }
    (appends, replies)
}

/// Refuses to remove a run whose output another run consumed. This asks for lists, which folding cannot, and what is in
/// the log was admitted once.
fn check_removals(view: &dyn Scan, append: &Append) -> Result<(), LedgerError> {
    for record in &append.records {
        if let Record::RunRemoved { run } = record {
            check_removal(view, *run)?;
        }
    }
    Ok(())
}

fn check_removal(view: &dyn Scan, run: RunId) -> Result<(), LedgerError> {
    for tree in crate::query::trees_of(view, run)? {
        let made_elsewhere = view
            .keys(&key::producers(tree))?
            .iter()
            .filter_map(|key| key::run_at(key, 33))
            .any(|producer| producer != run);
        let consumer = view
            .keys(&key::consumers(tree))?
            .iter()
            .filter_map(|key| key::run_at(key, 33))
            .find(|consumer| *consumer != run);
        if let (Some(by), false) = (consumer, made_elsewhere) {
            return Err(Refusal::Needed { run, by }.into());
        }
    }
    Ok(())
}

fn answer(reply: &Sender<Result<(), LedgerError>>, result: Result<(), LedgerError>) {
    let _nobody_waits_any_more = reply.send(result);
}
