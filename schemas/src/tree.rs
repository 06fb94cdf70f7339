//! A folder as a value: the manifest whose digest names it.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{BlobDigest, TreeDigest, canonical::canonical_json};

/// The longest path of a tree entry, in bytes.
pub const TREE_PATH_BYTES_MAX: usize = 4096;

/// A relative path inside a tree: UTF-8, `/` between parts, no `.`, no `..`, nothing absolute.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TreePath(String);

/// Why a text is no path of a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` cannot be a path inside a tree: {reason}")]
pub struct BadTreePath {
    /// What was given.
    pub path: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl TreePath {
    /// Checks `path`; the error says what is wrong.
    pub fn new(path: impl Into<String>) -> Result<Self, BadTreePath> {
        let path = path.into();
        match path_fault(&path) {
            None => Ok(Self(path)),
            Some(reason) => Err(BadTreePath { path, reason }),
        }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts, from the outermost folder to the file name.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

fn path_fault(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("it is empty");
    }
    if path.len() > TREE_PATH_BYTES_MAX {
        return Some("it is longer than 4096 bytes");
    }
    if path.starts_with('/') {
        return Some("it is absolute");
    }
    if path.contains('\\') {
        return Some("it holds a backslash");
    }
    if path.chars().any(char::is_control) {
        return Some("it holds a control character");
    }
    path.split('/').find_map(|part| match part {
        "" => Some("it has an empty part"),
        "." => Some("it has a part `.`"),
        ".." => Some("it has a part `..`"),
        _ if part.len() > 255 => Some("it has a part longer than 255 bytes"),
        _ => None,
    })
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl<'de> Deserialize<'de> for TreePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for TreePath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TreePath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": TREE_PATH_BYTES_MAX,
            "description": "A relative path with `/` between its parts, none of them `.` or `..`"
        })
    }
}

/// One file of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TreeEntry {
    /// Where it lies in the folder.
    pub path: TreePath,
    /// Its length in bytes.
    pub size: u64,
    /// Its content.
    pub blob: BlobDigest,
    /// Whether it may be executed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
}

/// The format tag of a tree's manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TreeFormat {
    /// The first and only version.
    #[serde(rename = "begat-tree-1")]
    Version1,
}

/// A folder: its files in the order of their paths' bytes. Empty folders are not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tree {
    format: TreeFormat,
    entries: Vec<TreeEntry>,
}

/// Why entries make no tree.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadTree {
    /// Two entries with one path.
    #[error("`{path}` stands twice in the tree")]
    Twice {
        /// The path.
        path: TreePath,
    },
    /// A path that is a file in one entry and a folder in another.
    #[error("`{path}` is both a file and a folder in the tree")]
    FileAndFolder {
        /// The path.
        path: TreePath,
    },
    /// A manifest that is not in canonical form, so that it would have two digests.
    #[error("the tree's manifest is not canonical: {reason}")]
    NotCanonical {
        /// What is wrong with it.
        reason: String,
    },
}

impl Tree {
    /// A tree of `entries`, in any order.
    pub fn new(mut entries: Vec<TreeEntry>) -> Result<Self, BadTree> {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        for pair in entries.windows(2) {
            let (before, after) = (&pair[0].path, &pair[1].path);
            if before == after {
                return Err(BadTree::Twice {
                    path: before.clone(),
                });
            }
        }
        let paths: std::collections::BTreeSet<&str> =
            entries.iter().map(|entry| entry.path.as_str()).collect();
        for entry in &entries {
            let path = entry.path.as_str();
            let mut folders = path.match_indices('/').map(|(at, _)| &path[..at]);
            if let Some(folder) = folders.find(|folder| paths.contains(folder)) {
                return Err(BadTree::FileAndFolder {
                    path: TreePath(folder.to_owned()),
                });
            }
        }
        Ok(Self {
            format: TreeFormat::Version1,
            entries,
        })
    }

