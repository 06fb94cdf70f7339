//! Launches: submissions of recipes.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use begat_schemas::RecipeName;
use begat_schemas::api::{LaunchRequest, LaunchView, Plan};
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::document::doc;
use super::error::Answer;
use super::extract::{JsonBody, Name, Parameters, Part};

/// Most launches in one answer, and how many come unless asked otherwise.
const LAUNCHES_MAX: usize = 1000;
const LAUNCHES: usize = 100;

/// Which launches to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LaunchesQuery {
    /// Only those of this recipe.
    #[param(value_type = Option<String>)]
    recipe: Option<RecipeName>,
    /// At most so many; 100 if absent, never more than 1000.
    limit: Option<usize>,
}

/// Says what a launch would do, and why.
#[utoipa::path(post, path = "/plans", request_body = inline(doc::LaunchRequest),
    responses((status = 200, description = "What would be done", body = inline(doc::Plan))))]
pub(super) async fn plan(
    State(app): State<App>,
    JsonBody(request): JsonBody<LaunchRequest>,
) -> Answer<Json<Plan>> {
    Ok(Json(app.engine.plan(request).await?))
}

/// Lists launches, newest first.
#[utoipa::path(get, path = "/launches", params(LaunchesQuery),
    responses((status = 200, description = "The launches", body = inline(doc::LaunchViewList))))]
pub(super) async fn list(
    State(app): State<App>,
    Parameters(query): Parameters<LaunchesQuery>,
) -> Answer<Json<Vec<LaunchView>>> {
    let limit = query.limit.unwrap_or(LAUNCHES).min(LAUNCHES_MAX);
    Ok(Json(app.engine.launches(query.recipe, limit).await?))
}

/// Launches a recipe. It is on disk before the answer.
#[utoipa::path(post, path = "/launches", request_body = inline(doc::LaunchRequest),
    responses((status = 201, description = "The launch", body = inline(doc::LaunchView))))]
pub(super) async fn create(
    State(app): State<App>,
    JsonBody(request): JsonBody<LaunchRequest>,
) -> Answer<(StatusCode, Json<LaunchView>)> {
    let launch = app.engine.launch(request).await?;
    Ok((StatusCode::CREATED, Json(launch)))
}

/// Gives a launch.
#[utoipa::path(get, path = "/launches/{id}",
    params(("id" = String, Path, description = "Its id, the first digits of it, or a recipe, which means its newest launch")),
    responses((status = 200, description = "The launch", body = inline(doc::LaunchView))))]
pub(super) async fn get(
    State(app): State<App>,
    Part(name): Part<Name>,
) -> Answer<Json<LaunchView>> {
    Ok(Json(app.engine.launch_view(name.as_str()).await?))
}

/// Cancels a launch. Runs that other launches need go on.
#[utoipa::path(post, path = "/launches/{id}/cancel", params(("id" = String, Path, description = "The launch")),
    responses((status = 200, description = "The launch", body = inline(doc::LaunchView))))]
pub(super) async fn cancel(
    State(app): State<App>,
    Part(name): Part<Name>,
) -> Answer<Json<LaunchView>> {
    Ok(Json(app.engine.cancel_launch(name.as_str()).await?))
}

/// Lets a failed or cancelled launch go on where it stopped.
#[utoipa::path(post, path = "/launches/{id}/resume", params(("id" = String, Path, description = "The launch")),
    responses((status = 200, description = "The launch", body = inline(doc::LaunchView))))]
pub(super) async fn resume(
    State(app): State<App>,
    Part(name): Part<Name>,
) -> Answer<Json<LaunchView>> {
    Ok(Json(app.engine.resume_launch(name.as_str()).await?))
}
