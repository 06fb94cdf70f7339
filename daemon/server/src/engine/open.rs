//! Starting: the data folder is taken, the ledger is read, and everything that was alive is found again.

use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};

use begat_ledger::{AttemptEntry, Ledger, LedgerOptions};
use begat_schemas::api::ReproduceState;
use begat_schemas::{LaunchId, Purpose, Recipe, RunState};
use begat_store::{Store, StoreOptions};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::driver::{AfterAction, Driver, Message};
use super::{Engine, EngineError, Inner, Shared, place};
use crate::attempts::{LiveTable, Tail};
use crate::config::Config;
use crate::executor::LocalExecutor;
use crate::otlp::Spans;
use crate::reproduce;
use crate::scheduler::{Event, Reason, Restored, Scheduler, Slots, Task};
use crate::telemetry::Gpus;
use crate::work::Cache;

/// The largest resolved recipe that is read back.
pub(super) const RECIPE_BYTES_MAX: u64 = 16 << 20;

impl Engine {
    /// Takes the data folder and goes on where the last daemon stopped.
    pub async fn open(config: Config) -> Result<Self, EngineError> {
        Self::open_with(config, None).await
    }

    /// The same; `after_action` is called after each action of the scheduler, for tests that end the process there.
    #[doc(hidden)]
    pub async fn open_with(
        config: Config,
        after_action: Option<AfterAction>,
    ) -> Result<Self, EngineError> {
        let runtime = tokio::runtime::Handle::current();
        let handle = runtime.clone();
        let opened = handle.spawn_blocking(move || open(config, after_action, runtime));
        opened.await.map_err(EngineError::internal)?
    }
}

fn open(
    config: Config,
    after_action: Option<AfterAction>,
    runtime: tokio::runtime::Handle,
) -> Result<Engine, EngineError> {
    let lock = place::take(&config)?;
    let (store, report) =
        Store::open(StoreOptions::new(config.store_folder())).map_err(EngineError::start)?;
    if let Some(doubt) = &report.index_rebuilt {
        tracing::info!("the store's index was made afresh: {doubt}");
    }
    let (ledger, report) =
        Ledger::open(LedgerOptions::new(config.ledger_folder())).map_err(EngineError::start)?;
    if let Some(doubt) = &report.index_rebuilt {
        tracing::info!("the ledger's index was made afresh: {doubt}");
    }
    let (messages, received) = mpsc::channel();
    let shared = Arc::new(Shared {
        store: Arc::new(store),
        ledger: Arc::new(ledger),
        executor: Arc::new(LocalExecutor::new(config.parent_program.clone())),
        cache: Cache::new(config.cache_folder()),
        live: LiveTable::default(),
        journals: Default::default(),
        telemetry: Default::default(),
        gpus: Gpus::open(),
        spans: Spans::new(config.otlp.is_some()),
        roster: Default::default(),
        scheduled: Default::default(),
        checked: Default::default(),
        changes: watch::Sender::new(0),
        stopping: CancellationToken::new(),
        gate: Default::default(),
        concluding: Default::default(),
        messages,
        runtime,
        failure: Default::default(),
        config,
    });
    let driver = start(&shared, received, after_action)?;
    Ok(Engine {
        shared,
        inner: Arc::new(Inner {
            driver: parking_lot::Mutex::new(Some(driver)),
            lock: parking_lot::Mutex::new(Some(lock)),
        }),
    })
}

fn start(
    shared: &Arc<Shared>,
    received: mpsc::Receiver<Message>,
    after_action: Option<AfterAction>,
) -> Result<std::thread::JoinHandle<()>, EngineError> {
    let config = &shared.config;
    let scheduler = Scheduler::new(Slots::new(&config.slots), config.resume_pauses.clone());
    let mut driver = Driver {
        shared: Arc::clone(shared),
        scheduler,
        after_action,
    };
    let events = restored_events(shared)?;
    std::thread::Builder::new()
        .name("scheduler".to_owned())
        .spawn(move || {
            events.into_iter().for_each(|event| driver.handle(event));
            driver.run(&received);
        })
        .map_err(EngineError::internal)
}

/// What leads from an empty scheduler to where the last daemon's was.
fn restored_events(shared: &Arc<Shared>) -> Result<Vec<Event>, EngineError> {
    let mut events = Vec::new();
    let live = shared.ledger.live_attempts()?;
    remove_orphans(shared, &live);
    for entry in live {
        events.push(restored(shared, &entry)?);
    }
    events.extend(unfinished_reproductions(shared)?);
    let open = shared.ledger.open_launches()?;
    for launch in &open {
        events.extend(shared.launch_event(*launch, false)?);
    }
    let watched = Arc::clone(shared);
    shared.runtime.spawn_blocking(move || watched.list(&open));
    Ok(events)
}

