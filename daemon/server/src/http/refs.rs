//! Refs: mutable names for trees, with their history.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use begat_schemas::RefName;
use begat_schemas::api::{RefChange, RefPut, RefView};

use super::App;
use super::document::doc;
use super::error::Answer;
use super::extract::{JsonBody, Part};

/// Lists the refs.
#[utoipa::path(get, path = "/refs", responses((status = 200, description = "The refs", body = inline(doc::RefViewList))))]
pub(super) async fn list(State(app): State<App>) -> Answer<Json<Vec<RefView>>> {
    Ok(Json(app.engine.refs().await?))
}

/// Moves a ref, or makes one.
#[utoipa::path(put, path = "/refs/{*name}", params(("name" = String, Path, description = "The ref")),
    request_body = inline(doc::RefPut),
    responses((status = 200, description = "Where it points now", body = inline(doc::RefView))))]
pub(super) async fn put(
    State(app): State<App>,
    Part(name): Part<RefName>,
    JsonBody(put): JsonBody<RefPut>,
) -> Answer<Json<RefView>> {
    Ok(Json(app.engine.put_ref(name, put).await?))
}

/// Removes a ref; its history stays.
#[utoipa::path(delete, path = "/refs/{*name}", params(("name" = String, Path, description = "The ref")),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn delete(
    State(app): State<App>,
    Part(name): Part<RefName>,
) -> Answer<StatusCode> {
    app.engine.delete_ref(name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists where a ref has pointed, oldest first.
#[utoipa::path(get, path = "/ref-history/{*name}", params(("name" = String, Path, description = "The ref")),
    responses((status = 200, description = "Its moves", body = inline(doc::RefChangeList))))]
pub(super) async fn history(
    State(app): State<App>,
    Part(name): Part<RefName>,
) -> Answer<Json<Vec<RefChange>>> {
    Ok(Json(app.engine.ref_history(name).await?))
}
