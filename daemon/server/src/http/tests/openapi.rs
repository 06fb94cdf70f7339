use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::server::Server;
use crate::http::openapi_json;

/// What the API promises. A route that is added belongs here too.
const ROUTES: [&str; 38] = [
    "GET /api/v1/version",
    "GET /api/v1/openapi.json",
    "POST /api/v1/blobs/missing",
    "PUT /api/v1/blobs/{digest}",
    "GET /api/v1/blobs/{digest}",
    "POST /api/v1/trees",
    "GET /api/v1/trees/{digest}",
    "GET /api/v1/resolve",
    "GET /api/v1/refs",
    "PUT /api/v1/refs/{name}",
    "DELETE /api/v1/refs/{name}",
    "GET /api/v1/ref-history/{name}",
    "POST /api/v1/plans",
    "POST /api/v1/launches",
    "GET /api/v1/launches",
    "GET /api/v1/launches/{id}",
    "POST /api/v1/launches/{id}/cancel",
    "POST /api/v1/launches/{id}/resume",
    "GET /api/v1/runs",
    "GET /api/v1/runs/{id}",
    "DELETE /api/v1/runs/{id}",
    "POST /api/v1/runs/{id}/cancel",
    "POST /api/v1/runs/{id}/resume",
    "GET /api/v1/runs/{id}/metrics",
    "GET /api/v1/runs/{id}/events",
    "GET /api/v1/runs/{id}/log",
    "GET /api/v1/lineage",
    "POST /api/v1/reproductions",
    "GET /api/v1/reproductions/{id}",
    "POST /api/v1/generate",
    "POST /api/v1/fsck",
    "POST /api/v1/gc",
    "GET /api/v1/du",
    "POST /api/v1/usage",
    "GET /api/v1/prometheus/sd",
    "GET /metrics",
    "GET /healthz",
    "GET /readyz",
];

fn document() -> Value {
    serde_json::from_str(&openapi_json()).unwrap()
}

#[test]
fn every_route_is_described() {
    let document = document();
    let mut found = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(
                operation["summary"].is_string(),
                "{method} {path} has no summary"
            );
            found.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let expected: BTreeSet<String> = ROUTES.map(str::to_owned).into();
    assert_eq!(found, expected);
}

#[test]
fn every_reference_resolves() {
    let document = document();
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    assert!(references.len() > 30, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#');
        let target = pointer.and_then(|pointer| document.pointer(pointer));
        assert!(target.is_some(), "{reference} leads nowhere");
    }
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                references.insert(reference.clone());
            }
            fields.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

#[test]
fn every_write_is_said_to_need_its_header() {
    let document = document();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let said = parameters
                .iter()
                .any(|parameter| parameter["name"] == "x-begat");
            assert_eq!(said, method != "get", "{method} {path}");
        }
    }
}

#[test]
fn the_committed_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/json/openapi.json");
    let committed = std::fs::read_to_string(&path).unwrap();
    let current = format!("{}\n", openapi_json());
    let differing = committed
        .lines()
        .zip(current.lines())
        .find(|(committed, current)| committed != current);
    assert!(
        committed == current,
        "schemas/json/openapi.json is not what the routes say, first at {differing:?}: run `make schemas`"
    );
}

#[tokio::test]
async fn the_daemon_serves_its_document() {
    let server = Server::start().await;
    let served = server.get("/api/v1/openapi.json").await.text().await;
    assert!(served == openapi_json());
}
