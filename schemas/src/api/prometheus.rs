use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Addresses to be scraped, as Prometheus's HTTP service discovery takes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PrometheusTargets {
    /// The addresses, `HOST:PORT`.
    pub targets: Vec<String>,
    /// Labels that their series get.
    pub labels: BTreeMap<String, String>,
}
