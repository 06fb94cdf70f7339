//! The index as the folding of records sees it: keys with JSON values, read, set and removed.

use std::collections::{BTreeMap, BTreeSet};

use begat_store::index::{Batch, BoxError, DistrustedSled, Fill, IndexError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::LedgerError;
use crate::key::{self, Key};

/// Keys and values to read.
pub(crate) trait Read {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError>;
}

/// Keys and values to list.
pub(crate) trait Scan: Read {
    /// Keys that begin with `prefix`, in order.
    fn keys(&self, prefix: &[u8]) -> Result<Vec<Key>, LedgerError>;
}

/// Keys and values to read and change.
pub(crate) trait View: Read {
    /// Sets `key`.
    fn set(&mut self, key: Key, value: Vec<u8>) -> Result<(), LedgerError>;
    /// Removes `key`.
    fn remove(&mut self, key: Key) -> Result<(), LedgerError>;
}

/// Reads a value.
pub(crate) fn read<T: DeserializeOwned>(
    view: &(impl Read + ?Sized),
    key: &[u8],
) -> Result<Option<T>, LedgerError> {
    view.get(key)?.map(|value| parse(key, &value)).transpose()
}

/// Sets a value.
pub(crate) fn write<T: Serialize>(
    view: &mut dyn View,
    key: Key,
    value: &T,
) -> Result<(), LedgerError> {
    let value = serde_json::to_vec(value).map_err(LedgerError::NotJson)?;
    view.set(key, value)
}

/// Sets a key that says all by being there.
pub(crate) fn mark(view: &mut dyn View, key: Key) -> Result<(), LedgerError> {
    view.set(key, b"1".to_vec())
}

/// The value that `bytes` are the JSON of.
pub(crate) fn parse<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, LedgerError> {
    serde_json::from_slice(bytes).map_err(|source| LedgerError::Value {
        key: key.escape_ascii().to_string(),
        source,
    })
}

/// sled is read as it is. In a rebuilt index an empty value is a key that was removed again.
impl Read for DistrustedSled {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        let value = Self::get(self, key)?;
        Ok(value.filter(|value| !value.is_empty()))
    }
}

impl Scan for DistrustedSled {
    fn keys(&self, prefix: &[u8]) -> Result<Vec<Key>, LedgerError> {
        let pairs = self.scan_prefix(prefix)?.into_iter();
        Ok(pairs
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, _)| key)
            .collect())
    }
}

/// Changes on top of what is there, made all together or not at all.
pub(crate) struct Overlay<'a> {
    below: &'a dyn Scan,
    changes: BTreeMap<Key, Option<Vec<u8>>>,
}

impl<'a> Overlay<'a> {
    pub(crate) fn new(below: &'a dyn Scan) -> Self {
        Self {
            below,
            changes: BTreeMap::new(),
        }
    }

    pub(crate) fn into_changes(self) -> BTreeMap<Key, Option<Vec<u8>>> {
        self.changes
    }

    pub(crate) fn take(&mut self, changes: BTreeMap<Key, Option<Vec<u8>>>) {
        self.changes.extend(changes);
    }

    pub(crate) fn batch(&self) -> Batch {
        let mut batch = Batch::new();
        for (key, value) in &self.changes {
            match value {
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        batch
    }
}

impl Read for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        match self.changes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.below.get(key),
        }
    }
}

impl Scan for Overlay<'_> {
    fn keys(&self, prefix: &[u8]) -> Result<Vec<Key>, LedgerError> {
        let mut keys: BTreeSet<Key> = self.below.keys(prefix)?.into_iter().collect();
        let changes = self.changes.range(prefix.to_vec()..);
        for (key, value) in changes.take_while(|(key, _)| key.starts_with(prefix)) {
            match value {
                Some(_) => keys.insert(key.clone()),
                None => keys.remove(key),
            };
        }
        Ok(keys.into_iter().collect())
    }
}

impl View for Overlay<'_> {
    fn set(&mut self, key: Key, value: Vec<u8>) -> Result<(), LedgerError> {
        self.changes.insert(key, Some(value));
        Ok(())
    }

    fn remove(&mut self, key: Key) -> Result<(), LedgerError> {
        self.changes.insert(key, None);
        Ok(())
    }
}

/// An index in memory, to compare with the one on disk.
#[derive(Debug, Default)]
pub(crate) struct Memory(pub BTreeMap<Key, Vec<u8>>);

impl Read for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.0.get(key).cloned())
    }
}

impl View for Memory {
    fn set(&mut self, key: Key, value: Vec<u8>) -> Result<(), LedgerError> {
        self.0.insert(key, value);
        Ok(())
    }

    fn remove(&mut self, key: Key) -> Result<(), LedgerError> {
        self.0.remove(&key);
        Ok(())
    }
}

/// A new index being filled.
///
/// It cannot remove, and it is slow where keys come in no order, so what changes often is kept aside until the end, and
/// the rest is handed on sorted, a few MiB at a time. Of that, a key that is removed becomes an empty value.
pub(crate) struct Filling<'a, 'b> {
    fill: &'a mut Fill<'b>,
    changing: BTreeMap<Key, Vec<u8>>,
    waiting: BTreeMap<Key, Vec<u8>>,
    waiting_bytes: usize,
}

/// Bytes of keys and values that are sorted before they are handed on.
const SORTED_BYTES: usize = 4 << 20;

impl<'a, 'b> Filling<'a, 'b> {
    pub(crate) fn new(fill: &'a mut Fill<'b>) -> Self {
        Self {
            fill,
            changing: BTreeMap::new(),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
        }
    }

    /// Hands on all that is left.
    pub(crate) fn finish(mut self) -> Result<(), BoxError> {
        self.hand_on()?;
        let Self { fill, changing, .. } = self;
        changing
            .into_iter()
            .try_for_each(|(key, value)| fill.insert(key, value))
    }

    fn hand_on(&mut self) -> Result<(), BoxError> {
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting)
            .into_iter()
            .try_for_each(|(key, value)| self.fill.insert(key, value))
    }

    fn wait(&mut self, key: Key, value: Vec<u8>) -> Result<(), LedgerError> {
        self.waiting_bytes += key.len() + value.len();
        self.waiting.insert(key, value);
        if self.waiting_bytes > SORTED_BYTES {
            self.hand_on().map_err(rebuilding)?;
        }
        Ok(())
    }

    fn changes_often(key: &[u8]) -> bool {
        key.first()
            .is_some_and(|about| key::CHANGING.contains(about))
    }
}

impl Read for Filling<'_, '_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        if Self::changes_often(key) {
            return Ok(self.changing.get(key).cloned());
        }
        let value = match self.waiting.get(key) {
            Some(value) => Some(value.clone()),
            None => self.fill.get(key).map_err(rebuilding)?,
        };
        Ok(value.filter(|value| !value.is_empty()))
    }
}

impl View for Filling<'_, '_> {
    fn set(&mut self, key: Key, value: Vec<u8>) -> Result<(), LedgerError> {
        if Self::changes_often(&key) {
            self.changing.insert(key, value);
            return Ok(());
        }
        self.wait(key, value)
    }

    fn remove(&mut self, key: Key) -> Result<(), LedgerError> {
        if Self::changes_often(&key) {
            self.changing.remove(&key);
            return Ok(());
        }
        if self.get(&key)?.is_some() {
            self.wait(key, Vec::new())?;
        }
        Ok(())
    }
}

fn rebuilding(source: BoxError) -> LedgerError {
    LedgerError::Index(IndexError::Rebuild { source })
}
