//! What is told to those who follow by OpenTelemetry, as it becomes durable.

use begat_ledger::{AttemptEntry, LaunchEntry};
use begat_schemas::{AttemptId, LaunchId, Purpose, RunId, StageName, Time};

use super::{Engine, EngineError, Shared};
use crate::otlp::{
    AttemptFacts, FoundFacts, LaunchFacts, Spans, attempt_spans, found_span, launch_span,
};

impl Engine {
    /// Spans that wait to be sent.
    pub(crate) fn spans(&self) -> &Spans {
        &self.shared.spans
    }
}

impl Shared {
    /// A launch is over.
    pub(super) fn trace_launch(&self, launch: LaunchId) -> Result<(), EngineError> {
        if !self.spans.are_wanted() {
            return Ok(());
        }
        let Some(entry) = self.ledger.launch(launch)? else {
            return Ok(());
        };
        let found = entry.runs.values().filter(|used| used.found).count();
        let facts = LaunchFacts {
            launch,
            created: entry.created,
            ended: Time::now(),
            state: entry.state,
            stages: (entry.runs.len() - found, found),
            recipe: entry.recipe,
        };
        self.push_spans([launch_span(&facts)]);
        Ok(())
    }

    /// An attempt paused or is over; a pause is told when it is over.
    pub(super) fn trace_attempt(&self, attempt: AttemptId) -> Result<(), EngineError> {
        if !self.spans.are_wanted() {
            return Ok(());
        }
        let Some(entry) = self.ledger.attempt(attempt)? else {
            return Ok(());
        };
        if !entry.state.is_final() {
            return Ok(());
        }
        let made_for = match entry.purpose {
            Purpose::Launch => self.made_for(&entry)?,
            Purpose::Reproduce => None,
        };
        let waited = made_for.as_ref().and_then(|launch| {
            let used = launch.runs.get(&entry.stage)?;
            Some(entry.started.seconds_since(used.time).max(0.0))
        });
        let facts = AttemptFacts {
            kind: self.kind_of(attempt.run)?,
            launch: made_for.map(|launch| launch.launch),
            waited,
            entry,
        };
        self.push_spans(attempt_spans(&facts));
        Ok(())
    }

    /// A launch found the result of a stage.
    pub(super) fn trace_found(
        &self,
        launch: LaunchId,
        stage: &StageName,
        run: RunId,
    ) -> Result<(), EngineError> {
        if !self.spans.are_wanted() {
            return Ok(());
        }
        let official = self
            .official(run)?
            .map(|attempt| self.ledger.attempt(attempt));
        let made_by = match official.transpose()?.flatten() {
            Some(entry) => {
                let made_for = self.made_for(&entry)?;
                Some((entry.attempt, made_for.map(|launch| launch.launch)))
            }
            None => None,
        };
        self.push_spans([found_span(&FoundFacts {
            launch,
            stage: stage.clone(),
            run,
            made_by,
            time: Time::now(),
        })]);
        Ok(())
    }

    fn push_spans(
        &self,
        spans: impl IntoIterator<Item = opentelemetry_proto::tonic::trace::v1::Span>,
    ) {
        self.telemetry.otlp().dropped(self.spans.push(spans));
    }

    /// The oldest launch that had the attempt's stage run and was there when it began: of two that wanted a run at once, the
    /// first; the same whenever it is asked.
    fn made_for(&self, attempt: &AttemptEntry) -> Result<Option<LaunchEntry>, EngineError> {
        let mut made_for: Option<LaunchEntry> = None;
        for (launch, _) in self.launches_of(attempt.attempt.run)? {
            let Some(entry) = self.ledger.launch(launch)? else {
                continue;
            };
            let mut uses = entry.runs.values();
            let wanted = uses.any(|used| {
                let number = used.attempt.unwrap_or(attempt.attempt.number);
                used.run == attempt.attempt.run && !used.found && number == attempt.attempt.number
            });
            let was_there = entry.created <= attempt.started;
            let is_older = made_for
                .as_ref()
                .is_none_or(|other| entry.created < other.created);
            if wanted && was_there && is_older {
                made_for = Some(entry);
            }
        }
        Ok(made_for)
    }
}
