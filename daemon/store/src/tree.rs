//! Folders as trees: stored, and laid out on disk again.

mod add;
mod materialise;

use begat_schemas::{Tree, TreeDigest};

use crate::error::Error;
use crate::pack::record::Kind;
use crate::store::Store;
pub use add::{AddedFolder, Walk, WalkedFile, hash_file, walk_folder};
pub use materialise::Materialise;

/// A manifest of a million files has about 200 MB; beyond this it is no manifest.
const MANIFEST_BYTES_MAX: u64 = 512 << 20;

impl Store {
    /// Stores a tree whose blobs are here. Durable after the next [`Store::commit`].
    pub fn put_tree(&self, tree: &Tree) -> Result<TreeDigest, Error> {
        for entry in tree.entries() {
            if self.blob_size(entry.blob)? != Some(entry.size) {
                return Err(Error::TreeLacksBlob {
                    path: entry.path.to_string(),
                    blob: entry.blob,
                });
            }
        }
        let manifest = tree.manifest();
        let digest = TreeDigest::new(self.put_bytes(&manifest)?.digest());
        self.inner
            .put_tree_mark(digest.digest(), manifest.len() as u64)?;
        Ok(digest)
    }

    /// The tree of that digest.
    pub fn get_tree(&self, tree: TreeDigest) -> Result<Tree, Error> {
        if !self.inner.knows(Kind::Tree, tree.digest())? {
            return Err(Error::NoTree { tree });
        }
        let manifest = self.get_bytes(tree.manifest(), MANIFEST_BYTES_MAX)?;
        Tree::from_manifest(&manifest).map_err(|source| Error::TreeDamaged { tree, source })
    }
}
