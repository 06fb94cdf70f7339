//! Beginning a stage, or going on with it.
//!
//! The order makes a crash harmless at any point: the folder is made, the parent is started but holds the stage back, the
//! attempt and the parent are written down in one durable step, and only then may the stage begin.

use std::sync::Arc;

use begat_ledger::Record;
use begat_schemas::{RunState, Time};

use super::{Live, watch};
use crate::engine::{EngineError, Shared};
use crate::executor::Held;
use crate::scheduler::{Event, Reason, Start, Verdict};
use crate::work::{WorkError, WorkFolder, prepare, prepare_again};

/// Makes the work folder and lets the stage begin; reports [`Event::Started`] or [`Event::Ended`].
pub(crate) async fn begin(shared: Arc<Shared>, start: Start) {
    let job = start.job;
    let task = Arc::clone(&shared);
    let begun = shared.blocking(move || try_begin(&task, &start)).await;
    match begun {
        Some(Ok(live)) => {
            shared.post(Event::Started { job });
            watch(shared, job, live).await;
        }
        Some(Err(Refused::Stage(reason))) => shared.post(Event::Ended {
            job,
            verdict: Verdict::Failed { reason },
        }),
        Some(Err(Refused::Daemon(error))) => shared.fail(&error),
        None => {}
    }
}

/// Why a stage did not begin.
enum Refused {
    /// It cannot, and the ledger has its attempt.
    Stage(String),
    /// The ledger takes no records.
    Daemon(EngineError),
}

impl From<EngineError> for Refused {
    fn from(error: EngineError) -> Self {
        Self::Daemon(error)
    }
}

fn try_begin(shared: &Shared, start: &Start) -> Result<Arc<Live>, Refused> {
    let started = shared.started_at(start)?;
    let folder = WorkFolder::of(&shared.config.work_folder(), start.attempt);
    let live = Live::new(start.attempt, start.task.clone(), folder, started);
    let live = shared
        .live
        .get(start.attempt)
        .unwrap_or_else(|| Arc::new(live));
    let (held, from_step) = match make_ready(shared, start) {
        Ok(ready) => ready,
        Err(reason) => return Err(refuse(shared, start, reason)?),
    };
    shared.live.insert(Arc::clone(&live));
    live.launches
        .lock()
        .extend(shared.launches_of(start.task.run)?);
    live.set_state(RunState::Running);
    *live.process.lock() = Some(held.process.clone());
    let mut records = first_records(shared, start, from_step)?;
    records.push(Record::AttemptProcess {
        attempt: start.attempt,
        process: held.process.clone(),
    });
    shared.record(records)?;
    // A parent that is gone by now has written no exit.json, which the watch will see.
    if let Err(error) = held.release() {
        tracing::warn!(attempt = ?start.attempt, "{error}");
    }
    Ok(live)
}

fn make_ready(shared: &Shared, start: &Start) -> Result<(Held, Option<u64>), String> {
    let (config, store, cache) = (&shared.config, &*shared.store, &shared.cache);
    let (attempt, task) = (start.attempt, &start.task);
    let text = |error: WorkError| error.to_string();
    let (folder, step) = if start.resume {
        prepare_again(config, store, cache, attempt, task).map_err(text)?
    } else {
        (
            prepare(config, store, cache, attempt, task).map_err(text)?,
            None,
        )
    };
    let held = shared.executor.spawn(folder.root());
    held.map(|held| (held, step))
        .map_err(|error| error.to_string())
}

/// What cannot begin is an attempt all the same: one that failed, with its reason.
fn refuse(shared: &Shared, start: &Start, reason: String) -> Result<Refused, EngineError> {
    shared.record(first_records(shared, start, None)?)?;
    Ok(Refused::Stage(reason))
}

/// What comes before the process in the ledger; nothing if the attempt stands there as running, though it never began.
fn first_records(
    shared: &Shared,
    start: &Start,
    from_step: Option<u64>,
) -> Result<Vec<Record>, EngineError> {
    if start.resume {
        let attempt = start.attempt;
        let known = shared.ledger.attempt(attempt)?;
        let runs = known.is_some_and(|entry| entry.state == RunState::Running);
        let resumed = Record::AttemptResumed { attempt, from_step };
        return Ok(if runs { Vec::new() } else { vec![resumed] });
    }
    let task = &start.task;
    let mut records = vec![Record::AttemptStarted {
        attempt: start.attempt,
        purpose: task.reason.purpose(),
        execution: task.execution.clone(),
        begat: env!("CARGO_PKG_VERSION").to_owned(),
        work: start.attempt.to_string(),
        recipe: task.recipe.clone(),
        stage: task.stage.clone(),
    }];
    if let Reason::Reproduce { id } = task.reason {
        records.extend(shared.verdict_begun(id, start.attempt)?);
    }
    Ok(records)
}

impl Shared {
    /// When the attempt first began: now, unless it goes on.
    fn started_at(&self, start: &Start) -> Result<Time, EngineError> {
        let known = if start.resume {
            self.ledger.attempt(start.attempt)?
        } else {
            None
        };
        Ok(known.map_or_else(Time::now, |entry| entry.started))
    }
}
