//! Following a stage: its journal while it grows, its process until it ends.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use begat_ledger::journal::{Decoded, Decoder, Summary};
use begat_schemas::Time;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Evidence, Live, judge};
use crate::engine::Shared;
use crate::executor::{Process, Stop, boot_id};
use crate::scheduler::{Event, JobId, Verdict};
use crate::telemetry::Telemetry;

/// How often a journal is looked at where no notice of its growth comes: network file systems give none.
const SLOW_POLL: Duration = Duration::from_secs(1);
/// How much of a journal is read at once.
const PIECE_BYTES: usize = 256 << 10;
/// How much of a log's end is looked at for its last line.
const LAST_LINE_BYTES: u64 = 4 << 10;

/// Follows the attempt until its process has ended, then reports how.
pub(crate) async fn watch(shared: Arc<Shared>, job: JobId, live: Arc<Live>) {
    let process = live.process.lock().clone();
    if let Some(process) = &process {
        let path = live.folder.journal();
        let grown = shared.journals.watch(&path);
        let mut tail = Tail::counting(&shared.telemetry);
        let mut ended = shared.executor.ended(process);
        shared.meter_start(&live);
        loop {
            tail = read_more(&shared, tail, &live).await;
            tokio::select! {
                () = &mut ended => break,
                () = shared.stopping.cancelled() => {
                    shared.journals.forget(&path);
                    return;
                }
                () = grown.notified() => {}
                () = tokio::time::sleep(SLOW_POLL) => {}
            }
        }
        shared.journals.forget(&path);
        let executor = Arc::clone(&shared.executor);
        let parent = process.clone();
        shared.blocking(move || executor.sweep(&parent)).await;
        shared.meter_stop(&live);
        read_more(&shared, tail, &live).await;
    }
    let verdict = verdict(&live, process.as_ref());
    tracing::info!(attempt = ?live.attempt, ?verdict, "stage ended");
    shared.post(Event::Ended { job, verdict });
}

/// Asks the stage to stop; kills it when the grace period is over.
pub(crate) async fn stop(shared: Arc<Shared>, live: Arc<Live>) {
    let Some(process) = live.process.lock().clone() else {
        return;
    };
    for (how, wait) in [
        (Stop::Ask, shared.config.stop_grace),
        (Stop::Kill, Duration::ZERO),
    ] {
        if let Err(error) = shared.executor.stop(&process, how) {
            tracing::warn!(attempt = ?live.attempt, "{error}");
        }
        tokio::select! {
            () = shared.executor.ended(&process) => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn verdict(live: &Live, process: Option<&Process>) -> Verdict {
    let summary = live.summary.lock();
    let evidence = Evidence {
        exit: live.folder.exit(),
        begun: live.folder.has_begun(),
        finished: summary.finished.is_some(),
        failed: summary.failed.as_ref().map(|(reason, _)| reason.clone()),
        last_line: last_line(&live.folder.log()),
        rebooted: process.is_some_and(|process| process.boot_id != boot_id()),
    };
    judge(live.task.derivation.kind, &evidence)
}

fn last_line(log: &Path) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_LINE_BYTES)))
        .ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.trim().to_owned())
}

async fn read_more(shared: &Shared, mut tail: Tail, live: &Arc<Live>) -> Tail {
    let live = Arc::clone(live);
    let read = shared
        .blocking(move || {
            if let Err(error) = tail.read_more(&live) {
                tracing::warn!(attempt = ?live.attempt, "cannot read the journal: {error}");
            }
            tail
        })
        .await;
    read.unwrap_or_else(|| Tail::counting(&shared.telemetry))
}

/// A journal as far as it was read. Reading begins at its start, so that the summary is exact after a restart.
#[derive(Debug)]
pub(crate) struct Tail {
    file: Option<File>,
    decoder: Decoder,
    summary: Summary,
    /// Where what is read is counted, if it is, and steps from when on: those from before a restart were counted then.
    counted: Option<(Arc<Telemetry>, Time)>,
}

