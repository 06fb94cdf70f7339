//! Changes to an index.

use std::collections::HashMap;

use super::quiet::quietly;
use super::{BoxError, Doubt, generation};

/// Keys of the seam itself begin with a zero byte, which owners leave alone.
pub(super) const POSITION_PREFIX: &[u8] = b"\0position\0";

/// Changes of a rebuild are applied in groups of this many.
const FILL_GROUP: usize = 4096;

/// Changes that are made together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value`.
    pub fn insert(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.push((key.into(), Some(value.into())));
    }

    /// Removes `key`.
    pub fn remove(&mut self, key: impl Into<Vec<u8>>) {
        self.changes.push((key.into(), None));
    }

    /// Says that `source` is in the index up to `position`.
    pub fn set_position(&mut self, source: &str, position: u64) {
        self.insert(position_key(source), position.to_be_bytes());
    }

    /// Forgets a source file that is about to be removed.
    pub fn remove_position(&mut self, source: &str) {
        self.remove(position_key(source));
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn to_sled(&self) -> sled::Batch {
        let mut batch = sled::Batch::default();
        for (key, value) in &self.changes {
            match value {
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        batch
    }
}

fn position_key(source: &str) -> Vec<u8> {
    [POSITION_PREFIX, source.as_bytes()].concat()
}

/// A new index being filled. It is believed only once it is full, so its groups need no order.
pub struct Fill<'a> {
    db: &'a sled::Db,
    waiting: HashMap<Vec<u8>, Vec<u8>>,
}

impl std::fmt::Debug for Fill<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fill")
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Fill<'a> {
    pub(super) fn new(db: &'a sled::Db) -> Self {
        Self {
            db,
            waiting: HashMap::new(),
        }
    }

    /// Sets `key` to `value`.
    pub fn insert(
        &mut self,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) -> Result<(), BoxError> {
        self.waiting.insert(key.into(), value.into());
        if self.waiting.len() >= FILL_GROUP {
            self.write()?;
        }
        Ok(())
    }

    /// What `key` was set to in this filling.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, BoxError> {
        if let Some(value) = self.waiting.get(key) {
            return Ok(Some(value.clone()));
        }
        Ok(quietly(|| self.db.get(key))?.map(|value| value.to_vec()))
    }

    /// Says that `source` is in the index up to `position`.
    pub fn set_position(&mut self, source: &str, position: u64) -> Result<(), BoxError> {
        self.insert(position_key(source), position.to_be_bytes())
    }

    pub(super) fn finish(mut self, generation: &str) -> Result<(), Doubt> {
        self.waiting
            .insert(generation::GENERATION_KEY.to_owned(), generation.into());
        self.write()?;
        quietly(|| self.db.flush().map(drop))
    }

    fn write(&mut self) -> Result<(), Doubt> {
        let mut batch = sled::Batch::default();
        for (key, value) in self.waiting.drain() {
            batch.insert(key, value);
        }
        quietly(|| self.db.apply_batch(batch.clone()))
    }
}
