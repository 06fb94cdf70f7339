//! Care of what is stored: checking, collecting, measuring.

use axum::Json;
use axum::extract::State;
use begat_schemas::api::{
    DiskUsage, FsckReport, FsckRequest, GcReport, GcRequest, Usage, UsageRequest,
};

use super::App;
use super::document::doc;
use super::error::Answer;
use super::extract::JsonBody;

/// Checks that everything is as it was stored.
#[utoipa::path(post, path = "/fsck", request_body = inline(doc::FsckRequest),
    responses((status = 200, description = "What was found", body = inline(doc::FsckReport))))]
pub(super) async fn fsck(
    State(app): State<App>,
    JsonBody(request): JsonBody<FsckRequest>,
) -> Answer<Json<FsckReport>> {
    Ok(Json(app.engine.fsck(request).await?))
}

/// Removes what nothing leads to.
#[utoipa::path(post, path = "/gc", request_body = inline(doc::GcRequest),
    responses((status = 200, description = "What was done", body = inline(doc::GcReport))))]
pub(super) async fn gc(
    State(app): State<App>,
    JsonBody(request): JsonBody<GcRequest>,
) -> Answer<Json<GcReport>> {
    Ok(Json(app.engine.gc(request).await?))
}

/// Says what the store holds.
#[utoipa::path(get, path = "/du", responses((status = 200, description = "What it holds", body = inline(doc::DiskUsage))))]
pub(super) async fn du(State(app): State<App>) -> Answer<Json<DiskUsage>> {
    Ok(Json(app.engine.du().await?))
}

/// Says how many bytes lists of trees take, and how many of them they share.
#[utoipa::path(post, path = "/usage", request_body = inline(doc::UsageRequest),
    responses((status = 200, description = "What they take", body = inline(doc::Usage))))]
pub(super) async fn usage(
    State(app): State<App>,
    JsonBody(request): JsonBody<UsageRequest>,
) -> Answer<Json<Usage>> {
    Ok(Json(app.engine.usage(request).await?))
}
