//! What a name stands for.

use axum::Json;
use axum::extract::State;
use begat_schemas::api::Resolution;
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::document::doc;
use super::error::Answer;
use super::extract::{Name, Parameters};

/// A name.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct NameQuery {
    /// A ref, a recipe, a launch, a run, an attempt, or the first digits of a digest.
    #[param(value_type = String)]
    pub(super) name: Name,
}

/// Says what a name stands for: one object, or several if it is ambiguous.
#[utoipa::path(get, path = "/resolve", params(NameQuery),
    responses((status = 200, description = "What it may mean", body = inline(doc::Resolution))))]
pub(super) async fn resolve(
    State(app): State<App>,
    Parameters(query): Parameters<NameQuery>,
) -> Answer<Json<Resolution>> {
    Ok(Json(app.engine.resolve(query.name.as_str()).await?))
}
