//! How many bytes trees take, and how many of them several lists of trees share. It reads lists of chunks, never chunks.

use std::collections::HashMap;

use begat_schemas::{BlobDigest, Digest, TreeDigest};

use super::Store;
use crate::error::Error;
use crate::pack::record::Kind;

/// A number of bytes, before and after compression.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes of distinct chunks before compression.
    pub unique_bytes: u64,
    /// Bytes of records on disk: of chunks, blobs and trees.
    pub stored_bytes: u64,
}

/// How many bytes lists of trees take. What is in the store once counts once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footprints {
    /// What every list needs.
    pub shared: Footprint,
    /// What each list needs.
    pub whole: Vec<Footprint>,
    /// What each list needs and no other does.
    pub own: Vec<Footprint>,
}

/// A record that some list needs.
#[derive(Debug, Clone, Copy)]
struct Needed {
    bytes: Footprint,
    first_list: usize,
    last_list: usize,
    lists: usize,
}

impl Store {
    /// How many bytes each list of trees takes, and how many are shared by all or by none.
    pub fn footprints(&self, lists: &[Vec<TreeDigest>]) -> Result<Footprints, Error> {
        let mut walk = Walk {
            store: self,
            needed: HashMap::new(),
            whole: vec![Footprint::default(); lists.len()],
        };
        for (at, trees) in lists.iter().enumerate() {
            for tree in trees {
                walk.tree(at, *tree)?;
            }
        }
        Ok(walk.sums())
    }
}

struct Walk<'a> {
    store: &'a Store,
    needed: HashMap<(Kind, Digest), Needed>,
    whole: Vec<Footprint>,
}

impl Walk<'_> {
    fn tree(&mut self, list: usize, digest: TreeDigest) -> Result<(), Error> {
        let tree = self.store.get_tree(digest)?;
        if self.note(list, Kind::Tree, digest.digest())? {
            self.blob(list, digest.manifest())?;
            for entry in tree.entries() {
                self.blob(list, entry.blob)?;
            }
        }
        Ok(())
    }

    fn blob(&mut self, list: usize, blob: BlobDigest) -> Result<(), Error> {
        if self.note(list, Kind::Blob, blob.digest())? {
            for chunk in self.store.inner.chunk_list(blob)?.chunks {
                self.note(list, Kind::Chunk, chunk.id.digest())?;
            }
        }
        Ok(())
    }

    /// Notes that `list` needs a record; whether that is news.
    fn note(&mut self, list: usize, kind: Kind, id: Digest) -> Result<bool, Error> {
        if let Some(known) = self.needed.get_mut(&(kind, id)) {
            let is_new = known.last_list != list;
            if is_new {
                known.lists += 1;
                known.last_list = list;
                self.whole[list].add(known.bytes);
            }
            return Ok(is_new);
        }
        // What is not here is for the reader of its list to complain about.
        let at = self.store.inner.locate(kind, id)?;
        let bytes = at.map_or(Footprint::default(), |at| Footprint {
            unique_bytes: if kind == Kind::Chunk { at.content } else { 0 },
            stored_bytes: u64::from(at.length),
        });
        let needed = Needed {
            bytes,
            first_list: list,
            last_list: list,
            lists: 1,
        };
        self.needed.insert((kind, id), needed);
        self.whole[list].add(bytes);
        Ok(true)
    }

    fn sums(self) -> Footprints {
        let lists = self.whole.len();
        let mut sums = Footprints {
            shared: Footprint::default(),
            whole: self.whole,
            own: vec![Footprint::default(); lists],
        };
        for needed in self.needed.values() {
            if needed.lists == lists {
                sums.shared.add(needed.bytes);
            }
            if needed.lists == 1 {
                sums.own[needed.first_list].add(needed.bytes);
            }
        }
        sums
    }
}

impl Footprint {
    fn add(&mut self, more: Self) {
        self.unique_bytes += more.unique_bytes;
        self.stored_bytes += more.stored_bytes;
    }
}
