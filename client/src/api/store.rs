//! Blobs and trees. Whatever comes down is verified here too: a digest never lies.

use begat_schemas::api::{Missing, TreeAdded};
use begat_schemas::{BlobDigest, Tree, TreeDigest};
use reqwest::Method;

use super::error::ApiError;
use super::transport::{Answer, Client};

/// The largest file that is read into memory whole, such as a report.
const WHOLE_BLOB_BYTES_MAX: u64 = 64 << 20;

impl Client {
    /// Of `blobs`, those that the store lacks.
    pub async fn missing(&self, blobs: Vec<BlobDigest>) -> Result<Vec<BlobDigest>, ApiError> {
        let answer: Missing = self.post(&["blobs", "missing"], &Missing { blobs }).await?;
        Ok(answer.blobs)
    }

    /// Stores a blob, streamed; the daemon verifies it.
    pub async fn put_blob(
        &self,
        digest: BlobDigest,
        size: u64,
        body: reqwest::Body,
    ) -> Result<(), ApiError> {
        let digest = digest.to_string();
        self.request(Method::PUT, &["blobs", &digest])
            .header("Content-Length", &size.to_string())
            .body("application/octet-stream", body)
            .done()
            .await
    }

    /// Stores a tree whose blobs are there.
    pub async fn put_tree(&self, tree: &Tree) -> Result<TreeAdded, ApiError> {
        self.request(Method::POST, &["trees"])
            .body("application/json", tree.manifest())
            .json()
            .await
    }

    /// A tree, verified.
    pub async fn tree(&self, digest: TreeDigest) -> Result<Tree, ApiError> {
        let name = digest.to_string();
        let bytes = self.request(Method::GET, &["trees", &name]).bytes().await?;
        let corrupt = || ApiError::Corrupt {
            what: "tree",
            digest: name.clone(),
        };
        if TreeDigest::of(&bytes) != digest {
            return Err(corrupt());
        }
        Tree::from_manifest(&bytes).map_err(|_| corrupt())
    }

    /// A small file of a tree, verified; none if the tree has no such file or a very large one.
    pub async fn small_file(&self, tree: &Tree, path: &str) -> Result<Option<Vec<u8>>, ApiError> {
        let entry = tree.get(path);
        let Some(entry) = entry.filter(|entry| entry.size <= WHOLE_BLOB_BYTES_MAX) else {
            return Ok(None);
        };
        let name = entry.blob.to_string();
        let bytes = self.request(Method::GET, &["blobs", &name]).bytes().await?;
        if BlobDigest::of(&bytes) == entry.blob {
            Ok(Some(bytes))
        } else {
            Err(ApiError::Corrupt {
                what: "blob",
                digest: name,
            })
        }
    }

    /// A blob's bytes, piece by piece and not yet verified.
    pub(crate) async fn blob(&self, digest: BlobDigest) -> Result<BlobStream, ApiError> {
        let digest = digest.to_string();
        let request = self.request(Method::GET, &["blobs", &digest]);
        Ok(BlobStream(
            request.stream("application/octet-stream").await?,
        ))
    }
}

/// A blob that comes down.
pub(crate) struct BlobStream(Answer);

impl BlobStream {
    /// The next piece; none at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, ApiError> {
        self.0.chunk().await
    }
}