impl Tail {
    pub(crate) fn new() -> Self {
        Self {
            file: None,
            decoder: Decoder::new(),
            summary: Summary::new(),
            counted: None,
        }
    }

    /// One that counts what it reads.
    fn counting(telemetry: &Arc<Telemetry>) -> Self {
        Self {
            counted: Some((Arc::clone(telemetry), Time::now())),
            ..Self::new()
        }
    }

    /// Reads what has been added, and publishes it.
    pub(crate) fn read_more(&mut self, live: &Live) -> io::Result<()> {
        let path = live.folder.journal();
        let file = match &mut self.file {
            Some(file) => file,
            None => match File::open(&path) {
                Ok(file) => self.file.insert(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            },
        };
        let read_to = file.stream_position()?;
        if file.metadata()?.len() < read_to {
            // The stage went on after a crash and cut its own torn line.
            self.decoder.forget_unfinished();
            file.seek(SeekFrom::Start(self.decoder.position()))?;
        }
        let mut piece = vec![0; PIECE_BYTES];
        while let Some(file) = &mut self.file {
            let read = file.read(&mut piece)?;
            if read == 0 {
                break;
            }
            let lines = self.decoder.push(&piece[..read]);
            self.take(live, lines);
        }
        self.publish(live);
        Ok(())
    }

    fn take(&mut self, live: &Live, lines: Vec<Decoded>) {
        let (mut events, mut faults) = (0, 0);
        for decoded in lines {
            if let Some(fault) = decoded.line.fault() {
                tracing::warn!(attempt = ?live.attempt, "journal: {fault}");
                faults += 1;
            }
            let Some(event) = decoded.into_event() else {
                continue;
            };
            events += 1;
            let lap = self.summary.apply(&event);
            if let (Some(lap), Some((telemetry, since))) = (lap, &self.counted)
                && event.time >= *since
            {
                let (stage, run) = (&live.task.stage, live.attempt.run);
                telemetry.steps().done(stage, run, &lap, event.time);
            }
        }
        if let Some((telemetry, _)) = &self.counted {
            telemetry.work().journal_read(events, faults);
        }
    }

    fn publish(&self, live: &Live) {
        let position = self.decoder.position();
        *live.summary.lock() = self.summary.clone();
        live.status.send_if_modified(|status| {
            let grown = position > status.position;
            status.position = status.position.max(position);
            grown
        });
    }
}

/// One watcher for all journals.
#[derive(Debug, Default)]
pub(crate) struct JournalWatch {
    watcher: Mutex<Option<RecommendedWatcher>>,
    grown: Arc<Mutex<HashMap<PathBuf, Arc<Notify>>>>,
}

impl JournalWatch {
    /// Notified whenever the file at `path` changes, as far as the system says so.
    fn watch(&self, path: &Path) -> Arc<Notify> {
        let notify = Arc::new(Notify::new());
        self.grown
            .lock()
            .insert(path.to_owned(), Arc::clone(&notify));
        let mut watcher = self.watcher.lock();
        if watcher.is_none() {
            *watcher = self.start();
        }
        if let Some(watcher) = watcher.as_mut()
            && let Err(error) = watcher.watch(path, RecursiveMode::NonRecursive)
        {
            tracing::debug!("{} is looked at every second: {error}", path.display());
        }
        notify
    }

    fn forget(&self, path: &Path) {
        self.grown.lock().remove(path);
        if let Some(watcher) = self.watcher.lock().as_mut() {
            let _ = watcher.unwatch(path);
        }
    }

    fn start(&self) -> Option<RecommendedWatcher> {
        let grown = Arc::clone(&self.grown);
        let seen = move |event: notify::Result<notify::Event>| {
            for path in event.map(|event| event.paths).unwrap_or_default() {
                if let Some(notify) = grown.lock().get(&path) {
                    notify.notify_one();
                }
            }
        };
        notify::recommended_watcher(seen)
            .inspect_err(|error| tracing::warn!("journals are looked at every second: {error}"))
            .ok()
    }
}
