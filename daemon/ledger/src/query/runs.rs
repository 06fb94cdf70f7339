use std::collections::{BTreeMap, BTreeSet};

use begat_schemas::api::{InputView, PlanDifference, RunDetail, RunView};
use begat_schemas::{
    AttemptId, Derivation, DigestPrefix, LaunchId, OutputName, RecipeName, RefName, RunId,
    RunState, TreeDigest,
};

use super::{Go, Reader};
use crate::entry::{LaunchUse, RunEntry, RunHead, RunStatus};
use crate::error::LedgerError;
use crate::key::{self, About};
use crate::ledger::Ledger;
use crate::record::AttemptEnd;
use crate::view::parse;

/// The newest finished runs of a kind that a derivation is compared with.
const NEAREST_MAX: usize = 1000;

/// Which runs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only those in this state.
    pub state: Option<RunState>,
    /// Only those that some launch of this recipe uses.
    pub recipe: Option<RecipeName>,
    /// Only those that took this tree as an input.
    pub input: Option<TreeDigest>,
    /// At most so many, the newest.
    pub limit: Option<usize>,
}

impl Ledger {
    /// The run.
    pub fn run(&self, run: RunId) -> Result<Option<RunEntry>, LedgerError> {
        self.reader().run(run)
    }

    /// The run as a list shows it; what a live run has measured is left to who reads its journal.
    pub fn run_view(&self, run: RunId) -> Result<Option<RunView>, LedgerError> {
        self.reader().run_view(run)
    }

    /// The run with all that is known of it.
    pub fn run_detail(&self, run: RunId) -> Result<Option<RunDetail>, LedgerError> {
        self.reader().run_detail(run)
    }

    /// The runs that `filter` lets through, newest first.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<RunView>, LedgerError> {
        let reader = self.reader();
        let mut views = Vec::new();
        for run in reader.filtered(filter)? {
            views.extend(reader.run_view(run)?);
        }
        Ok(views)
    }

    /// The runs whose id begins with these digits, in the order of their ids.
    pub fn runs_by_prefix(
        &self,
        prefix: &DigestPrefix,
        limit: usize,
    ) -> Result<Vec<RunId>, LedgerError> {
        let from = key::run_status(RunId::new(prefix.lowest()));
        let to = key::run_status(RunId::new(prefix.highest()));
        let mut found = Vec::new();
        self.reader().each_between(from, &to, |key, _| {
            found.extend(key::run_at_end(key));
            Ok(Go::until(found.len() >= limit))
        })?;
        Ok(found)
    }

    /// The runs that are not final, newest first in each state.
    pub fn live_runs(&self) -> Result<Vec<RunId>, LedgerError> {
        let reader = self.reader();
        let states = RunState::ALL.into_iter().filter(|state| !state.is_final());
        let mut runs = Vec::new();
        for state in states {
            let prefix = key::runs_by_state(state);
            runs.extend(reader.list(&prefix, usize::MAX, key::run_at_end)?);
        }
        Ok(runs)
    }

    /// How many runs are in each state.
    pub fn run_counts(&self) -> Result<BTreeMap<RunState, u64>, LedgerError> {
        let reader = self.reader();
        let counts = RunState::ALL.into_iter().map(|state| {
            let count: Option<i64> = reader.read(&key::count(state))?;
            let count = count.and_then(|count| u64::try_from(count).ok());
            Ok((state, count.unwrap_or(0)))
        });
        counts.collect()
    }

    /// The launches that use the run, newest first.
    pub fn launches_of(&self, run: RunId) -> Result<Vec<LaunchUse>, LedgerError> {
        self.reader().launches_of(run)
    }

    /// The finished run that differs from `derivation` in the fewest keys, and in which: the reason why it must run.
    pub fn nearest_finished(
        &self,
        derivation: &Derivation,
    ) -> Result<Option<PlanDifference>, LedgerError> {
        self.reader().nearest_finished(derivation)
    }
}

