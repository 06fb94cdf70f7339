//! Making results again.

use std::sync::Arc;

use begat_ledger::Record;
use begat_schemas::api::{ReproduceRequest, ReproduceView};
use begat_schemas::{AttemptId, RunId, RunState};
use uuid::Uuid;

use super::{Engine, EngineError, Shared};
use crate::reproduce::open_verdict;
use crate::scheduler::{Event, Outputs, Reason, Task};

impl Engine {
    /// Begins to make a run again, with its whole ancestry if wished.
    pub async fn reproduce(&self, request: ReproduceRequest) -> Result<ReproduceView, EngineError> {
        self.refuse_when_failed()?;
        let (id, event) = self
            .run_blocking(move |shared| shared.record_reproduction(request))
            .await?;
        self.handle(event).await?;
        self.reproduction(id).await
    }

    /// How a reproduction stands.
    pub async fn reproduction(&self, id: Uuid) -> Result<ReproduceView, EngineError> {
        self.run_blocking(move |shared| {
            let view = shared.ledger.reproduction(id)?;
            view.ok_or_else(|| EngineError::not_found(&id.to_string(), "reproduction"))
        })
        .await
    }
}

impl Shared {
    fn record_reproduction(&self, request: ReproduceRequest) -> Result<(Uuid, Event), EngineError> {
        let run = self.run_named(&request.target)?;
        self.check_made(run)?;
        let runs = if request.deep {
            self.ledger.ancestors(run)?
        } else {
            vec![run]
        };
        let id = Uuid::now_v7();
        let mut records = vec![Record::ReproductionCreated {
            id,
            request: request.clone(),
            runs: runs.clone(),
        }];
        let mut tasks = Vec::new();
        for run in runs {
            let verdict = open_verdict(self, run)?;
            records.push(Record::ReproductionVerdict { id, verdict });
            tasks.extend(self.reproduce_task(id, &request, run)?);
        }
        self.record(records)?;
        Ok((id, Event::Reproduce { tasks }))
    }

    fn check_made(&self, run: RunId) -> Result<(), EngineError> {
        let state = self.ledger.run(run)?.map(|entry| entry.state);
        match state {
            Some(RunState::Succeeded) => Ok(()),
            Some(state) => Err(EngineError::Conflict {
                problem: format!(
                    "run {} has no result to compare with: it is {state}",
                    run.short()
                ),
            }),
            None => Err(EngineError::not_found(&run.to_string(), "run")),
        }
    }

    /// What is to be done to make `run` again: by its own derivation, as the attempt that counts was done.
    pub(super) fn reproduce_task(
        &self,
        id: Uuid,
        request: &ReproduceRequest,
        run: RunId,
    ) -> Result<Option<(Task, u32, Outputs)>, EngineError> {
        let Some(entry) = self.ledger.run(run)? else {
            return Ok(None);
        };
        let number = entry.output_attempt.unwrap_or(1);
        let Some(original) = self.ledger.attempt(AttemptId { run, number })? else {
            return Ok(None);
        };
        let mut execution = original.execution;
        execution.threads = request.threads.or(execution.threads);
        if let Some(device) = &request.device {
            execution.device = device.clone();
        }
        execution.check().map_err(EngineError::bad_request)?;
        let task = Task {
            run,
            derivation: Arc::new(entry.derivation),
            execution,
            recipe: original.recipe,
            stage: original.stage,
            reason: Reason::Reproduce { id },
        };
        Ok(Some((task, entry.attempts, entry.outputs)))
    }
}
