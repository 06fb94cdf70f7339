//! One thread a folder: it hears of changes, keeps the deadlines, and takes what is due.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime};

use begat_schemas::api::RefPut;
use begat_schemas::{RefName, TreeDigest};
use begat_store::Store;
use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::runtime::Handle;

use super::drops::{Drops, Sight, Trust};
use super::scan::{ScanError, Snapshot};
use super::{Inbox, InboxError};
use crate::engine::Engine;
use crate::telemetry::DropOutcome;

/// How long to wait after a failure that may pass, such as a full disk.
const RETRY_PAUSE: Duration = Duration::from_secs(60);

/// How long a thread sleeps when nothing is due.
const NOTHING_DUE: Duration = Duration::from_secs(3600);

/// What a watching thread hears.
pub(super) enum Message {
    /// Something changed, or could not be watched.
    Changed(notify::Result<notify::Event>),
    /// It is to end.
    Stop,
}

/// Starts watching one folder.
pub(super) fn start(inbox: Inbox, engine: Engine) -> Result<Sender<Message>, InboxError> {
    let folder = inbox.folder.clone();
    std::fs::create_dir_all(&folder).map_err(|source| InboxError::Folder {
        folder: folder.clone(),
        source,
    })?;
    let (sender, messages) = mpsc::channel();
    let heard = sender.clone();
    let watched = || -> notify::Result<RecommendedWatcher> {
        let mut watcher = notify::recommended_watcher(move |event| {
            // The thread ends only together with the watcher.
            let _ = heard.send(Message::Changed(event));
        })?;
        watcher.watch(&folder, RecursiveMode::Recursive)?;
        Ok(watcher)
    };
    let watcher = watched().map_err(|source| InboxError::Watch {
        folder: folder.clone(),
        source,
    })?;
    engine.telemetry().inbox().watched(inbox.name.as_str());
    let watch = Watch {
        drops: Drops::new(inbox.settle),
        inbox,
        engine,
        runtime: Handle::current(),
    };
    std::thread::Builder::new()
        .name("inbox".to_owned())
        .spawn(move || {
            let _watcher = watcher;
            watch.run(&messages);
        })
        .map_err(InboxError::Thread)?;
    Ok(sender)
}

struct Watch {
    inbox: Inbox,
    engine: Engine,
    runtime: Handle,
    drops: Drops,
}

/// Why a drop did not become a dataset.
enum Fault {
    /// It never will as it is.
    Refused(String),
    /// It may later.
    Failed(String),
    /// It was written to while it was read.
    Changed,
}

