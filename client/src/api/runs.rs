//! Runs, their curves and their logs.

use begat_schemas::api::{LogChunk, MetricsView, RunDetail, RunView};
use begat_schemas::{RunState, TreeDigest};
use reqwest::Method;

use super::error::ApiError;
use super::transport::Client;

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunQuery {
    /// The most there may be.
    pub limit: Option<usize>,
    /// Only those that stand so.
    pub state: Option<RunState>,
    /// Only those that a recipe of this name uses.
    pub recipe: Option<String>,
    /// Only those that took this tree as an input.
    pub input: Option<TreeDigest>,
}

/// Which part of a run's curves to give.
#[derive(Debug, Clone, Default)]
pub struct MetricsQuery {
    /// The attempt; the one that counts if absent.
    pub attempt: Option<u32>,
    /// The first step.
    pub from: Option<u64>,
    /// The last step.
    pub to: Option<u64>,
    /// The most points of a curve.
    pub points: Option<u64>,
    /// Only these metrics; all if empty.
    pub keys: Vec<String>,
}

impl Client {
    /// The newest runs.
    pub async fn runs(&self, query: &RunQuery) -> Result<Vec<RunView>, ApiError> {
        self.request(Method::GET, &["runs"])
            .query("limit", query.limit)
            .query("state", query.state)
            .query("recipe", query.recipe.as_ref())
            .query("input", query.input)
            .json()
            .await
    }

    /// All that is known of a run.
    pub async fn run(&self, id: &str) -> Result<RunDetail, ApiError> {
        self.get(&["runs", id]).await
    }

    /// Ends a run.
    pub async fn cancel_run(&self, id: &str) -> Result<RunDetail, ApiError> {
        let path = ["runs", id, "cancel"];
        self.request(Method::POST, &path).json().await
    }

    /// Lets a run go on from its checkpoint.
    pub async fn resume_run(&self, id: &str) -> Result<RunDetail, ApiError> {
        let path = ["runs", id, "resume"];
        self.request(Method::POST, &path).json().await
    }

    /// Forgets a finished run that no other needs.
    pub async fn remove_run(&self, id: &str) -> Result<(), ApiError> {
        self.request(Method::DELETE, &["runs", id]).done().await
    }

    /// A run's curves.
    pub async fn metrics(&self, id: &str, query: &MetricsQuery) -> Result<MetricsView, ApiError> {
        let keys = (!query.keys.is_empty()).then(|| query.keys.join(","));
        self.request(Method::GET, &["runs", id, "metrics"])
            .query("attempt", query.attempt)
            .query("from", query.from)
            .query("to", query.to)
            .query("points", query.points)
            .query("keys", keys)
            .json()
            .await
    }

    /// What a stage wrote to its standard error, from a byte on.
    pub async fn log(
        &self,
        id: &str,
        attempt: Option<u32>,
        offset: u64,
    ) -> Result<LogChunk, ApiError> {
        self.log_part(id, attempt, offset, None).await
    }

    /// The same, of at most so many bytes; of as many as the daemon gives at once if `limit` is absent.
    pub async fn log_part(
        &self,
        id: &str,
        attempt: Option<u32>,
        offset: u64,
        limit: Option<u64>,
    ) -> Result<LogChunk, ApiError> {
        self.request(Method::GET, &["runs", id, "log"])
            .query("attempt", attempt)
            .query("offset", Some(offset))
            .query("limit", limit)
            .json()
            .await
    }
}