impl Reader<'_> {
    pub(super) fn run_status(&self, run: RunId) -> Result<Option<RunStatus>, LedgerError> {
        self.read(&key::run_status(run))
    }

    pub(super) fn derivation(&self, run: RunId) -> Result<Option<Derivation>, LedgerError> {
        let head: Option<RunHead> = self.read(&key::run(run))?;
        Ok(head.map(|head| head.derivation))
    }

    fn end(&self, run: RunId, number: Option<u32>) -> Result<Option<AttemptEnd>, LedgerError> {
        let Some(number) = number else {
            return Ok(None);
        };
        self.read(&key::attempt(About::AttemptEnd, AttemptId { run, number }))
    }

    /// The outputs that the run stands for.
    pub(super) fn outputs(
        &self,
        run: RunId,
        status: &RunStatus,
    ) -> Result<BTreeMap<OutputName, TreeDigest>, LedgerError> {
        let end = self.end(run, status.output_attempt)?;
        Ok(end.map(|end| end.outputs).unwrap_or_default())
    }

    fn run(&self, run: RunId) -> Result<Option<RunEntry>, LedgerError> {
        let (Some(status), Some(derivation)) = (self.run_status(run)?, self.derivation(run)?)
        else {
            return Ok(None);
        };
        let outputs = self.outputs(run, &status)?;
        Ok(Some(RunEntry {
            run,
            derivation,
            declared: status.declared,
            state: status.state,
            reason: status.reason,
            attempts: status.attempts,
            output_attempt: status.output_attempt,
            current_attempt: status.current_attempt,
            started: status.started,
            outputs,
        }))
    }

    pub(super) fn launches_of(&self, run: RunId) -> Result<Vec<LaunchUse>, LedgerError> {
        let prefix = About::RunUse.prefix(&[run.as_bytes()]);
        let mut uses: Vec<LaunchUse> = self.values(&prefix)?;
        uses.sort_by(|a, b| b.launch.cmp(&a.launch).then(a.stage.cmp(&b.stage)));
        Ok(uses)
    }

    fn run_view(&self, run: RunId) -> Result<Option<RunView>, LedgerError> {
        let Some(status) = self.run_status(run)? else {
            return Ok(None);
        };
        let uses = self.launches_of(run)?;
        let counts = status.output_attempt.or(status.current_attempt);
        // The end of an attempt that goes on again is not its end.
        let end = match status.state.is_final() {
            true => self.end(run, counts)?,
            false => None,
        };
        let mut launches: Vec<LaunchId> = uses.iter().map(|usage| usage.launch).collect();
        launches.dedup();
        let newest = uses.into_iter().next();
        Ok(Some(RunView {
            run,
            recipe: newest.as_ref().map(|newest| newest.recipe.clone()),
            stage: newest.map(|newest| newest.stage),
            kind: status.kind,
            launches,
            state: status.state,
            outputs: self.outputs(run, &status)?,
            metrics: end
                .as_ref()
                .map(|end| end.metrics.clone())
                .unwrap_or_default(),
            started: status.started,
            seconds: end.as_ref().map(|end| end.seconds),
            progress: end.and_then(|end| end.progress),
            reason: status.reason,
            attempts: status.attempts,
        }))
    }

    fn run_detail(&self, run: RunId) -> Result<Option<RunDetail>, LedgerError> {
        let (Some(view), Some(derivation)) = (self.run_view(run)?, self.derivation(run)?) else {
            return Ok(None);
        };
        let mut inputs = BTreeMap::new();
        for (name, tree) in &derivation.inputs {
            let made = self
                .producers(*tree)?
                .into_iter()
                .find(|made| made.official);
            let input = InputView {
                tree: *tree,
                producer: made.map(|made| made.run),
                refs: self.refs_to(*tree)?,
            };
            inputs.insert(name.clone(), input);
        }
        let mut refs: Vec<RefName> = Vec::new();
        for tree in view.outputs.values() {
            refs.extend(self.refs_to(*tree)?);
        }
        refs.sort();
        refs.dedup();
        let attempts = self.attempts(run)?;
        Ok(Some(RunDetail {
            view,
            derivation,
            inputs,
            refs,
            attempt_list: attempts.iter().map(|attempt| attempt.view()).collect(),
        }))
    }

    fn filtered(&self, filter: &RunFilter) -> Result<Vec<RunId>, LedgerError> {
        if let Some(tree) = filter.input {
            return self.consumers_filtered(tree, filter);
        }
        let limit = filter.limit.unwrap_or(usize::MAX);
        let (prefix, check) = match (&filter.recipe, filter.state) {
            (Some(recipe), state) => (key::runs_by_recipe(recipe), state),
            (None, Some(state)) => (key::runs_by_state(state), None),
            (None, None) => (About::RunByTime.prefix(&[]), None),
        };
        let mut found = Vec::new();
        self.each(&prefix, |key, _| {
            if found.len() < limit
                && let Some(run) = key::run_at_end(key)
                && self.is_in(run, check)?
            {
                found.push(run);
            }
            Ok(Go::until(found.len() >= limit))
        })?;
        Ok(found)
    }

    /// The runs that took `tree`, newest first.
    fn consumers_filtered(
        &self,
        tree: TreeDigest,
        filter: &RunFilter,
    ) -> Result<Vec<RunId>, LedgerError> {
        let takers: BTreeSet<RunId> = self
            .list(&key::consumers(tree), usize::MAX, |key| {
                key::run_at(key, 33)
            })?
            .into_iter()
            .collect();
        let mut found = Vec::new();
        for run in takers {
            let wanted = filter.recipe.as_ref();
            let is_used = match wanted {
                None => true,
                Some(recipe) => self
                    .launches_of(run)?
                    .iter()
                    .any(|usage| usage.recipe == *recipe),
            };
            if is_used && self.is_in(run, filter.state)? {
                let declared = self.run_status(run)?.map(|status| status.declared);
                found.push((declared, run));
            }
        }
        found.sort_by(|a, b| b.cmp(a));
        found.truncate(filter.limit.unwrap_or(usize::MAX));
        Ok(found.into_iter().map(|(_, run)| run).collect())
    }

    fn is_in(&self, run: RunId, state: Option<RunState>) -> Result<bool, LedgerError> {
        match state {
            None => Ok(true),
            Some(state) => Ok(self
                .run_status(run)?
                .is_some_and(|status| status.state == state)),
        }
    }

    fn nearest_finished(
        &self,
        derivation: &Derivation,
    ) -> Result<Option<PlanDifference>, LedgerError> {
        let mut nearest: Option<PlanDifference> = None;
        let mut seen = 0;
        self.each(&key::finished_of(derivation.kind), |key, _| {
            seen += 1;
            let Some(run) = key::run_at_end(key) else {
                return Ok(Go::On);
            };
            let Some(other) = self.derivation(run)? else {
                return Ok(Go::On);
            };
            let keys = derivation.differences(&other);
            let fewest = nearest
                .as_ref()
                .map_or(usize::MAX, |nearest| nearest.keys.len());
            // The newest of equals stays.
            if (1..fewest).contains(&keys.len()) {
                nearest = Some(PlanDifference { nearest: run, keys });
            }
            Ok(Go::until(seen >= NEAREST_MAX))
        })?;
        Ok(nearest)
    }

    pub(super) fn each_run(
        &self,
        mut visit: impl FnMut(RunId, &Derivation) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        self.each(&About::Run.prefix(&[]), |key, value| {
            let head: RunHead = parse(key, value)?;
            if let Some(run) = key::run_at_end(key) {
                visit(run, &head.derivation)?;
            }
            Ok(Go::On)
        })
    }
}
