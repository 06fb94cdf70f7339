use begat_schemas::api::Lineage;
use begat_schemas::{AttemptId, RunId, TreeDigest};

use super::Reader;
use crate::entry::{AttemptHead, ProducerEntry};
use crate::error::LedgerError;
use crate::key::{self, About};
use crate::ledger::Ledger;
use crate::lineage::{Ancestry, LineageRoot, RunFacts, TreeFacts, ancestors, lineage};

impl Ledger {
    /// Who begat whom, from `root` upwards; `None` if the ledger knows no such object.
    pub fn lineage(&self, root: LineageRoot) -> Result<Option<Lineage>, LedgerError> {
        lineage(&self.reader(), root)
    }

    /// The runs that `run` came from and `run` itself, oldest first, each after those it needs.
    pub fn ancestors(&self, run: RunId) -> Result<Vec<RunId>, LedgerError> {
        ancestors(&self.reader(), run)
    }

    /// What people know a run by: `recipe/stage` of the newest launch that uses it.
    pub fn label(&self, run: RunId) -> Result<Option<String>, LedgerError> {
        self.reader().label(run)
    }
}

impl Reader<'_> {
    fn label(&self, run: RunId) -> Result<Option<String>, LedgerError> {
        if let Some(usage) = self.launches_of(run)?.into_iter().next() {
            return Ok(Some(format!("{}/{}", usage.recipe, usage.stage)));
        }
        let first = AttemptId { run, number: 1 };
        let head: Option<AttemptHead> = self.read(&key::attempt(About::Attempt, first))?;
        Ok(head.map(|head| format!("{}/{}", head.recipe, head.stage)))
    }

    fn tree_label(
        &self,
        tree: TreeDigest,
        producers: &[ProducerEntry],
    ) -> Result<Option<String>, LedgerError> {
        if let Some(made) = producers.first() {
            let run = match self.label(made.run)? {
                Some(label) => label,
                None => made.run.short(),
            };
            return Ok(Some(format!("{run}.{}", produced_as(made))));
        }
        let additions = self.additions(tree)?;
        let name = additions.into_iter().rev().find_map(|added| added.name);
        Ok(name)
    }
}

fn produced_as(made: &ProducerEntry) -> String {
    match (&made.output, made.step) {
        (Some(output), _) => output.to_string(),
        (None, Some(step)) => format!("@{step}"),
        (None, None) => String::new(),
    }
}

impl Ancestry for Reader<'_> {
    type Error = LedgerError;

    fn run(&self, run: RunId) -> Result<Option<RunFacts>, LedgerError> {
        let (Some(status), Some(derivation)) = (self.run_status(run)?, self.derivation(run)?)
        else {
            return Ok(None);
        };
        let named = |(name, tree): (&dyn std::fmt::Display, TreeDigest)| (name.to_string(), tree);
        let outputs = self.outputs(run, &status)?;
        Ok(Some(RunFacts {
            label: self.label(run)?.unwrap_or_else(|| status.kind.to_string()),
            state: status.state,
            inputs: derivation
                .inputs
                .iter()
                .map(|(name, tree)| named((name, *tree)))
                .collect(),
            outputs: outputs
                .iter()
                .map(|(name, tree)| named((name, *tree)))
                .collect(),
        }))
    }

    fn tree(&self, tree: TreeDigest) -> Result<Option<TreeFacts>, LedgerError> {
        let mut producers = self.producers(tree)?;
        if producers.iter().any(|made| made.official) {
            producers.retain(|made| made.official);
        }
        let refs = self.refs_to(tree)?;
        let label = match refs.first() {
            Some(name) => Some(name.to_string()),
            None => self.tree_label(tree, &producers)?,
        };
        if label.is_none() && !self.has_consumers(tree)? && self.additions(tree)?.is_empty() {
            return Ok(None);
        }
        Ok(Some(TreeFacts {
            label: label.unwrap_or_else(|| tree.short()),
            refs,
            producers: producers
                .iter()
                .map(|made| (made.run, produced_as(made)))
                .collect(),
        }))
    }
}
