//! What travels between the client and a daemon, against a small server: headers, problems, streams, verification.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use begat_client::{
    AddError, ApiError, CheckoutError, Client, Endpoint, RunQuery, add, checkout, walk,
};
use begat_schemas::api::{GenerateEvent, GenerateRequest, Missing, StreamEvent, TreeAdded};
use begat_schemas::{BlobDigest, RunState, Tree};
use serde_json::json;

/// What the small server holds and has seen.
#[derive(Default)]
struct Seen {
    blobs: BTreeMap<String, Vec<u8>>,
    puts: Vec<String>,
    requests: Vec<(String, HeaderMap)>,
    last_event_ids: Vec<Option<String>>,
}

type Shared = Arc<Mutex<Seen>>;

struct Server {
    folder: tempfile::TempDir,
    seen: Shared,
}

impl Server {
    async fn start(router: Router<Shared>) -> (Self, Client) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("begatd.sock");
        let seen = Shared::default();
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let noting = seen.clone();
        let router = router
            .layer(axum::middleware::from_fn(
                move |request: Request, next: axum::middleware::Next| {
                    let line = format!("{} {}", request.method(), request.uri());
                    let entry = (line, request.headers().clone());
                    noting.lock().unwrap().requests.push(entry);
                    next.run(request)
                },
            ))
            .with_state(seen.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let client = Client::new(Endpoint::Socket(socket)).unwrap();
        (Self { folder, seen }, client)
    }
}

fn problem(status: StatusCode, kind: &str) -> Response {
    let body =
        json!({"type": kind, "title": "t", "status": status.as_u16(), "detail": "no such run"});
    (
        status,
        [(header::CONTENT_TYPE, "application/problem+json")],
        body.to_string(),
    )
        .into_response()
}

