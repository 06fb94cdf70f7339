//! Trees: folders as values.

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use begat_schemas::TreeDigest;
use begat_schemas::api::TreeAdded;

use super::App;
use super::blobs::{is_known, quoted};
use super::document::doc;
use super::error::Answer;
use super::extract::{Part, read_body};
use super::peer::Peer;

/// The largest manifest: some hundred thousand files.
const MANIFEST_BYTES_MAX: usize = 64 << 20;

/// Stores a tree whose blobs are all there.
#[utoipa::path(post, path = "/trees", request_body(content = inline(doc::Tree), description = "The manifest, in canonical JSON"),
    responses((status = 200, description = "The tree", body = inline(doc::TreeAdded))))]
pub(super) async fn add(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Body,
) -> Answer<Json<TreeAdded>> {
    let manifest = read_body(body, MANIFEST_BYTES_MAX).await?;
    Ok(Json(
        app.engine.add_tree(manifest.to_vec(), peer.who()).await?,
    ))
}

/// Gives a tree's manifest: the very bytes whose digest names it.
#[utoipa::path(get, path = "/trees/{digest}", params(("digest" = String, Path, description = "The tree's digest")),
    responses((status = 200, description = "The manifest", body = inline(doc::Tree))))]
pub(super) async fn get(
    State(app): State<App>,
    Part(digest): Part<TreeDigest>,
    headers: HeaderMap,
) -> Answer<Response> {
    let tree = app.engine.tree(digest).await?;
    let etag = quoted(&digest.digest());
    let unchanging = [
        (header::ETAG, etag.clone()),
        (header::CACHE_CONTROL, super::blobs::FOR_EVER.to_owned()),
    ];
    if is_known(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, unchanging).into_response());
    }
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((unchanging, json, tree.manifest()).into_response())
}
