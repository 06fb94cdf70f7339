//! What is counted of the records, once they are durable.

use begat_ledger::Record;
use begat_schemas::api::{LaunchState, ReproduceState};
use begat_schemas::{AttemptId, LaunchId, RecipeName, RunId, RunState, StageKind, StageName};

use super::{EngineError, Shared};
use crate::telemetry::Outcome;

/// What a record means to those who count.
#[derive(Debug)]
pub(super) enum Tally {
    Ended(AttemptId, Outcome),
    Resumed(RunId),
    Reproduced(ReproduceState),
    Opened(LaunchId, RecipeName),
    Reopened(LaunchId),
    Closed(LaunchId),
}

impl Tally {
    /// What is to be counted of the record, if anything.
    pub(super) fn of(record: &Record) -> Option<Self> {
        Some(match record {
            Record::AttemptEnded { attempt, end } => Self::Ended(*attempt, outcome(end.state)?),
            Record::AttemptState { attempt, state, .. } => Self::Ended(*attempt, outcome(*state)?),
            Record::AttemptResumed { attempt, .. } => Self::Resumed(attempt.run),
            Record::ReproductionVerdict { verdict, .. } => match verdict.state {
                ReproduceState::Running => return None,
                state => Self::Reproduced(state),
            },
            Record::LaunchCreated { launch, recipe, .. } => Self::Opened(*launch, recipe.clone()),
            Record::LaunchState { launch, state } => match state {
                LaunchState::Running => Self::Reopened(*launch),
                _ => Self::Closed(*launch),
            },
            _ => return None,
        })
    }
}

fn outcome(state: RunState) -> Option<Outcome> {
    match state {
        RunState::Succeeded => Some(Outcome::Succeeded),
        RunState::Failed => Some(Outcome::Failed),
        RunState::Cancelled => Some(Outcome::Cancelled),
        RunState::Interrupted => Some(Outcome::Interrupted),
        RunState::Queued | RunState::Running | RunState::Storing => None,
    }
}

impl Shared {
    /// Counts. What cannot be counted is logged and changes nothing else.
    pub(super) fn count(&self, tally: Tally) {
        if let Err(error) = self.try_count(tally) {
            tracing::warn!("not counted: {error}");
        }
    }

    fn try_count(&self, tally: Tally) -> Result<(), EngineError> {
        let work = self.telemetry.work();
        match tally {
            Tally::Ended(attempt, outcome) => {
                work.ended(self.kind_of(attempt.run)?, outcome);
                self.trace_attempt(attempt)?;
            }
            Tally::Resumed(run) => work.resumed(self.kind_of(run)?),
            Tally::Reproduced(state) => work.reproduced(state),
            Tally::Opened(launch, recipe) => self.roster.open(launch, recipe),
            Tally::Reopened(launch) => self.list_launch(launch)?,
            Tally::Closed(launch) => {
                self.roster.close(launch);
                self.trace_launch(launch)?;
            }
        }
        Ok(())
    }

    pub(super) fn kind_of(&self, run: RunId) -> Result<StageKind, EngineError> {
        if let Some(kind) = self.live.kind_of(run) {
            return Ok(kind);
        }
        let entry = self.ledger.run(run)?;
        let entry = entry.ok_or_else(|| EngineError::not_found(&run.to_string(), "run"))?;
        Ok(entry.derivation.kind)
    }

    /// A launch found the result of a stage: it is counted and shown.
    pub(super) fn found(
        &self,
        launch: LaunchId,
        stage: StageName,
        run: RunId,
    ) -> Result<(), EngineError> {
        let seconds = match self.official(run)? {
            Some(attempt) => self.ledger.attempt(attempt)?.and_then(|entry| entry.end),
            None => None,
        };
        let seconds = seconds.map_or(0.0, |end| end.seconds);
        self.telemetry.work().memoised(self.kind_of(run)?, seconds);
        self.trace_found(launch, &stage, run)?;
        self.list_found(launch, stage, run)
    }

    /// Shows a launch that goes on, as it was recorded.
    pub(super) fn list_launch(&self, launch: LaunchId) -> Result<(), EngineError> {
        let Some(entry) = self.ledger.launch(launch)? else {
            return Ok(());
        };
        self.roster.open(launch, entry.recipe);
        let found = entry.runs.into_iter().filter(|(_, used)| used.found);
        for (stage, used) in found {
            self.list_found(launch, stage, used.run)?;
        }
        Ok(())
    }

    fn list_found(
        &self,
        launch: LaunchId,
        stage: StageName,
        run: RunId,
    ) -> Result<(), EngineError> {
        if let Some(attempt) = self.official(run)?
            && let Some(figures) = self.final_figures(attempt, &stage)?
        {
            self.roster.add(launch, stage, figures);
        }
        Ok(())
    }

    /// The attempt whose outputs are the run's.
    pub(super) fn official(&self, run: RunId) -> Result<Option<AttemptId>, EngineError> {
        let entry = self.ledger.run(run)?;
        let number = entry.and_then(|entry| entry.output_attempt);
        Ok(number.map(|number| AttemptId { run, number }))
    }
}