#[tokio::test]
async fn nobody_there_is_no_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("begatd.sock");
    let client = Client::new(Endpoint::Socket(socket.clone())).unwrap();
    let error = client.version().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("no daemon at {}", socket.display())
    );
    drop(tokio::net::UnixListener::bind(&socket).unwrap());
    let error = client.version().await.unwrap_err();
    assert!(
        matches!(error, ApiError::NoDaemon { reason: None, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn only_addresses_on_this_machine_get_the_token() {
    for url in [
        "https://127.0.0.1:1",
        "http://example.org",
        "http://10.0.0.1:7878",
        "nonsense",
    ] {
        let endpoint = Endpoint::Tcp {
            url: url.to_owned(),
            token: "t".to_owned(),
        };
        assert!(
            matches!(Client::new(endpoint), Err(ApiError::BadUrl { .. })),
            "{url}"
        );
    }
}

#[tokio::test]
async fn over_tcp_the_token_goes_along() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route(
        "/api/v1/refs",
        get(|headers: HeaderMap| async move {
            match headers.get(header::AUTHORIZATION) {
                Some(value) if value == "Bearer secret" => "[]".into_response(),
                _ => problem(StatusCode::UNAUTHORIZED, "unauthorized"),
            }
        }),
    );
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let client = |token: &str| {
        let token = token.to_owned();
        let url = url.clone();
        Client::new(Endpoint::Tcp { url, token }).unwrap()
    };
    assert_eq!(client("secret").refs().await.unwrap(), []);
    let refused = client("wrong").refs().await.unwrap_err();
    assert_eq!(refused.problem_kind(), Some("unauthorized"));
}

#[tokio::test]
async fn reads_and_writes_have_their_paths_and_headers() {
    let router = Router::new()
        .route("/api/v1/refs/{*name}", put(|| async {
            let tree = BlobDigest::of(b"");
            axum::Json(json!({"name": "gpt/sft", "tree": tree, "updated": "2026-11-24T00:00:00Z", "reason": "r"}))
        }))
        .route("/api/v1/runs", get(|| async { "[]" }));
    let (server, client) = Server::start(router).await;
    let put = begat_schemas::api::RefPut {
        target: "x".to_owned(),
        reason: None,
    };
    client
        .put_ref(&"gpt/sft".parse().unwrap(), &put)
        .await
        .unwrap();
    let query = RunQuery {
        limit: Some(5),
        state: Some(RunState::Failed),
        recipe: Some("a&b".to_owned()),
        ..RunQuery::default()
    };
    client.runs(&query).await.unwrap();
    let seen = server.seen.lock().unwrap();
    let (write, headers) = &seen.requests[0];
    assert_eq!(write, "PUT /api/v1/refs/gpt/sft");
    assert_eq!(headers["x-begat"], "1");
    assert_eq!(headers.get_all(header::CONTENT_TYPE).iter().count(), 1);
    assert_eq!(headers[header::CONTENT_TYPE], "application/json");
    let (read, headers) = &seen.requests[1];
    assert_eq!(read, "GET /api/v1/runs?limit=5&state=failed&recipe=a%26b");
    assert!(!headers.contains_key("x-begat"));
}

#[tokio::test]
async fn problems_are_told_apart_from_nonsense() {
    let router = Router::new()
        .route(
            "/api/v1/runs/x",
            get(|| async { problem(StatusCode::NOT_FOUND, "not-found") }),
        )
        .route(
            "/api/v1/runs/y",
            get(|| async { (StatusCode::BAD_GATEWAY, "<html>") }),
        )
        .route("/api/v1/runs/z", get(|| async { "{\"run\": 1}" }));
    let (_server, client) = Server::start(router).await;
    let error = client.run("x").await.unwrap_err();
    assert_eq!(
        (error.problem_kind(), error.to_string().as_str()),
        (Some("not-found"), "no such run")
    );
    for run in ["y", "z"] {
        let error = client.run(run).await.unwrap_err();
        assert!(matches!(error, ApiError::BadAnswer { .. }), "{error}");
    }
}

fn journal(seq: u64) -> String {
    let event = json!({"seq": seq, "time": "2026-11-24T00:00:00Z", "event": "log", "level": "info", "message": "m"});
    format!(
        "id: 1.{seq}\ndata: {}\n\n",
        json!({"type": "journal", "attempt": 1, "event": event})
    )
}

/// The first connection breaks after two events and in the middle of a third; the second goes on where it was told to.
async fn broken_events(State(seen): State<Shared>, headers: HeaderMap) -> Response {
    let last = headers
        .get("last-event-id")
        .map(|id| id.to_str().unwrap().to_owned());
    let mut seen = seen.lock().unwrap();
    seen.last_event_ids.push(last);
    let text = match seen.last_event_ids.len() {
        1 => journal(1) + &journal(2) + "id: 1.3\ndata: {\"type\"",
        _ => journal(3) + "data: {\"type\":\"state\",\"state\":\"succeeded\",\"reason\":null}\n\n",
    };
    ([(header::CONTENT_TYPE, "text/event-stream")], text).into_response()
}

#[tokio::test]
async fn events_go_on_after_a_broken_connection() {
    let router = Router::new().route("/api/v1/runs/{id}/events", get(broken_events));
    let (server, client) = Server::start(router).await;
    let mut stream = client.events("abc", None);
    let mut found = Vec::new();
    while let Some(event) = stream.next().await {
        found.push(match event.unwrap() {
            StreamEvent::Journal { event, .. } => event.seq.to_string(),
            StreamEvent::State { state, .. } => state.to_string(),
        });
    }
    assert_eq!(found, ["1", "2", "3", "succeeded"]);
    let ids = server.seen.lock().unwrap().last_event_ids.clone();
    assert_eq!(ids, [None, Some("1.2".to_owned())]);
}

#[tokio::test]
async fn events_of_an_unknown_run_are_an_error_at_once() {
    let router = Router::new().route(
        "/api/v1/runs/{id}/events",
        get(|| async { problem(StatusCode::NOT_FOUND, "not-found") }),
    );
    let (_server, client) = Server::start(router).await;
    let mut stream = client.events("abc", None);
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.problem_kind(), Some("not-found"));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn completions_come_piece_by_piece() {
    let pieces = [
        "data: {\"type\":\"text\",\"index\":0,\"te",
        "xt\":\"fn\"}\n\n: comment\n\ndata: {\"type\":\"done\",\"index\":0,\"finish_reason\":\"stop\",\"tokens\":1}\n\n",
    ];
    let router = Router::new().route(
        "/api/v1/generate",
        post(move || async move {
            let stream = futures::stream::iter(pieces.map(Ok::<_, Infallible>));
            Body::from_stream(stream)
        }),
    );
    let (_server, client) = Server::start(router).await;
    let request: GenerateRequest =
        serde_json::from_value(json!({"model": "m", "prompt": "p"})).unwrap();
    let mut stream = client.generate(&request).await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert!(matches!(first, GenerateEvent::Text { text, .. } if text == "fn"));
    let second = stream.next().await.unwrap().unwrap();
    assert!(matches!(second, GenerateEvent::Done { tokens: 1, .. }));
    assert_eq!(stream.next().await.unwrap(), None);
}

async fn missing(State(seen): State<Shared>, axum::Json(asked): axum::Json<Missing>) -> Response {
    let seen = seen.lock().unwrap();
    let blobs = asked.blobs.into_iter();
    let blobs = blobs
        .filter(|blob| !seen.blobs.contains_key(&blob.to_string()))
        .collect();
    axum::Json(Missing { blobs }).into_response()
}

async fn put_blob(State(seen): State<Shared>, Path(digest): Path<String>, body: Bytes) -> Response {
    if BlobDigest::of(&body).to_string() != digest {
        return problem(StatusCode::BAD_REQUEST, "bad-request");
    }
    let mut seen = seen.lock().unwrap();
    seen.puts.push(digest.clone());
    seen.blobs.insert(digest, body.to_vec());
    StatusCode::CREATED.into_response()
}

async fn get_object(State(seen): State<Shared>, Path(digest): Path<String>) -> Response {
    match seen.lock().unwrap().blobs.get(&digest) {
        Some(bytes) => bytes.clone().into_response(),
        None => problem(StatusCode::NOT_FOUND, "not-found"),
    }
}

async fn post_tree(State(seen): State<Shared>, body: Bytes) -> Response {
    let tree = Tree::from_manifest(&body).unwrap();
    let digest = tree.digest();
    seen.lock()
        .unwrap()
        .blobs
        .insert(digest.to_string(), body.to_vec());
    axum::Json(TreeAdded {
        tree: digest,
        files: tree.entries().len() as u64,
        bytes: tree.size(),
    })
    .into_response()
}

fn store() -> Router<Shared> {
    Router::new()
        .route("/api/v1/blobs/missing", post(missing))
        .route("/api/v1/blobs/{digest}", put(put_blob).get(get_object))
        .route("/api/v1/trees", post(post_tree))
        .route("/api/v1/trees/{digest}", get(get_object))
}

fn some_files(server: &Server) -> PathBuf {
    let folder = server.folder.path().join("files");
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    std::fs::write(folder.join("a"), "one").unwrap();
    std::fs::write(folder.join("sub/same"), "one").unwrap();
    std::fs::write(folder.join("empty"), "").unwrap();
    std::fs::write(folder.join("large"), vec![3; 1 << 20]).unwrap();
    folder
}

#[tokio::test]
async fn what_is_added_is_sent_once_and_comes_back_whole() {
    let (server, client) = Server::start(store()).await;
    let folder = some_files(&server);
    let quiet: begat_client::ProgressSink = Arc::new(|_| ());
    let first = add(&client, walk(&folder).unwrap(), quiet.clone())
        .await
        .unwrap();
    assert_eq!(first.added.files, 4);
    assert_eq!(first.bytes_sent, 3 + (1 << 20));
    assert_eq!(
        server.seen.lock().unwrap().puts.len(),
        3,
        "one of two equal files"
    );

    std::fs::write(folder.join("new"), "two").unwrap();
    let second = add(&client, walk(&folder).unwrap(), quiet).await.unwrap();
    assert_eq!(second.bytes_sent, 3);
    assert_eq!(server.seen.lock().unwrap().puts.len(), 4);

    let target = server.folder.path().join("deep/out");
    let tree = client.tree(second.added.tree).await.unwrap();
    checkout(&client, &tree, &target, &|_| ()).await.unwrap();
    assert_eq!(std::fs::read(target.join("sub/same")).unwrap(), b"one");
    assert_eq!(
        std::fs::read(target.join("large")).unwrap(),
        vec![3; 1 << 20]
    );
    assert_eq!(walk(&target).unwrap().files.len(), 5);

    let again = checkout(&client, &tree, &target, &|_| ())
        .await
        .unwrap_err();
    assert!(matches!(again, CheckoutError::Exists { .. }), "{again}");
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_makes_no_tree() {
    let (server, client) = Server::start(store()).await;
    let folder = some_files(&server);
    let path = folder.join("large");
    let changing = path.clone();
    let sink: begat_client::ProgressSink = Arc::new(move |progress| {
        if let begat_client::AddProgress::Lacking { .. } = progress {
            std::fs::write(&changing, "shorter").unwrap();
        }
    });
    let error = add(&client, walk(&folder).unwrap(), sink)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, AddError::Changed { path: changed } if *changed == path),
        "{error}"
    );
    let seen = server.seen.lock().unwrap();
    assert!(
        !seen
            .requests
            .iter()
            .any(|(line, _)| line == "POST /api/v1/trees")
    );
}

#[tokio::test]
async fn wrong_bytes_are_never_left_on_disk() {
    let (server, client) = Server::start(store()).await;
    let folder = some_files(&server);
    let added = add(&client, walk(&folder).unwrap(), Arc::new(|_| ()))
        .await
        .unwrap();
    let wrong = BlobDigest::of(b"one").to_string();
    server
        .seen
        .lock()
        .unwrap()
        .blobs
        .insert(wrong, b"two".to_vec());
    let target = server.folder.path().join("out");
    let error = checkout(&client, &added.tree, &target, &|_| ())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            CheckoutError::Api(ApiError::Corrupt { what: "blob", .. })
        ),
        "{error}"
    );
    assert!(!target.exists());
    let left: Vec<_> = std::fs::read_dir(server.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with(".begat"))
        .collect();
    assert_eq!(left, Vec::<std::ffi::OsString>::new());

    let digest = added.added.tree;
    server
        .seen
        .lock()
        .unwrap()
        .blobs
        .insert(digest.to_string(), b"{}".to_vec());
    let error = client.tree(digest).await.unwrap_err();
    assert!(
        matches!(error, ApiError::Corrupt { what: "tree", .. }),
        "{error}"
    );
}

