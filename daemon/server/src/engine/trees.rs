//! Trees and refs.

use std::path::PathBuf;

use begat_ledger::Record;
use begat_schemas::api::{RefChange, RefPut, RefView, TreeAdded};
use begat_schemas::{RefName, Tree, TreeDigest};
use begat_store::AddedFolder;

use super::{Engine, EngineError, Shared};

impl Engine {
    /// Stores the manifest of a tree whose blobs are all here.
    pub async fn add_tree(&self, manifest: Vec<u8>, by: String) -> Result<TreeAdded, EngineError> {
        self.run_blocking(move |shared| {
            let tree = Tree::from_manifest(&manifest).map_err(EngineError::bad_request)?;
            let _nothing_is_collected_meanwhile = shared.gate.read();
            shared.store.put_tree(&tree)?;
            shared.record_tree(&tree, &by, None)
        })
        .await
    }

    /// Stores a folder of this machine; `name` follows it.
    pub async fn add_folder(
        &self,
        folder: PathBuf,
        by: String,
        name: Option<RefName>,
    ) -> Result<TreeAdded, EngineError> {
        self.run_blocking(move |shared| {
            let _nothing_is_collected_meanwhile = shared.gate.read();
            let added = shared.store.add_folder(&folder)?;
            shared.record_tree(&added.tree, &by, name.as_ref())
        })
        .await
    }

    /// Writes down a folder that was just stored; `name` follows it.
    pub async fn record_drop(
        &self,
        added: &AddedFolder,
        name: &RefName,
        by: &str,
    ) -> Result<TreeAdded, EngineError> {
        let (tree, name, by) = (added.tree.clone(), name.clone(), by.to_owned());
        self.run_blocking(move |shared| {
            let _nothing_is_collected_meanwhile = shared.gate.read();
            shared.record_tree(&tree, &by, Some(&name))
        })
        .await
    }

    /// The folder of a model tree, laid out read-only.
    pub async fn model_folder(&self, name: &str) -> Result<(TreeDigest, PathBuf), EngineError> {
        let tree = self.tree_of(name).await?;
        Ok((tree, self.materialise(tree).await?))
    }

    /// The folder of a tree, laid out read-only.
    pub async fn materialise(&self, tree: TreeDigest) -> Result<PathBuf, EngineError> {
        self.run_blocking(move |shared| {
            let _nothing_is_collected_meanwhile = shared.gate.read();
            Ok(shared.cache.lay_out(&shared.store, tree)?)
        })
        .await
    }

    /// All refs.
    pub async fn refs(&self) -> Result<Vec<RefView>, EngineError> {
        self.run_blocking(|shared| Ok(shared.ledger.refs()?)).await
    }

    /// Moves a ref.
    pub async fn put_ref(&self, name: RefName, put: RefPut) -> Result<RefView, EngineError> {
        self.run_blocking(move |shared| {
            let tree = shared.tree_named(&put.target)?;
            let reason = put
                .reason
                .unwrap_or_else(|| format!("tagged as {}", put.target));
            shared.move_ref(&name, tree, reason)?;
            let known = shared.ledger.get_ref(&name)?;
            known.ok_or_else(|| EngineError::not_found(name.as_str(), "ref"))
        })
        .await
    }

    /// Removes a ref; its history stays.
    pub async fn delete_ref(&self, name: RefName) -> Result<(), EngineError> {
        self.run_blocking(move |shared| {
            if shared.ledger.get_ref(&name)?.is_none() {
                return Err(EngineError::not_found(name.as_str(), "ref"));
            }
            shared.record(vec![Record::RefMoved {
                name,
                tree: None,
                reason: "removed".to_owned(),
            }])
        })
        .await
    }

    /// Where a ref has pointed, oldest first.
    pub async fn ref_history(&self, name: RefName) -> Result<Vec<RefChange>, EngineError> {
        self.run_blocking(move |shared| {
            let history = shared.ledger.ref_history(&name)?;
            if history.is_empty() {
                return Err(EngineError::not_found(name.as_str(), "ref"));
            }
            Ok(history)
        })
        .await
    }
}

impl Shared {
    fn record_tree(
        &self,
        tree: &Tree,
        by: &str,
        name: Option<&RefName>,
    ) -> Result<TreeAdded, EngineError> {
        self.store.commit()?;
        let added = TreeAdded {
            tree: tree.digest(),
            files: tree.entries().len() as u64,
            bytes: tree.size(),
        };
        let mut records = vec![Record::TreeAdded {
            tree: added.tree,
            by: by.to_owned(),
            name: name.map(RefName::to_string),
            files: added.files,
            bytes: added.bytes,
        }];
        if let Some(name) = name
            && self.ledger.get_ref(name)?.map(|known| known.tree) != Some(added.tree)
        {
            records.push(Record::RefMoved {
                name: name.clone(),
                tree: Some(added.tree),
                reason: format!("added by {by}"),
            });
        }
        self.record(records)?;
        Ok(added)
    }

    fn move_ref(
        &self,
        name: &RefName,
        tree: TreeDigest,
        reason: String,
    ) -> Result<(), EngineError> {
        let _nothing_is_collected_meanwhile = self.gate.read();
        if !self.store.has_tree(tree)? {
            return Err(EngineError::not_found(&tree.to_string(), "tree"));
        }
        self.record(vec![Record::RefMoved {
            name: name.clone(),
            tree: Some(tree),
            reason,
        }])
    }
}
