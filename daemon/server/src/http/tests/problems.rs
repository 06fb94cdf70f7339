//! What errors look like. A change here is a change that users see.

use std::collections::BTreeMap;

use axum::http::Method;
use begat_schemas::api::{Candidate, CandidateKind, Problem};
use begat_schemas::{Digest, TreeDigest};
use http_body_util::BodyExt;

use super::server::Server;
use crate::engine::EngineError;
use crate::http::error::ApiError;
use crate::http::problem::ProblemKind;

async fn shown(error: ApiError) -> Problem {
    use axum::response::IntoResponse;
    let body = error.into_response().into_body().collect().await.unwrap();
    serde_json::from_slice(&body.to_bytes()).unwrap()
}

/// One error of the engine of every kind.
fn errors() -> Vec<EngineError> {
    let problem = || "a sentence with the facts".to_owned();
    let path = || std::path::PathBuf::from("/data/store/pack");
    let candidate = |kind, text: &str, label: &str| Candidate {
        kind,
        id: Digest::of(text.as_bytes()).to_hex(),
        digest: Some(Digest::of(text.as_bytes())),
        label: Some(label.to_owned()),
    };
    vec![
        EngineError::NotFound {
            name: "gpt/stf".to_owned(),
            what: "ref, run, launch or digest",
            near: Some("gpt/sft".to_owned()),
        },
        EngineError::Ambiguous {
            name: "af13".to_owned(),
            candidates: vec![
                candidate(CandidateKind::Run, "run", "gpt/sft"),
                candidate(CandidateKind::Tree, "tree", "gpt/sft"),
            ],
        },
        EngineError::BadRequest { problem: problem() },
        EngineError::BadRecipe {
            key: "stages.sft.inputs.model".to_owned(),
            problem: problem(),
            near: Some("@pretrain".to_owned()),
        },
        EngineError::Conflict { problem: problem() },
        EngineError::Busy { problem: problem() },
        EngineError::Corrupt {
            object: "blob af1349b9f5f9".to_owned(),
            problem: problem(),
        },
        EngineError::ReadOnly { problem: problem() },
        EngineError::NoProducer {
            tree: TreeDigest::of(b"tree"),
            additions: vec!["added on 2026-11-24 by ada".to_owned()],
        },
        EngineError::StageProgram {
            path: path(),
            problem: problem(),
        },
        EngineError::DiskFull { path: path() },
        EngineError::Internal { problem: problem() },
    ]
}

#[tokio::test]
async fn errors_of_the_engine() {
    let mut problems = BTreeMap::new();
    for error in errors() {
        let kind = error.kind();
        let problem = shown(error.into()).await;
        assert_eq!(problem.kind, kind);
        problems.insert(kind, problem);
    }
    insta::assert_json_snapshot!(problems);
}

#[tokio::test]
async fn errors_of_requests() {
    let server = Server::start().await;
    let cases = [
        ("no such route", Method::GET, "/api/v1/nothing", ""),
        ("no such method", Method::DELETE, "/api/v1/version", ""),
        ("not a digest", Method::GET, "/api/v1/blobs/af13", ""),
        (
            "not a ref",
            Method::GET,
            "/api/v1/ref-history/a/b/c/d/e",
            "",
        ),
        ("not a name", Method::GET, "/api/v1/runs/..%2f..%2fetc", ""),
        ("no name", Method::GET, "/api/v1/resolve", ""),
        (
            "unknown parameter",
            Method::GET,
            "/api/v1/runs?staet=failed",
            "",
        ),
        (
            "wrong parameter",
            Method::GET,
            "/api/v1/runs?state=sleeping",
            "",
        ),
        ("not JSON", Method::POST, "/api/v1/gc", "{\"dry_run\": tru"),
        ("more than JSON", Method::POST, "/api/v1/gc", "{} {}"),
        (
            "unknown field",
            Method::POST,
            "/api/v1/gc",
            "{\"dryrun\": true}",
        ),
        (
            "wrong field",
            Method::POST,
            "/api/v1/gc",
            "{\"dry_run\": \"yes\"}",
        ),
        (
            "wrong item",
            Method::POST,
            "/api/v1/blobs/missing",
            "{\"blobs\": [\"af13\"]}",
        ),
        (
            "bad generation",
            Method::POST,
            "/api/v1/generate",
            "{\"model\": \"gpt/sft\", \"prompt\": \"a\", \"n\": 0}",
        ),
        (
            "not canonical",
            Method::POST,
            "/api/v1/trees",
            "{\"format\": \"begat-tree-1\", \"entries\": []}",
        ),
        (
            "unknown name",
            Method::GET,
            "/api/v1/resolve?name=gpt/sft",
            "",
        ),
    ];
    let mut problems = BTreeMap::new();
    for (what, method, path, body) in cases {
        let request = server
            .request(method, path)
            .body(body.to_owned().into())
            .unwrap();
        problems.insert(what, server.send(request).await.problem().await);
    }
    insta::assert_json_snapshot!(problems);
}

#[test]
fn a_kind_has_one_name() {
    for kind in ProblemKind::ALL {
        assert_eq!(ProblemKind::named(kind.name()), *kind);
        assert!(kind.status().is_client_error() || kind.status().is_server_error());
    }
    assert_eq!(ProblemKind::named("something new"), ProblemKind::Internal);
}