fn names(candidates: serde_json::Value) -> Router<Shared> {
    Router::new().route(
        "/api/v1/resolve",
        get(move || async move { axum::Json(json!({"query": "x", "candidates": candidates})) }),
    )
}

#[tokio::test]
async fn a_tree_is_not_confused_with_its_own_manifest() {
    let digest = BlobDigest::of(b"tree").to_string();
    let candidate = |kind: &str, digest: &str| json!({"kind": kind, "id": digest, "digest": digest, "label": null});
    let both = json!([candidate("blob", &digest), candidate("tree", &digest)]);
    let (_server, client) = Server::start(names(both)).await;
    assert_eq!(client.tree_of("x").await.unwrap().to_string(), digest);

    let other = BlobDigest::of(b"other").to_string();
    let two = json!([candidate("blob", &other), candidate("tree", &digest)]);
    let (_server, client) = Server::start(names(two)).await;
    let error = client.tree_of("x").await.unwrap_err();
    assert!(matches!(error, ApiError::Ambiguous { candidates, .. } if candidates.len() == 2));

    let recipe = json!([{"kind": "recipe", "id": "gpt", "digest": null, "label": null}]);
    let (_server, client) = Server::start(names(recipe)).await;
    let error = client.tree_of("gpt").await.unwrap_err().to_string();
    assert!(
        error.starts_with("`gpt` names a recipe: expected a tree"),
        "{error}"
    );
}

#[tokio::test]
async fn a_stage_without_a_ref_is_found_by_its_recipe() {
    let run = BlobDigest::of(b"run").to_string();
    let launch = json!({
        "launch": "0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "recipe": "gpt", "recipe_blob": run, "overrides": [],
        "created": "2026-11-24T00:00:00Z", "state": "running",
        "stages": [{"stage": "sft", "kind": "sft", "run": run, "state": "running", "found": false, "outputs": {}}],
    });
    let router = Router::new()
        .route(
            "/api/v1/resolve",
            get(|| async { problem(StatusCode::NOT_FOUND, "not-found") }),
        )
        .route(
            "/api/v1/launches/gpt",
            get(move || async move { axum::Json(launch) }),
        );
    let (_server, client) = Server::start(router).await;
    assert_eq!(client.run_name("gpt/sft").await.unwrap(), run);
    for name in ["gpt/other", "other/sft", "gpt"] {
        let error = client.run_name(name).await.unwrap_err();
        assert_eq!(error.problem_kind(), Some("not-found"), "{name}");
    }
}