fn restored(shared: &Arc<Shared>, entry: &AttemptEntry) -> Result<Event, EngineError> {
    let run = shared.ledger.run(entry.attempt.run)?;
    let run = run.ok_or_else(|| EngineError::internal("an attempt without its run"))?;
    let official = (run.state == RunState::Succeeded).then(|| run.outputs.clone());
    let task = Task {
        run: run.run,
        derivation: Arc::new(run.derivation),
        execution: entry.execution.clone(),
        recipe: entry.recipe.clone(),
        stage: entry.stage.clone(),
        reason: match entry.purpose {
            Purpose::Launch => Reason::Launch {
                rerun: official.is_some(),
            },
            Purpose::Reproduce => Reason::Reproduce {
                id: reproduction_of(shared, entry)?.unwrap_or_default(),
            },
        },
    };
    let live = shared.revive(entry.attempt, task.clone())?;
    if entry.state != RunState::Running
        && let Err(error) = Tail::new().read_more(&live)
    {
        tracing::warn!(attempt = ?entry.attempt, "cannot read the journal: {error}");
    }
    Ok(Event::Restored(Box::new(Restored {
        task,
        attempt: entry.attempt,
        state: entry.state,
        resumes: entry.resumes,
        official,
    })))
}

fn reproduction_of(shared: &Shared, entry: &AttemptEntry) -> Result<Option<Uuid>, EngineError> {
    for id in shared.ledger.open_reproductions()? {
        let verdicts = shared.ledger.reproduction(id)?.map(|view| view.verdicts);
        let of = |verdict: &begat_schemas::api::RunVerdict| verdict.attempt == Some(entry.attempt);
        if verdicts.is_some_and(|verdicts| verdicts.iter().any(of)) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Runs that wait to be made again, and comparisons that a crash came before.
fn unfinished_reproductions(shared: &Arc<Shared>) -> Result<Vec<Event>, EngineError> {
    let mut events = Vec::new();
    for id in shared.ledger.open_reproductions()? {
        let Some(view) = shared.ledger.reproduction(id)? else {
            continue;
        };
        let mut tasks = Vec::new();
        for verdict in view.verdicts {
            if verdict.state != ReproduceState::Running {
                continue;
            }
            let Some(attempt) = verdict.attempt else {
                tasks.extend(shared.reproduce_task(id, &view.request, verdict.run)?);
                continue;
            };
            let entry = shared.ledger.attempt(attempt)?;
            if entry.is_none_or(|entry| entry.state.is_final()) {
                let compare =
                    reproduce::compare(Arc::clone(shared), id, verdict.run, Some(attempt));
                drop(shared.runtime.spawn(compare));
            }
        }
        events.push(Event::Reproduce { tasks });
    }
    Ok(events)
}

/// Work folders of attempts that were never written down.
fn remove_orphans(shared: &Shared, live: &[AttemptEntry]) {
    let known: BTreeSet<&str> = live.iter().map(|entry| entry.work.as_str()).collect();
    let Ok(entries) = std::fs::read_dir(shared.config.work_folder()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !known.contains(name)) else {
            continue;
        };
        let attempt: Option<begat_schemas::AttemptId> = name.parse().ok();
        let recorded = attempt.and_then(|attempt| shared.ledger.attempt(attempt).ok().flatten());
        let keep = recorded.is_some_and(|entry| entry.state != RunState::Succeeded);
        if let (Some(attempt), false) = (attempt, keep) {
            let folder = crate::work::WorkFolder::of(&shared.config.work_folder(), attempt);
            let _ = folder
                .remove()
                .inspect_err(|error| tracing::warn!("{error}"));
        }
    }
}

impl Shared {
    /// Shows launches that go on. It reads journals, and nothing else waits for it.
    fn list(&self, launches: &[LaunchId]) {
        for launch in launches {
            if let Err(error) = self.list_launch(*launch) {
                tracing::warn!("what launch {launch} found is not shown: {error}");
            }
        }
    }

    /// The event that takes up a recorded launch; none if its recipe cannot be read.
    pub(super) fn launch_event(
        &self,
        launch: LaunchId,
        resume: bool,
    ) -> Result<Option<Event>, EngineError> {
        let Some(entry) = self.ledger.launch(launch)? else {
            return Ok(None);
        };
        let text = self.store.get_bytes(entry.recipe_blob, RECIPE_BYTES_MAX)?;
        let recipe: Recipe = match serde_json::from_slice(&text) {
            Ok(recipe) => recipe,
            Err(error) => {
                tracing::error!("launch {launch} cannot go on: its recipe cannot be read: {error}");
                return Ok(None);
            }
        };
        Ok(Some(Event::Launched {
            launch,
            recipe: Arc::new(recipe),
            rerun: entry.rerun.into_iter().collect(),
            resume,
        }))
    }
}

/// Makes the indexes of store and ledger afresh, while no daemon runs.
pub fn rebuild_index(config: &Config) -> Result<(), EngineError> {
    let _lock = place::take(config)?;
    let (store, _) =
        Store::open(StoreOptions::new(config.store_folder())).map_err(EngineError::start)?;
    store.rebuild_index()?;
    store.close()?;
    let (ledger, _) =
        Ledger::open(LedgerOptions::new(config.ledger_folder())).map_err(EngineError::start)?;
    ledger.rebuild_index()?;
    ledger.close()?;
    Ok(())
}
