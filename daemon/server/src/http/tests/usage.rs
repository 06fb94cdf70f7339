use axum::body::Body;
use axum::http::{Method, header};
use begat_schemas::api::{Usage, UsageRequest};
use begat_schemas::{BlobDigest, Tree, TreeDigest, TreeEntry, TreePath};

use super::server::Server;

async fn add_tree(server: &Server, files: &[(&str, &[u8])]) -> TreeDigest {
    let mut entries = Vec::new();
    for (path, bytes) in files {
        let blob = BlobDigest::of(bytes);
        let address = format!("/api/v1/blobs/{blob}");
        let mut request = server
            .request(Method::PUT, &address)
            .body(Body::from(bytes.to_vec()))
            .unwrap();
        let octets = "application/octet-stream".parse().unwrap();
        request.headers_mut().insert(header::CONTENT_TYPE, octets);
        assert!(server.send(request).await.status().is_success());
        entries.push(TreeEntry {
            path: TreePath::new(*path).unwrap(),
            size: bytes.len() as u64,
            blob,
            executable: false,
        });
    }
    let tree = Tree::new(entries).unwrap();
    let added = server.post("/api/v1/trees", tree.manifest()).await;
    assert!(added.status().is_success());
    tree.digest()
}

fn asked(lists: Vec<Vec<TreeDigest>>) -> Vec<u8> {
    serde_json::to_vec(&UsageRequest { lists }).unwrap()
}

#[tokio::test]
async fn says_what_is_shared_and_what_is_not() {
    let server = Server::start().await;
    let (common, own) = (vec![7; 5000], vec![9; 300]);
    let left = add_tree(&server, &[("common", &common)]).await;
    let right = add_tree(&server, &[("common", &common), ("own", &own)]).await;
    let lists = vec![vec![left], vec![right, left, right]];
    let usage: Usage = server
        .post("/api/v1/usage", asked(lists))
        .await
        .json()
        .await;
    assert_eq!(usage.lists[0].whole, usage.shared);
    assert_eq!(usage.lists[0].own.stored_bytes, 0);
    assert!(usage.shared.unique_bytes >= 5000);
    let right = usage.lists[1];
    assert!(right.own.unique_bytes >= 300 && right.own.unique_bytes < 5000);
    assert_eq!(
        right.whole.stored_bytes,
        usage.shared.stored_bytes + right.own.stored_bytes
    );
}

#[tokio::test]
async fn what_is_not_there_or_too_much_is_refused() {
    let server = Server::start().await;
    let nowhere = TreeDigest::of(b"nowhere");
    for (lists, kind) in [
        (vec![vec![nowhere]], "not-found"),
        (vec![Vec::new(); UsageRequest::LISTS_MAX + 1], "bad-request"),
        (
            vec![vec![nowhere; UsageRequest::TREES_MAX], vec![nowhere]],
            "bad-request",
        ),
    ] {
        let problem = server.post("/api/v1/usage", asked(lists)).await;
        assert_eq!(problem.problem().await.kind, kind);
    }
    let none: Usage = server
        .post("/api/v1/usage", asked(Vec::new()))
        .await
        .json()
        .await;
    assert_eq!(none, Usage::default());
}
