use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use begat_schemas::api::{Missing, TreeAdded};
use begat_schemas::{BlobDigest, Tree, TreeEntry, TreePath};
use http_body_util::StreamBody;
use hyper::body::Frame;

use super::server::{Answered, Server};

fn path(digest: BlobDigest) -> String {
    format!("/api/v1/blobs/{digest}")
}

async fn put(server: &Server, digest: BlobDigest, bytes: impl Into<Body>) -> Answered {
    let request = server
        .request(Method::PUT, &path(digest))
        .body(bytes.into());
    let mut request = request.unwrap();
    let octets = "application/octet-stream".parse().unwrap();
    request.headers_mut().insert(header::CONTENT_TYPE, octets);
    server.send(request).await
}

async fn get(
    server: &Server,
    digest: BlobDigest,
    headers: &[(header::HeaderName, &str)],
) -> Answered {
    let mut request = server.request(Method::GET, &path(digest));
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    server.send(request.body(Body::empty()).unwrap()).await
}

/// Bytes that no compression makes small, and that differ everywhere.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(step).take(length).collect()
}

#[tokio::test]
async fn what_goes_in_comes_out() {
    let server = Server::start().await;
    for length in [0, 1, 1000, (1 << 20) + 1, 5 << 20] {
        let bytes = noise(length);
        let digest = BlobDigest::of(&bytes);
        assert_eq!(
            get(&server, digest, &[]).await.problem().await.kind,
            "not-found"
        );
        assert_eq!(
            put(&server, digest, bytes.clone()).await.status(),
            StatusCode::CREATED
        );
        assert_eq!(
            put(&server, digest, bytes.clone()).await.status(),
            StatusCode::OK
        );
        let answered = get(&server, digest, &[]).await;
        assert_eq!(answered.status(), StatusCode::OK);
        assert_eq!(
            answered.header(header::CONTENT_LENGTH),
            Some(length.to_string().as_str())
        );
        assert_eq!(
            answered.header(header::ETAG),
            Some(format!("\"{digest}\"").as_str())
        );
        assert!(
            answered
                .header(header::CACHE_CONTROL)
                .unwrap()
                .contains("immutable")
        );
        assert!(answered.bytes().await == bytes, "{length} bytes");
    }
}

#[tokio::test]
async fn a_stream_without_a_length_is_taken() {
    let server = Server::start().await;
    let bytes = noise(3 << 20);
    let pieces: Vec<_> = bytes
        .chunks(1 << 16)
        .map(|piece| {
            Ok::<_, std::io::Error>(Frame::data(axum::body::Bytes::copy_from_slice(piece)))
        })
        .collect();
    let body = Body::new(StreamBody::new(futures::stream::iter(pieces)));
    let digest = BlobDigest::of(&bytes);
    assert_eq!(
        put(&server, digest, body).await.status(),
        StatusCode::CREATED
    );
    assert!(get(&server, digest, &[]).await.bytes().await == bytes);
}

#[tokio::test]
async fn bytes_of_another_digest_are_refused_and_not_kept() {
    let server = Server::start().await;
    let (claimed, sent) = (BlobDigest::of(b"claimed"), BlobDigest::of(b"sent"));
    let problem = put(&server, claimed, "sent").await.problem().await;
    assert_eq!(problem.kind, "bad-request");
    for digest in [claimed, sent] {
        assert_eq!(
            get(&server, digest, &[]).await.status(),
            StatusCode::NOT_FOUND
        );
    }
}

#[tokio::test]
async fn ranges_and_known_content() {
    let server = Server::start().await;
    let bytes = noise((3 << 20) + 5);
    let digest = BlobDigest::of(&bytes);
    put(&server, digest, bytes.clone()).await.bytes().await;
    let etag = format!("\"{digest}\"");
    for (range, expected) in [
        ("bytes=0-0", 0..1),
        ("bytes=100-199", 100..200),
        ("bytes=-7", bytes.len() - 7..bytes.len()),
        ("bytes=1000-3000000", 1000..3_000_001),
    ] {
        let answered = get(&server, digest, &[(header::RANGE, range)]).await;
        assert_eq!(answered.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        let place = format!(
            "bytes {}-{}/{}",
            expected.start,
            expected.end - 1,
            bytes.len()
        );
        assert_eq!(answered.header(header::CONTENT_RANGE), Some(place.as_str()));
        assert!(answered.bytes().await == bytes[expected], "{range}");
    }
    let beyond = get(&server, digest, &[(header::RANGE, "bytes=9999999-")]).await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let all = format!("bytes */{}", bytes.len());
    assert_eq!(beyond.header(header::CONTENT_RANGE), Some(all.as_str()));
    let known = get(&server, digest, &[(header::IF_NONE_MATCH, &etag)]).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    assert!(known.bytes().await.is_empty());
    let other = get(&server, digest, &[(header::IF_NONE_MATCH, "\"another\"")]).await;
    assert_eq!(other.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_folder_is_sent_blob_by_blob_and_then_as_a_tree() {
    let server = Server::start().await;
    let (here, lacking) = (BlobDigest::of(b"here"), BlobDigest::of(b"lacking"));
    put(&server, here, "here").await.bytes().await;
    let asked = Missing {
        blobs: vec![here, lacking],
    };
    let asked = serde_json::to_vec(&asked).unwrap();
    let missing: Missing = server
        .post("/api/v1/blobs/missing", asked)
        .await
        .json()
        .await;
    assert_eq!(missing.blobs, [lacking]);

    let entry = |path: &str, blob, size| TreeEntry {
        path: TreePath::new(path).unwrap(),
        size,
        blob,
        executable: false,
    };
    let tree = Tree::new(vec![entry("a", here, 4), entry("b/c", lacking, 7)]).unwrap();
    let problem = server
        .post("/api/v1/trees", tree.manifest())
        .await
        .problem()
        .await;
    assert_eq!(problem.kind, "bad-request");
    assert!(
        problem.detail.contains(&lacking.short()),
        "{}",
        problem.detail
    );

    put(&server, lacking, "lacking").await.bytes().await;
    let added: TreeAdded = server
        .post("/api/v1/trees", tree.manifest())
        .await
        .json()
        .await;
    assert_eq!(
        (added.tree, added.files, added.bytes),
        (tree.digest(), 2, 11)
    );
    let answered = server.get(&format!("/api/v1/trees/{}", added.tree)).await;
    assert_eq!(
        answered.header(header::CONTENT_TYPE),
        Some("application/json")
    );
    assert_eq!(answered.bytes().await, tree.manifest());
}

#[tokio::test]
async fn documents_have_a_limit() {
    let server = Server::start().await;
    let document = |length: usize| format!("{{\"blobs\":[]{}}}", " ".repeat(length - 12));
    let missing = "/api/v1/blobs/missing";
    let largest = server.post(missing, document(8 << 20)).await;
    assert_eq!(largest.status(), StatusCode::OK);
    let problem = server
        .post(missing, document((8 << 20) + 1))
        .await
        .problem()
        .await;
    assert_eq!(problem.kind, "too-large");
    let manifest = vec![b' '; (64 << 20) + 1];
    let problem = server.post("/api/v1/trees", manifest).await.problem().await;
    assert_eq!(problem.kind, "too-large");
}
