use std::collections::BTreeMap;

use begat_schemas::api::{LaunchState, LaunchView, StageState, StageView};
use begat_schemas::{LaunchId, RecipeName, RunState, StageName};
use uuid::Uuid;

use super::{Go, Reader};
use crate::entry::{LaunchEntry, LaunchHead, StageRunEntry};
use crate::error::LedgerError;
use crate::key::{self, About};
use crate::ledger::Ledger;
use crate::record::LaunchStage;
use crate::view::parse;

impl Ledger {
    /// The launch.
    pub fn launch(&self, id: LaunchId) -> Result<Option<LaunchEntry>, LedgerError> {
        self.reader().launch(id)
    }

    /// The launch as the API shows it; the progress of its stages is left to who reads their journals.
    pub fn launch_view(&self, id: LaunchId) -> Result<Option<LaunchView>, LedgerError> {
        let reader = self.reader();
        let Some(entry) = reader.launch(id)? else {
            return Ok(None);
        };
        reader.launch_view(entry).map(Some)
    }

    /// The newest launches, newest first.
    pub fn launches(
        &self,
        recipe: Option<&RecipeName>,
        limit: usize,
    ) -> Result<Vec<LaunchId>, LedgerError> {
        let prefix = match recipe {
            None => About::Launch.prefix(&[]),
            Some(recipe) => key::recipe_launches(recipe),
        };
        self.reader().list(&prefix, limit, turned_launch)
    }

    /// The launches whose id begins with these hex digits, newest first. Hyphens may be left out.
    pub fn launches_by_prefix(
        &self,
        digits: &str,
        limit: usize,
    ) -> Result<Vec<LaunchId>, LedgerError> {
        let digits = digits.replace('-', "").to_ascii_lowercase();
        let Some((lowest, highest)) = span(&digits) else {
            return Ok(Vec::new());
        };
        // The keys are turned, so the highest id comes first.
        let from = About::Launch.prefix(&[&key::turned(&highest)]);
        let to = About::Launch.prefix(&[&key::turned(&lowest)]);
        let mut found = Vec::new();
        self.reader().each_between(from, &to, |key, _| {
            found.extend(turned_launch(key));
            Ok(Go::until(found.len() >= limit))
        })?;
        Ok(found)
    }

    /// The launches that have not come to an end, oldest first.
    pub fn open_launches(&self) -> Result<Vec<LaunchId>, LedgerError> {
        self.reader().all(About::OpenLaunch, |key| {
            key::uuid_at_end(key).map(LaunchId::from)
        })
    }

    /// The recipes that were ever launched, by name.
    pub fn recipes(&self) -> Result<Vec<RecipeName>, LedgerError> {
        let mut recipes: Vec<RecipeName> = Vec::new();
        self.reader()
            .each(&About::RecipeLaunch.prefix(&[]), |key, _| {
                let name = key.get(1..key.len().saturating_sub(17));
                let name = name.and_then(|name| std::str::from_utf8(name).ok());
                let name = name.and_then(|name| RecipeName::new(name).ok());
                recipes.extend(name.filter(|name| recipes.last() != Some(name)));
                Ok(Go::On)
            })?;
        Ok(recipes)
    }
}

fn turned_launch(key: &[u8]) -> Option<LaunchId> {
    key::turned_uuid_at_end(key).map(LaunchId::from)
}

/// The lowest and the highest UUID with these first digits.
fn span(digits: &str) -> Option<(Uuid, Uuid)> {
    let room = 32_usize.checked_sub(digits.len())?;
    let fill = |digit: char| {
        let digits: String = digits
            .chars()
            .chain(std::iter::repeat_n(digit, room))
            .collect();
        Uuid::try_parse(&digits).ok()
    };
    Some((fill('0')?, fill('f')?))
}

