//! What the engine's parts share.

use std::sync::Arc;
use std::sync::mpsc;

use begat_ledger::{Ledger, Record};
use begat_schemas::{LaunchId, RecipeName, RunId, Time};
use begat_store::Store;
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::EngineError;
use super::driver::Message;
use super::roster::Roster;
use super::tally::Tally;
use crate::attempts::{JournalWatch, LiveTable};
use crate::config::Config;
use crate::executor::Executor;
use crate::otlp::Spans;
use crate::scheduler::{Event, SchedulerFigures};
use crate::telemetry::{Gpus, Telemetry};
use crate::work::Cache;

/// What the engine's parts share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) store: Arc<Store>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) cache: Cache,
    pub(crate) live: LiveTable,
    pub(crate) journals: JournalWatch,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) gpus: Gpus,
    /// Spans for whoever follows by OpenTelemetry.
    pub(super) spans: Spans,
    pub(super) roster: Roster,
    /// How queue and slots stood after the driver's last message.
    pub(super) scheduled: Mutex<SchedulerFigures>,
    /// When the store was last checked, and how much was wrong.
    pub(super) checked: Mutex<Option<(Time, u64)>>,
    /// Grows with everything that is recorded.
    pub(crate) changes: watch::Sender<u64>,
    /// Set when the daemon stops: nothing is begun, recorded or followed any more. Stages live on.
    pub(crate) stopping: CancellationToken,
    /// Held for reading between putting bytes and recording who needs them, for writing by a collection.
    pub(crate) gate: RwLock<()>,
    /// Held while a verdict is written down, so that one of two last ones sees the other.
    pub(crate) concluding: Mutex<()>,
    pub(super) messages: mpsc::Sender<Message>,
    pub(super) runtime: Handle,
    pub(super) failure: Mutex<Option<String>>,
}

impl Shared {
    /// Runs `work`, which blocks, on the threads for that. `None` if it panicked, or the daemon stops.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        match self.runtime.spawn_blocking(work).await {
            Ok(value) => Some(value),
            Err(error) => {
                if error.is_panic() {
                    tracing::error!("a bug in begatd: {error}");
                }
                None
            }
        }
    }

    /// Writes `records` down, all or nothing, and tells those who wait for changes.
    pub(crate) fn record(&self, records: Vec<Record>) -> Result<(), EngineError> {
        if self.stopping.is_cancelled() {
            return Err(EngineError::Busy {
                problem: "the daemon is stopping".to_owned(),
            });
        }
        let tallies: Vec<Tally> = records.iter().filter_map(Tally::of).collect();
        self.ledger.append(Time::now(), records)?;
        tallies.into_iter().for_each(|tally| self.count(tally));
        self.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Tells the scheduler what happened.
    pub(crate) fn post(&self, event: Event) {
        // The driver is gone only when the daemon stops, and then nobody needs to know.
        let _ = self.messages.send(Message::Event(event));
    }

    /// Something that must not fail has failed: no more changes until the next start.
    pub(crate) fn fail(&self, error: &EngineError) {
        if self.stopping.is_cancelled() {
            return;
        }
        tracing::error!("nothing is begun any more: {error}");
        self.failure.lock().get_or_insert_with(|| error.to_string());
    }

    /// The launches that use `run`, newest first.
    pub(crate) fn launches_of(
        &self,
        run: RunId,
    ) -> Result<Vec<(LaunchId, RecipeName)>, EngineError> {
        let uses = self.ledger.launches_of(run)?;
        Ok(uses
            .into_iter()
            .map(|used| (used.launch, used.recipe))
            .collect())
    }
}
