use begat_schemas::api::{RefChange, RefView};
use begat_schemas::{InputName, RefName, RunId, TreeDigest};

use super::{Go, Reader};
use crate::entry::{Addition, ProducerEntry, RefHead};
use crate::error::LedgerError;
use crate::key::{self, About};
use crate::ledger::Ledger;
use crate::view::parse;

impl Ledger {
    /// The attempts that made a tree: first those that a run stands for, each group oldest first.
    pub fn producers(&self, tree: TreeDigest) -> Result<Vec<ProducerEntry>, LedgerError> {
        self.reader().producers(tree)
    }

    /// The runs that consumed a tree, and as which input.
    pub fn consumers(&self, tree: TreeDigest) -> Result<Vec<(RunId, InputName)>, LedgerError> {
        self.reader()
            .list(&key::consumers(tree), usize::MAX, |key| {
                let input = key::text_at(key, 65).and_then(|name| InputName::new(name).ok())?;
                Some((key::run_at(key, 33)?, input))
            })
    }

    /// When and by whom a tree was added from outside, oldest first.
    pub fn additions(&self, tree: TreeDigest) -> Result<Vec<Addition>, LedgerError> {
        self.reader().additions(tree)
    }

    /// The refs that point somewhere, by name.
    pub fn refs(&self) -> Result<Vec<RefView>, LedgerError> {
        self.reader().refs()
    }

    /// Where a ref points.
    pub fn get_ref(&self, name: &RefName) -> Result<Option<RefView>, LedgerError> {
        let head: Option<RefHead> = self.reader().read(&key::reference(name))?;
        Ok(head.and_then(|head| view(name.clone(), head)))
    }

    /// Where a ref pointed, oldest first.
    pub fn ref_history(&self, name: &RefName) -> Result<Vec<RefChange>, LedgerError> {
        self.reader().values(&key::ref_moves(name))
    }

    /// The refs that point to a tree, by name.
    pub fn refs_to(&self, tree: TreeDigest) -> Result<Vec<RefName>, LedgerError> {
        self.reader().refs_to(tree)
    }
}

fn view(name: RefName, head: RefHead) -> Option<RefView> {
    Some(RefView {
        name,
        tree: head.tree?,
        updated: head.time,
        reason: head.reason,
    })
}

impl Reader<'_> {
    pub(super) fn producers(&self, tree: TreeDigest) -> Result<Vec<ProducerEntry>, LedgerError> {
        let mut producers: Vec<ProducerEntry> = self.values(&key::producers(tree))?;
        producers.sort_by_key(|made| (!made.official, made.time, made.run, made.attempt));
        Ok(producers)
    }

    pub(super) fn additions(&self, tree: TreeDigest) -> Result<Vec<Addition>, LedgerError> {
        self.values(&key::additions(tree))
    }

    pub(super) fn refs(&self) -> Result<Vec<RefView>, LedgerError> {
        let mut refs = Vec::new();
        self.each(&About::Ref.prefix(&[]), |key, value| {
            let name = key::text_at(key, 1).and_then(|name| RefName::new(name).ok());
            if let Some(name) = name {
                refs.extend(view(name, parse(key, value)?));
            }
            Ok(Go::On)
        })?;
        Ok(refs)
    }

    pub(super) fn refs_to(&self, tree: TreeDigest) -> Result<Vec<RefName>, LedgerError> {
        self.list(&key::refs_to(tree), usize::MAX, |key| {
            key::text_at(key, 33).and_then(|name| RefName::new(name).ok())
        })
    }

    pub(super) fn has_consumers(&self, tree: TreeDigest) -> Result<bool, LedgerError> {
        let found = self.list(&key::consumers(tree), 1, |_| Some(()))?;
        Ok(!found.is_empty())
    }
}
