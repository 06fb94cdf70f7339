use begat_schemas::{AttemptId, RunId, RunState, TreeDigest};

use super::Reader;
use crate::entry::{AttemptEntry, AttemptHead, AttemptStatus, RunStatus};
use crate::error::LedgerError;
use crate::key::{self, About};
use crate::ledger::Ledger;
use crate::record::AttemptEnd;
use crate::view::{Read, read};

impl Ledger {
    /// The attempt.
    pub fn attempt(&self, id: AttemptId) -> Result<Option<AttemptEntry>, LedgerError> {
        self.reader().attempt(id)
    }

    /// The attempts of a run, oldest first.
    pub fn attempts(&self, run: RunId) -> Result<Vec<AttemptEntry>, LedgerError> {
        self.reader().attempts(run)
    }

    /// The attempts that have not ended, those that make something again included.
    pub fn live_attempts(&self) -> Result<Vec<AttemptEntry>, LedgerError> {
        let reader = self.reader();
        let ids = reader.all(About::LiveAttempt, |key| {
            let number = key.get(33..37)?.try_into().ok()?;
            Some(AttemptId {
                run: key::run_at(key, 1)?,
                number: u32::from_be_bytes(number),
            })
        })?;
        let mut found = Vec::new();
        for id in ids {
            found.extend(reader.attempt(id)?);
        }
        Ok(found)
    }
}

impl Reader<'_> {
    pub(super) fn attempt(&self, id: AttemptId) -> Result<Option<AttemptEntry>, LedgerError> {
        let head: Option<AttemptHead> = self.read(&key::attempt(About::Attempt, id))?;
        let status: Option<AttemptStatus> = self.read(&key::attempt(About::AttemptStatus, id))?;
        let (Some(head), Some(status)) = (head, status) else {
            return Ok(None);
        };
        // An attempt that goes on after it failed has an end on record that is none any more.
        let end: Option<AttemptEnd> = match status.state.is_final() {
            true => self.read(&key::attempt(About::AttemptEnd, id))?,
            false => None,
        };
        Ok(Some(AttemptEntry {
            attempt: id,
            purpose: head.purpose,
            execution: head.execution,
            begat: head.begat,
            work: head.work,
            recipe: head.recipe,
            stage: head.stage,
            started: head.started,
            state: status.state,
            reason: status.reason,
            resumes: status.resumes,
            process: status.process,
            ended: status.ended,
            end,
            checkpoints: status.checkpoints,
        }))
    }

    pub(super) fn attempts(&self, run: RunId) -> Result<Vec<AttemptEntry>, LedgerError> {
        let count = self.run_status(run)?.map_or(0, |status| status.attempts);
        let mut found = Vec::new();
        for number in 1..=count {
            found.extend(self.attempt(AttemptId { run, number })?);
        }
        Ok(found)
    }

    /// How an attempt stands that a launch asked for; one that has not begun is queued.
    pub(super) fn attempt_state(
        &self,
        run: RunId,
        number: u32,
    ) -> Result<(RunState, Option<String>), LedgerError> {
        let at = key::attempt(About::AttemptStatus, AttemptId { run, number });
        let status: Option<AttemptStatus> = self.read(&at)?;
        Ok(status.map_or((RunState::Queued, None), |status| {
            (status.state, status.reason)
        }))
    }
}

/// All trees that the attempts of `run` produced.
pub(crate) fn trees_of(
    view: &(impl Read + ?Sized),
    run: RunId,
) -> Result<Vec<TreeDigest>, LedgerError> {
    let status: Option<RunStatus> = read(view, &key::run_status(run))?;
    let mut trees = Vec::new();
    for number in 1..=status.map_or(0, |status| status.attempts) {
        let id = AttemptId { run, number };
        let end: Option<AttemptEnd> = read(view, &key::attempt(About::AttemptEnd, id))?;
        trees.extend(end.iter().flat_map(|end| end.outputs.values().copied()));
        let status: Option<AttemptStatus> = read(view, &key::attempt(About::AttemptStatus, id))?;
        let kept = status.iter().flat_map(|status| &status.checkpoints);
        trees.extend(kept.map(|(_, tree)| *tree));
    }
    Ok(trees)
}
