//! Launches, plans, lineage and reproductions.

use begat_schemas::api::{
    LaunchRequest, LaunchView, Lineage, Plan, ReproduceRequest, ReproduceView,
};
use reqwest::Method;
use uuid::Uuid;

use super::error::ApiError;
use super::transport::Client;

impl Client {
    /// Submits a recipe.
    pub async fn launch(&self, request: &LaunchRequest) -> Result<LaunchView, ApiError> {
        self.post(&["launches"], request).await
    }

    /// Says what submitting a recipe would do.
    pub async fn plan(&self, request: &LaunchRequest) -> Result<Plan, ApiError> {
        self.post(&["plans"], request).await
    }

    /// A launch by its id, or a recipe's newest one.
    pub async fn launch_view(&self, id: &str) -> Result<LaunchView, ApiError> {
        self.get(&["launches", id]).await
    }

    /// The newest launches.
    pub async fn launches(
        &self,
        recipe: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Vec<LaunchView>, ApiError> {
        self.request(Method::GET, &["launches"])
            .query("recipe", recipe)
            .query("limit", limit)
            .json()
            .await
    }

    /// Ends a launch's stages.
    pub async fn cancel_launch(&self, id: &str) -> Result<LaunchView, ApiError> {
        let path = ["launches", id, "cancel"];
        self.request(Method::POST, &path).json().await
    }

    /// Lets a launch's failed and cancelled stages go on from their checkpoints.
    pub async fn resume_launch(&self, id: &str) -> Result<LaunchView, ApiError> {
        let path = ["launches", id, "resume"];
        self.request(Method::POST, &path).json().await
    }

    /// What an object came from.
    pub async fn lineage(&self, name: &str) -> Result<Lineage, ApiError> {
        self.request(Method::GET, &["lineage"])
            .query("name", Some(name))
            .json()
            .await
    }

    /// Begins to make a result again.
    pub async fn reproduce(&self, request: &ReproduceRequest) -> Result<ReproduceView, ApiError> {
        self.post(&["reproductions"], request).await
    }

    /// How a reproduction stands.
    pub async fn reproduction(&self, id: Uuid) -> Result<ReproduceView, ApiError> {
        self.get(&["reproductions", &id.to_string()]).await
    }
}
