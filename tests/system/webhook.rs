//! A webhook: what Alertmanager pages, kept for a test to look at.

use serde_json::Value;

use crate::Listener;

/// A page as it came: the alerts in it, and the token that it came with.
#[derive(Debug, Clone)]
pub struct Page {
    /// The `Authorization` header.
    pub authorization: String,
    /// Alertmanager's message.
    pub body: Value,
}

/// Listens for pages as long as the test runs.
#[derive(Default)]
pub struct Webhook(Listener);

impl Webhook {
    /// One that listens.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("{}/", self.0.url())
    }

    /// Every firing alert that was paged so far, with the page it came in.
    pub fn firing(&self) -> Vec<(Page, Value)> {
        let pages = self.0.requests().into_iter().map(|request| Page {
            authorization: request.authorization,
            body: serde_json::from_slice(&request.body).unwrap(),
        });
        let alerts = pages.flat_map(|page| {
            let alerts = page.body["alerts"].as_array().cloned().unwrap_or_default();
            alerts.into_iter().map(move |alert| (page.clone(), alert))
        });
        alerts
            .filter(|(_, alert)| alert["status"] == "firing")
            .collect()
    }
}