impl Watch {
    fn run(mut self, messages: &Receiver<Message>) {
        self.look_at_all();
        loop {
            let now = Instant::now();
            while let Some((name, trust)) = self.drops.take(now) {
                self.look_at(&name, trust, messages);
            }
            let wait = self.drops.next().map_or(NOTHING_DUE, |due| {
                due.saturating_duration_since(Instant::now())
            });
            match messages.recv_timeout(wait) {
                Ok(Message::Changed(event)) => self.hear(event),
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Everything that lies there may have come while nobody watched.
    fn look_at_all(&mut self) {
        match std::fs::read_dir(&self.inbox.folder) {
            Ok(entries) => {
                for entry in entries.flatten() {
                    self.see(entry.file_name(), Sight::Changed);
                }
            }
            Err(error) => {
                let folder = self.inbox.folder.display();
                tracing::error!("cannot read the inbox `{folder}`: {error}");
            }
        }
    }

    fn hear(&mut self, event: notify::Result<notify::Event>) {
        let series = self.engine.telemetry().inbox();
        series.heard(self.inbox.name.as_str());
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                let folder = self.inbox.folder.display();
                tracing::error!("watching the inbox `{folder}`: {error}");
                return self.look_at_all();
            }
        };
        if event.need_rescan() {
            return self.look_at_all();
        }
        for path in &event.paths {
            if let Some((name, sight)) = sight(&self.inbox.folder, path, event.kind) {
                self.see(name.to_owned(), sight);
            }
        }
    }

    /// Names that begin with a dot are those of files that are still on their way.
    fn see(&mut self, name: OsString, sight: Sight) {
        if !name.as_encoded_bytes().starts_with(b".") {
            self.drops.seen(name, sight, Instant::now());
        }
    }

    fn look_at(&mut self, name: &OsString, trust: Trust, messages: &Receiver<Message>) {
        match self.take(name, trust, messages) {
            Ok(Some(tree)) => {
                tracing::info!(%tree, "inbox {}: {} is a dataset now", self.inbox.name, name.display());
                self.count(DropOutcome::Stored);
            }
            Ok(None) => {}
            Err(Fault::Changed) => {
                self.drops
                    .again(name.clone(), Instant::now(), self.inbox.settle);
            }
            Err(Fault::Refused(reason)) => {
                tracing::warn!(
                    "inbox {}: {} is refused: {reason}",
                    self.inbox.name,
                    name.display()
                );
                self.count(DropOutcome::Refused);
            }
            Err(Fault::Failed(reason)) => {
                tracing::error!(
                    "inbox {}: {} is not stored: {reason}",
                    self.inbox.name,
                    name.display()
                );
                self.count(DropOutcome::Failed);
                self.drops.again(name.clone(), Instant::now(), RETRY_PAUSE);
            }
        }
    }

    fn count(&self, outcome: DropOutcome) {
        let series = self.engine.telemetry().inbox();
        series.dropped(self.inbox.name.as_str(), outcome);
    }

    /// Makes a dataset of a drop, if it is complete and not one already.
    fn take(
        &mut self,
        name: &OsString,
        trust: Trust,
        messages: &Receiver<Message>,
    ) -> Result<Option<TreeDigest>, Fault> {
        let path = self.inbox.folder.join(name);
        let Some(before) = snapshot(&path)?.filter(Snapshot::has_files) else {
            return Ok(None);
        };
        if trust == Trust::Quiet && before.quiet_for(SystemTime::now()) < self.inbox.settle {
            return Err(Fault::Changed);
        }
        let target = self.ref_of(name)?;
        let source = path.clone();
        let hash = move |store: &Store| store.add_folder(&source);
        let hashed = self.runtime.block_on(self.engine.with_store(hash));
        self.hear_all(messages);
        if self.drops.is_waiting(name) || snapshot(&path)?.as_ref() != Some(&before) {
            return Err(Fault::Changed);
        }
        let added = hashed.map_err(|error| Fault::Failed(error.to_string()))?;
        let kept = self.keep(&target, added.digest, added.tree.manifest());
        self.runtime
            .block_on(kept)
            .map(|moved| moved.then_some(added.digest))
            .map_err(|error| Fault::Failed(error.to_string()))
    }

    /// Hears what came meanwhile, without waiting. A word to stop is heard by `run`, which comes next: the channel ends then.
    fn hear_all(&mut self, messages: &Receiver<Message>) {
        // The system's queue may be a moment behind the write that filled it.
        while let Ok(Message::Changed(event)) = messages.try_recv() {
            self.hear(event);
        }
    }

    fn ref_of(&self, name: &OsStr) -> Result<RefName, Fault> {
        let name = name.to_str().ok_or_else(|| {
            Fault::Refused("its name is not UTF-8, so that no ref can have it".to_owned())
        })?;
        RefName::new(format!("{}/{name}", self.inbox.name))
            .map_err(|error| Fault::Refused(format!("{error}; rename it")))
    }

    /// Records the tree and moves the ref, unless it is there already. Says whether it did.
    async fn keep(
        &self,
        name: &RefName,
        tree: TreeDigest,
        manifest: Vec<u8>,
    ) -> Result<bool, crate::engine::EngineError> {
        let refs = self.engine.refs().await?;
        if refs
            .iter()
            .any(|known| known.name == *name && known.tree == tree)
        {
            return Ok(false);
        }
        let by = format!("inbox {}", self.inbox.name);
        self.engine.add_tree(manifest, by.clone()).await?;
        let put = RefPut {
            target: tree.to_string(),
            reason: Some(by),
        };
        self.engine.put_ref(name.clone(), put).await?;
        Ok(true)
    }
}

fn snapshot(path: &Path) -> Result<Option<Snapshot>, Fault> {
    match Snapshot::of(path) {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(error @ ScanError::Refused(..)) => Err(Fault::Refused(error.to_string())),
        Err(ScanError::Io(_, error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::Failed(error.to_string())),
    }
}

/// What an event says, and of which drop.
fn sight<'a>(folder: &Path, path: &'a Path, kind: EventKind) -> Option<(&'a OsStr, Sight)> {
    let inner = path.strip_prefix(folder).ok()?;
    let mut parts = inner.iter();
    let name = parts.next()?;
    let is_whole = parts.next().is_none();
    let sight = match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Sight::Changed,
        EventKind::Access(_) => return None,
        // It comes after the two halves of a rename, which have been heard.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => return None,
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) if is_whole => Sight::Arrived,
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(_)
            if is_whole =>
        {
            Sight::Gone
        }
        _ => Sight::Changed,
    };
    Some((name, sight))
}