    /// Reads a manifest and insists on its canonical form.
    pub fn from_manifest(bytes: &[u8]) -> Result<Self, BadTree> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Manifest {
            #[allow(dead_code, reason = "only its value is checked, by the type")]
            format: TreeFormat,
            entries: Vec<TreeEntry>,
        }
        let not_canonical = |reason: String| BadTree::NotCanonical { reason };
        let manifest: Manifest =
            serde_json::from_slice(bytes).map_err(|error| not_canonical(error.to_string()))?;
        let tree = Self::new(manifest.entries)?;
        if tree.manifest() == bytes {
            Ok(tree)
        } else {
            Err(not_canonical(
                "its bytes differ from the canonical form of its content".to_owned(),
            ))
        }
    }

    /// The manifest in canonical JSON: the blob that stands for the tree.
    pub fn manifest(&self) -> Vec<u8> {
        canonical_json(self).expect("sizes of files on disk are below 2^53")
    }

    /// The digest of the manifest.
    pub fn digest(&self) -> TreeDigest {
        TreeDigest::of(&self.manifest())
    }

    /// The files, sorted by the bytes of their paths.
    pub fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    /// The entry at `path`.
    pub fn get(&self, path: &str) -> Option<&TreeEntry> {
        self.entries
            .binary_search_by(|entry| entry.path.as_str().cmp(path))
            .ok()
            .map(|at| &self.entries[at])
    }

    /// The sum of the files' sizes, in bytes.
    pub fn size(&self) -> u64 {
        self.entries.iter().map(|entry| entry.size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str) -> TreeEntry {
        TreeEntry {
            path: TreePath::new(path).unwrap(),
            size: path.len() as u64,
            blob: BlobDigest::of(path.as_bytes()),
            executable: false,
        }
    }

    #[test]
    fn golden_manifest_and_digest() {
        let mut script = entry("b/run.sh");
        script.executable = true;
        let tree = Tree::new(vec![script, entry("a")]).unwrap();
        let text = String::from_utf8(tree.manifest()).unwrap();
        assert_eq!(
            text,
            "{\"entries\":[\
             {\"blob\":\"17762fddd969a453925d65717ac3eea21320b66b54342fde15128d6caf21215f\",\"path\":\"a\",\"size\":1},\
             {\"blob\":\"9f56012a177ecf6d987186c924df7e209cc9ded12e8000a4d1f7d83e38ac6389\",\"executable\":true,\"path\":\"b/run.sh\",\"size\":8}],\
             \"format\":\"begat-tree-1\"}"
        );
        assert_eq!(
            tree.digest().to_string(),
            "9f291d087cadda426c230357bfd10b430e285766c41d8455cd88515734798b29"
        );
        assert_eq!(Tree::from_manifest(text.as_bytes()).unwrap(), tree);
    }

    #[test]
    fn order_of_entries_does_not_matter() {
        let one = Tree::new(vec![entry("x"), entry("a/b")]).unwrap();
        let other = Tree::new(vec![entry("a/b"), entry("x")]).unwrap();
        assert_eq!(one.digest(), other.digest());
    }

    #[test]
    fn refuses_paths_that_leave_the_tree() {
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "./a",
            "a\\b",
            "a\nb",
        ] {
            assert!(TreePath::new(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn refuses_a_path_twice_or_as_file_and_folder() {
        assert!(matches!(
            Tree::new(vec![entry("a"), entry("a")]),
            Err(BadTree::Twice { .. })
        ));
        let both = Tree::new(vec![entry("a"), entry("a-b"), entry("a/b")]);
        assert!(matches!(both, Err(BadTree::FileAndFolder { path }) if path.as_str() == "a"));
    }

    #[test]
    fn refuses_a_manifest_with_two_spellings() {
        let tree = Tree::new(vec![entry("a")]).unwrap();
        let spaced = format!(" {}", String::from_utf8(tree.manifest()).unwrap());
        assert!(matches!(
            Tree::from_manifest(spaced.as_bytes()),
            Err(BadTree::NotCanonical { .. })
        ));
    }
}
