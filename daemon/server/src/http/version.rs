//! Which daemon answers, and what it can be asked.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use begat_schemas::api::Version;

use super::App;
use super::document::doc;

/// Which daemon answers.
#[utoipa::path(get, path = "/version", responses((status = 200, description = "The daemon", body = inline(doc::Version))))]
pub(super) async fn version(State(app): State<App>) -> Json<Version> {
    Json(app.engine.version())
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, description = "The OpenAPI document", content_type = "application/json")))]
pub(super) async fn openapi() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        super::openapi_json(),
    )
}