impl Reader<'_> {
    pub(super) fn launch(&self, id: LaunchId) -> Result<Option<LaunchEntry>, LedgerError> {
        let Some(head) = self.read::<LaunchHead>(&key::launch(id))? else {
            return Ok(None);
        };
        let mut runs = BTreeMap::new();
        self.each(&key::stage_runs(id), |key, value| {
            let stage = key::text_at(key, 17).and_then(|stage| StageName::new(stage).ok());
            if let Some(stage) = stage {
                runs.insert(stage, parse::<StageRunEntry>(key, value)?);
            }
            Ok(Go::On)
        })?;
        Ok(Some(LaunchEntry {
            launch: id,
            recipe: head.recipe,
            recipe_blob: head.recipe_blob,
            overrides: head.overrides,
            rerun: head.rerun,
            stages: head.stages,
            created: head.created,
            state: head.state,
            runs,
        }))
    }

    fn launch_view(&self, entry: LaunchEntry) -> Result<LaunchView, LedgerError> {
        let mut stages: Vec<StageView> = Vec::with_capacity(entry.stages.len());
        for stage in &entry.stages {
            let view = match entry.runs.get(&stage.stage) {
                Some(run) => self.known_stage(stage, run)?,
                None => unknown_stage(stage, &stages, entry.state),
            };
            stages.push(view);
        }
        Ok(LaunchView {
            launch: entry.launch,
            recipe: entry.recipe,
            recipe_blob: entry.recipe_blob,
            overrides: entry.overrides,
            created: entry.created,
            state: launch_state(entry.state, &stages),
            stages,
        })
    }

    fn known_stage(
        &self,
        stage: &LaunchStage,
        run: &StageRunEntry,
    ) -> Result<StageView, LedgerError> {
        let status = self.run_status(run.run)?;
        let (state, reason) = match (&status, run.attempt) {
            (None, _) => (RunState::Cancelled, Some("the run was removed".to_owned())),
            (Some(_), Some(number)) => self.attempt_state(run.run, number)?,
            (Some(status), None) => (status.state, status.reason.clone()),
        };
        let outputs = match (&status, state) {
            (Some(status), RunState::Succeeded) => self.outputs(run.run, status)?,
            _ => BTreeMap::new(),
        };
        Ok(StageView {
            stage: stage.stage.clone(),
            kind: stage.kind,
            run: Some(run.run),
            state: state.into(),
            found: run.found,
            outputs,
            reason,
            progress: None,
        })
    }
}

/// A stage without a run waits for those it needs, unless one of them will never be there.
fn unknown_stage(stage: &LaunchStage, before: &[StageView], launch: LaunchState) -> StageView {
    let stuck = before.iter().find(|other| {
        stage.needs.contains(&other.stage)
            && matches!(
                other.state,
                StageState::Failed | StageState::Cancelled | StageState::Blocked
            )
    });
    let (state, reason) = match stuck {
        _ if launch == LaunchState::Cancelled => (StageState::Cancelled, None),
        None => (StageState::Waiting, None),
        Some(other) => {
            let word = match other.state {
                StageState::Failed => "failed",
                StageState::Cancelled => "was cancelled",
                _ => "is blocked",
            };
            let reason = format!("stage `{}` {word}", other.stage);
            (StageState::Blocked, Some(reason))
        }
    };
    StageView {
        stage: stage.stage.clone(),
        kind: stage.kind,
        run: None,
        state,
        found: false,
        outputs: BTreeMap::new(),
        reason,
        progress: None,
    }
}

/// What was recorded stands; an open launch stands as its stages do.
fn launch_state(recorded: LaunchState, stages: &[StageView]) -> LaunchState {
    if recorded != LaunchState::Running {
        return recorded;
    }
    let any = |states: &[StageState]| stages.iter().any(|stage| states.contains(&stage.state));
    if any(&[
        StageState::Waiting,
        StageState::Queued,
        StageState::Running,
        StageState::Storing,
        StageState::Interrupted,
    ]) {
        LaunchState::Running
    } else if any(&[StageState::Failed]) {
        LaunchState::Failed
    } else if any(&[StageState::Cancelled, StageState::Blocked]) {
        LaunchState::Cancelled
    } else {
        LaunchState::Succeeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_span_the_ids_they_begin() {
        let (low, high) = span("0192").unwrap();
        assert_eq!(low.to_string(), "01920000-0000-0000-0000-000000000000");
        assert_eq!(high.to_string(), "0192ffff-ffff-ffff-ffff-ffffffffffff");
        assert_eq!(span("xyz"), None);
        assert_eq!(span(&"0".repeat(33)), None);
    }
}
