//! Refs, and what names stand for.

use begat_schemas::RefName;
use begat_schemas::api::{RefChange, RefPut, RefView, Resolution};
use reqwest::Method;

use super::error::ApiError;
use super::transport::Client;

impl Client {
    /// Every ref.
    pub async fn refs(&self) -> Result<Vec<RefView>, ApiError> {
        self.get(&["refs"]).await
    }

    /// Moves a ref, or makes it.
    pub async fn put_ref(&self, name: &RefName, put: &RefPut) -> Result<RefView, ApiError> {
        let request = self.request(Method::PUT, &ref_path("refs", name));
        request.body_json(put)?.json().await
    }

    /// Removes a ref; its history stays.
    pub async fn delete_ref(&self, name: &RefName) -> Result<(), ApiError> {
        let request = self.request(Method::DELETE, &ref_path("refs", name));
        request.done().await
    }

    /// Where a ref pointed, oldest first.
    pub async fn ref_history(&self, name: &RefName) -> Result<Vec<RefChange>, ApiError> {
        self.get(&ref_path("ref-history", name)).await
    }

    /// What a name may stand for.
    pub async fn resolve(&self, name: &str) -> Result<Resolution, ApiError> {
        self.request(Method::GET, &["resolve"])
            .query("name", Some(name))
            .json()
            .await
    }
}

fn ref_path<'a>(resource: &'a str, name: &'a RefName) -> Vec<&'a str> {
    std::iter::once(resource)
        .chain(name.as_str().split('/'))
        .collect()
}
