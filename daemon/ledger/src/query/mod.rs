//! Questions, answered from the index.

mod attempts;
mod check;
mod launches;
mod lineage;
mod reproductions;
mod roots;
mod runs;
mod trees;

use begat_store::index::DistrustedSled;
use parking_lot::RwLockReadGuard;
use serde::de::DeserializeOwned;

use crate::error::LedgerError;
use crate::key::{About, Key};
use crate::ledger::Ledger;
use crate::view::{parse, read};

pub(crate) use attempts::trees_of;
pub use roots::Roots;
pub use runs::RunFilter;

/// Keys asked for at a time, so that a long list is never held whole.
const PAGE: usize = 256;

/// Longer than the variable end of any key that is listed by pages.
const KEY_END: [u8; 128] = [0xff; 128];

/// One question: it sees the index between two groups, never in the midst of one.
pub(crate) struct Reader<'a> {
    index: &'a DistrustedSled,
    _gate: RwLockReadGuard<'a, ()>,
}

impl Ledger {
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader {
            _gate: self.shared.gate.read(),
            index: &self.shared.index,
        }
    }
}

impl Reader<'_> {
    fn read<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, LedgerError> {
        read(self.index, key)
    }

    /// Hands each key under `prefix` with its value to `visit`, in order, until that says to stop.
    fn each(
        &self,
        prefix: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> Result<Go, LedgerError>,
    ) -> Result<(), LedgerError> {
        self.each_between(prefix.to_vec(), &[prefix, &KEY_END].concat(), visit)
    }

    fn each_between(
        &self,
        mut from: Key,
        to: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<Go, LedgerError>,
    ) -> Result<(), LedgerError> {
        loop {
            let page = self.index.scan_range(&from, to, PAGE)?;
            for (key, value) in page.iter().filter(|(_, value)| !value.is_empty()) {
                if visit(key, value)? == Go::Stop {
                    return Ok(());
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => from = [last.as_slice(), &[0]].concat(),
                _ => return Ok(()),
            }
        }
    }

    /// The keys under `prefix`, each turned into something by `part`, at most `limit`.
    fn list<T>(
        &self,
        prefix: &[u8],
        limit: usize,
        part: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, LedgerError> {
        let mut found = Vec::new();
        self.each(prefix, |key, _| {
            found.extend(part(key));
            Ok(Go::until(found.len() >= limit))
        })?;
        Ok(found)
    }

    /// The values under `prefix`.
    fn values<T: DeserializeOwned>(&self, prefix: &[u8]) -> Result<Vec<T>, LedgerError> {
        let mut found = Vec::new();
        self.each(prefix, |key, value| {
            found.push(parse(key, value)?);
            Ok(Go::On)
        })?;
        Ok(found)
    }

    fn all<T>(
        &self,
        about: About,
        part: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, LedgerError> {
        self.list(&about.prefix(&[]), usize::MAX, part)
    }
}

/// Whether a listing goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Go {
    On,
    Stop,
}

impl Go {
    fn until(enough: bool) -> Self {
        if enough { Self::Stop } else { Self::On }
    }
}
