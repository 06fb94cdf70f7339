//! The engine: what the HTTP layer, the inboxes and the generator call.
//!
//! An [`Engine`] is a handle that is cheap to clone. Its methods are asynchronous; what blocks goes to the threads for that.
//! One file a subject: `launches`, `runs`, `names`, `trees`, `reproductions`, `care`; `open` starts, `driver` carries out what
//! the scheduler decides.

mod care;
mod driver;
mod error;
mod figures;
mod launches;
mod names;
mod open;
mod place;
mod reproductions;
mod roster;
mod runs;
mod shared;
mod tally;
mod traces;
mod trees;

use std::sync::Arc;

use begat_schemas::api::Version;
use begat_schemas::{CONTRACT, Device};
use begat_store::Store;
use tokio::sync::oneshot;

pub use crate::attempts::{BadCursor, EventCursor, EventStream, StreamItem};
use crate::config::Config;
use crate::scheduler::Event;
pub use driver::AfterAction;
use driver::Message;
pub use error::EngineError;
pub use figures::MetricsForm;
pub use open::rebuild_index;
pub use place::DATA_FORMAT;
pub use runs::{LogQuery, MetricsQuery};
pub(crate) use shared::Shared;

/// How long closing waits for the last user of the store to be gone.
const CLOSE_ROUNDS: u32 = 200;
const CLOSE_WAIT: std::time::Duration = std::time::Duration::from_millis(10);

/// The handle.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    /// Kept for its lock, and so that the driver's end can be waited for.
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    driver: parking_lot::Mutex<Option<std::thread::JoinHandle<()>>>,
    lock: parking_lot::Mutex<Option<Box<dyn begat_store::fs::FsLock>>>,
}

impl Engine {
    /// How the daemon was configured.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Which daemon this is.
    pub fn version(&self) -> Version {
        Version {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data_format: DATA_FORMAT,
            contract: CONTRACT,
            data: self.config().data.display().to_string(),
            pid: std::process::id(),
        }
    }

    /// Whether the daemon does what it is for; why not, if it does not.
    pub fn is_ready(&self) -> Result<(), String> {
        match &*self.shared.failure.lock() {
            None => Ok(()),
            Some(reason) => Err(reason.clone()),
        }
    }

    /// The store. Its calls block.
    pub fn store(&self) -> &Arc<Store> {
        &self.shared.store
    }

    /// Runs `work`, which blocks, and keeps collections out meanwhile.
    pub async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, begat_store::Error> + Send + 'static,
    ) -> Result<T, EngineError> {
        self.run_blocking(move |shared| {
            let _nothing_is_collected_meanwhile = shared.gate.read();
            Ok(work(&shared.store)?)
        })
        .await
    }

    /// A free slot of `device` until the lease is dropped; none if all are taken.
    pub async fn take_slot(&self, device: &Device) -> Option<(Device, SlotLease)> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Lease(device.clone(), answer));
        let device = answered.await.ok().flatten()?;
        let lease = SlotLease {
            device: device.clone(),
            shared: Arc::clone(&self.shared),
        };
        Some((device, lease))
    }

    /// Stops: nothing new begins, stages live on, store and ledger are closed.
    pub async fn stop(&self) {
        self.shared.stopping.cancel();
        self.send(Message::Stop);
        let driver = self.inner.driver.lock().take();
        if let Some(driver) = driver {
            let _ = self
                .shared
                .runtime
                .spawn_blocking(move || driver.join())
                .await;
        }
        let shared = Arc::clone(&self.shared);
        let synced = self.shared.blocking(move || shared.store.commit()).await;
        if let Some(Err(error)) = synced {
            tracing::warn!("the store could not be made durable at the end: {error}");
        }
    }

    /// Closes store and ledger after [`Engine::stop`], so that the next start is quick; skipped if someone still has a handle.
    pub fn close(self) {
        let Self { shared, inner } = self;
        // What followed a stage or a reader ends by itself now that the daemon stops.
        for _ in 0..CLOSE_ROUNDS {
            if Arc::strong_count(&shared) == 1 {
                break;
            }
            std::thread::sleep(CLOSE_WAIT);
        }
        if let Some(shared) = Arc::into_inner(shared) {
            let Shared { store, ledger, .. } = shared;
            let closed = Arc::into_inner(ledger).map(begat_ledger::Ledger::close);
            if let Some(Err(error)) = closed {
                tracing::warn!("the ledger's index was not closed: {error}");
            }
            if let Some(Err(error)) = Arc::into_inner(store).map(Store::close) {
                tracing::warn!("the store's index was not closed: {error}");
            }
        }
        drop(inner.lock.lock().take());
    }

    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Shared>) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let shared = Arc::clone(&self.shared);
        let done = self.shared.blocking(move || work(&shared)).await;
        done.unwrap_or_else(|| Err(EngineError::internal("the daemon met a bug, see its log")))
    }

    fn send(&self, message: Message) {
        // The driver is gone only when the daemon stops.
        let _ = self.shared.messages.send(message);
    }

    /// Tells the scheduler, and waits until what follows at once is done.
    async fn handle(&self, event: Event) -> Result<(), EngineError> {
        self.refuse_when_failed()?;
        let (done, waits) = oneshot::channel();
        self.send(Message::Handle(event, done));
        let _ = waits.await;
        self.refuse_when_failed()
    }

    fn refuse_when_failed(&self) -> Result<(), EngineError> {
        self.is_ready()
            .map_err(|problem| EngineError::ReadOnly { problem })
    }

    async fn is_idle(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        self.send(Message::AskIdle(answer));
        answered.await.unwrap_or(false)
    }
}

/// A device slot that is taken until this is dropped.
#[derive(Debug)]
pub struct SlotLease {
    device: Device,
    shared: Arc<Shared>,
}

impl Drop for SlotLease {
    fn drop(&mut self) {
        let _ = self
            .shared
            .messages
            .send(Message::GiveBack(self.device.clone()));
    }
}
