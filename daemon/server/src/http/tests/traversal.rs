//! Paths that try to leave where they belong. Each is tried in every place of every route that takes something.

use std::fs;

use axum::body::Body;
use axum::http::{Method, StatusCode};

use super::server::Server;
use crate::http::described;

const ATTEMPTS: [&str; 16] = [
    "..%2f..%2fsecret",
    "..%2Fsecret",
    "%2e%2e%2fsecret",
    "%2e%2e%2f%2e%2e%2fsecret",
    "..%252f..%252fsecret",
    "%252e%252e%252fsecret",
    "..%5c..%5csecret",
    "..%c0%afsecret",
    "..%00secret",
    "%2fetc%2fpasswd",
    "%2f..%2fsecret",
    "..",
    "%2e%2e",
    "gpt%2f..%2f..%2fsecret",
    "file:%2f%2f%2fetc%2fpasswd",
    "C:%5csecret",
];

/// Every method and path of the API that has a place to fill in, as the OpenAPI document lists them.
fn open_routes() -> Vec<(Method, String)> {
    let document = serde_json::to_value(described()).unwrap();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            if path.contains('{') {
                let method = method.to_uppercase().parse().unwrap();
                routes.push((method, path.clone()));
            }
        }
    }
    routes
}

fn filled(path: &str, attempt: &str) -> String {
    let (before, rest) = path.split_once('{').unwrap();
    let (_, after) = rest.split_once('}').unwrap();
    format!("{before}{attempt}{after}")
}

#[tokio::test]
async fn no_path_leaves_the_api() {
    let server = Server::start().await;
    let secret = server.home.path().join("secret");
    fs::write(&secret, "nobody shall read this").unwrap();
    let routes = open_routes();
    assert!(routes.len() >= 15, "{routes:?}");
    for (method, path) in routes {
        for attempt in ATTEMPTS {
            let path = filled(&path, attempt);
            let mut request = server
                .request(method.clone(), &path)
                .body(Body::from("{}"))
                .unwrap();
            if method == Method::PUT && path.contains("/blobs/") {
                let octets = "application/octet-stream".parse().unwrap();
                request.headers_mut().insert("content-type", octets);
            }
            let answered = server.send(request).await;
            let status = answered.status();
            let refused = [
                StatusCode::BAD_REQUEST,
                StatusCode::NOT_FOUND,
                StatusCode::METHOD_NOT_ALLOWED,
            ];
            assert!(refused.contains(&status), "{method} {path}: {status}");
            answered.problem().await;
        }
    }
    assert_eq!(
        fs::read_to_string(&secret).unwrap(),
        "nobody shall read this"
    );
}

#[tokio::test]
async fn no_name_leaves_the_api() {
    let server = Server::start().await;
    for attempt in ATTEMPTS {
        for path in ["/api/v1/resolve", "/api/v1/lineage"] {
            let answered = server.get(&format!("{path}?name={attempt}")).await;
            assert_eq!(
                answered.status(),
                StatusCode::BAD_REQUEST,
                "{path} {attempt}"
            );
        }
    }
}

#[tokio::test]
async fn a_manifest_with_a_path_out_of_its_tree_is_refused() {
    let server = Server::start().await;
    let blob = begat_schemas::BlobDigest::of(b"");
    for path in [
        "../secret",
        "/etc/passwd",
        "a/../../secret",
        "a\\\\..\\\\b",
        "a//b",
        "./a",
        "",
    ] {
        let manifest = format!(
            "{{\"entries\":[{{\"blob\":\"{blob}\",\"path\":\"{path}\",\"size\":0}}],\"format\":\"begat-tree-1\"}}"
        );
        let problem = server.post("/api/v1/trees", manifest).await.problem().await;
        assert_eq!(problem.kind, "bad-request", "{path}: {}", problem.detail);
    }
}
