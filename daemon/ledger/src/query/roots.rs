use std::collections::BTreeSet;

use begat_schemas::{BlobDigest, TreeDigest};

use super::{Go, Reader};
use crate::entry::{AttemptStatus, LaunchHead};
use crate::error::LedgerError;
use crate::key::About;
use crate::ledger::Ledger;
use crate::record::AttemptEnd;
use crate::view::parse;

/// What a collection must keep for the ledger's sake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots {
    /// Resolved recipes, derivations, sealed journals and logs.
    pub blobs: BTreeSet<BlobDigest>,
    /// What refs name, runs consumed and attempts produced. A tree that was added lives while one of these names it.
    pub trees: BTreeSet<TreeDigest>,
}

impl Ledger {
    /// All that a collection must keep for the ledger's sake.
    pub fn roots(&self) -> Result<Roots, LedgerError> {
        let reader = self.reader();
        let mut roots = Roots::default();
        let refs = reader.refs()?;
        roots.trees.extend(refs.iter().map(|known| known.tree));
        reader.each(&About::Launch.prefix(&[]), |key, value| {
            let head: LaunchHead = parse(key, value)?;
            roots.blobs.insert(head.recipe_blob);
            Ok(Go::On)
        })?;
        reader.each_run(|run, derivation| {
            roots.blobs.insert(BlobDigest::new(run.digest()));
            roots.trees.extend(derivation.inputs.values().copied());
            Ok(())
        })?;
        reader.attempt_roots(&mut roots)?;
        Ok(roots)
    }
}

impl Reader<'_> {
    fn attempt_roots(&self, roots: &mut Roots) -> Result<(), LedgerError> {
        self.each(&About::AttemptEnd.prefix(&[]), |key, value| {
            let end: AttemptEnd = parse(key, value)?;
            roots.trees.extend(end.outputs.values().copied());
            roots.blobs.extend(end.journal.into_iter().chain(end.log));
            Ok(Go::On)
        })?;
        self.each(&About::AttemptStatus.prefix(&[]), |key, value| {
            let status: AttemptStatus = parse(key, value)?;
            let kept = status.checkpoints.into_iter().map(|(_, tree)| tree);
            roots.trees.extend(kept);
            Ok(Go::On)
        })
    }
}
