//! Comparing two trees, file by file.

use std::collections::BTreeSet;

use begat_schemas::api::{FileVerdict, OutputVerdict};
use begat_schemas::{OutputName, Tree, TreeDigest, TreeEntry, TreePath};
use begat_store::{Error, Store};

use super::tensors;

/// Compares what was made now with what is stored.
pub(super) fn compare(
    store: &Store,
    output: OutputName,
    expected: TreeDigest,
    found: TreeDigest,
) -> Result<OutputVerdict, Error> {
    let mut verdict = OutputVerdict {
        output,
        expected,
        found,
        tensors: 0,
        identical_tensors: 0,
        differing_files: Vec::new(),
    };
    let (before, now) = (store.get_tree(expected)?, store.get_tree(found)?);
    for path in paths(&before, &now) {
        match (before.get(path.as_str()), now.get(path.as_str())) {
            (Some(before), Some(now)) => compare_files(store, before, now, &mut verdict)?,
            (Some(_), None) => verdict.differ(path, "only in the stored output"),
            (None, _) => verdict.differ(path, "only in the new output"),
        }
    }
    Ok(verdict)
}

trait Differ {
    fn differ(&mut self, path: &TreePath, what: &str);
}

impl Differ for OutputVerdict {
    fn differ(&mut self, path: &TreePath, what: &str) {
        self.differing_files.push(FileVerdict {
            path: path.clone(),
            what: what.to_owned(),
            tensors: Vec::new(),
        });
    }
}

fn paths<'a>(before: &'a Tree, now: &'a Tree) -> BTreeSet<&'a TreePath> {
    let both = before.entries().iter().chain(now.entries());
    both.map(|entry| &entry.path).collect()
}

fn compare_files(
    store: &Store,
    before: &TreeEntry,
    now: &TreeEntry,
    verdict: &mut OutputVerdict,
) -> Result<(), Error> {
    let same = before.blob == now.blob && before.executable == now.executable;
    if !before.path.as_str().ends_with(".safetensors") {
        if !same {
            verdict.differ(&before.path, "content");
        }
        return Ok(());
    }
    let compared = tensors::compare(store, before.blob, now.blob)?;
    verdict.tensors += compared.tensors;
    verdict.identical_tensors += compared.tensors - compared.differing.len() as u64;
    if !same {
        verdict.differing_files.push(FileVerdict {
            path: before.path.clone(),
            what: "content".to_owned(),
            tensors: compared.differing,
        });
    }
    Ok(())
}
