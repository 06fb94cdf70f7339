//! Reproductions: making a result again, and what came of it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use begat_schemas::api::{ReproduceRequest, ReproduceView};
use uuid::Uuid;

use super::App;
use super::document::doc;
use super::error::Answer;
use super::extract::{JsonBody, Part};

/// Begins to make a result again.
#[utoipa::path(post, path = "/reproductions", request_body = inline(doc::ReproduceRequest),
    responses((status = 202, description = "What has begun", body = inline(doc::ReproduceView))))]
pub(super) async fn create(
    State(app): State<App>,
    JsonBody(request): JsonBody<ReproduceRequest>,
) -> Answer<(StatusCode, Json<ReproduceView>)> {
    let begun = app.engine.reproduce(request).await?;
    Ok((StatusCode::ACCEPTED, Json(begun)))
}

/// Says how a reproduction stands.
#[utoipa::path(get, path = "/reproductions/{id}", params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "How it stands", body = inline(doc::ReproduceView))))]
pub(super) async fn get(
    State(app): State<App>,
    Part(id): Part<Uuid>,
) -> Answer<Json<ReproduceView>> {
    Ok(Json(app.engine.reproduction(id).await?))
}
