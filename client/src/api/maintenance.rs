//! The daemon itself and its store's upkeep.

use begat_schemas::api::{
    DiskUsage, FsckReport, FsckRequest, GcReport, GcRequest, Usage, UsageRequest, Version,
};

use reqwest::Method;

use super::error::ApiError;
use super::transport::Client;

impl Client {
    /// Which daemon answers.
    pub async fn version(&self) -> Result<Version, ApiError> {
        self.get(&["version"]).await
    }

    /// The daemon's metrics, in Prometheus's text form.
    pub async fn metrics_text(&self) -> Result<String, ApiError> {
        let request = self.request_beside(Method::GET, &["metrics"]);
        let bytes = request.bytes().await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Checks the store.
    pub async fn fsck(&self, request: &FsckRequest) -> Result<FsckReport, ApiError> {
        self.post(&["fsck"], request).await
    }

    /// Removes what nothing leads to.
    pub async fn gc(&self, request: &GcRequest) -> Result<GcReport, ApiError> {
        self.post(&["gc"], request).await
    }

    /// What the store holds.
    pub async fn disk_usage(&self) -> Result<DiskUsage, ApiError> {
        self.get(&["du"]).await
    }

    /// How many bytes lists of trees take, and how many of them they share.
    pub async fn usage(&self, request: &UsageRequest) -> Result<Usage, ApiError> {
        self.post(&["usage"], request).await
    }
}
