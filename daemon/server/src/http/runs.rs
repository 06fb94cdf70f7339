//! Runs: executions of derivations, their curves and their logs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use begat_ledger::RunFilter;
use begat_schemas::api::{LogChunk, MetricsView, RunDetail, RunView};
use begat_schemas::{RecipeName, RunState, TreeDigest};
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::document::doc;
use super::error::Answer;
use super::extract::{Name, Parameters, Part};
use crate::engine::{LogQuery, MetricsQuery};

/// Which runs to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunsQuery {
    /// Only those that some launch of this recipe uses.
    #[param(value_type = Option<String>)]
    recipe: Option<RecipeName>,
    /// Only those in this state, such as `running` or `succeeded`.
    #[param(value_type = Option<String>)]
    state: Option<RunState>,
    /// Only those that took this tree as an input; all 64 digits.
    #[param(value_type = Option<String>)]
    input: Option<TreeDigest>,
    /// At most so many; all if absent.
    limit: Option<usize>,
}

/// Which part of a run's curves to give.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CurvesQuery {
    /// The attempt's number; the one that counts if absent.
    attempt: Option<u32>,
    /// The first step.
    from: Option<u64>,
    /// The last step.
    to: Option<u64>,
    /// Most points of a curve; all if absent.
    points: Option<usize>,
    /// Names of metrics, with commas between them; all if absent.
    keys: Option<String>,
}

/// Which part of a run's log to give.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LinesQuery {
    /// The attempt's number; the newest if absent.
    attempt: Option<u32>,
    /// Where to begin, in bytes.
    #[serde(default)]
    offset: u64,
    /// At most so many bytes; a mebibyte if absent, and never more.
    limit: Option<usize>,
}

/// Lists runs, newest first.
#[utoipa::path(get, path = "/runs", params(RunsQuery),
    responses((status = 200, description = "The runs", body = inline(doc::RunViewList))))]
pub(super) async fn list(
    State(app): State<App>,
    Parameters(query): Parameters<RunsQuery>,
) -> Answer<Json<Vec<RunView>>> {
    let filter = RunFilter {
        state: query.state,
        recipe: query.recipe,
        input: query.input,
        limit: query.limit,
    };
    Ok(Json(app.engine.runs(filter).await?))
}

/// Gives a run with all that is known of it.
#[utoipa::path(get, path = "/runs/{id}",
    params(("id" = String, Path, description = "A run, or what one run made: a ref or a tree; the first digits will do")),
    responses((status = 200, description = "The run", body = inline(doc::RunDetail))))]
pub(super) async fn get(State(app): State<App>, Part(name): Part<Name>) -> Answer<Json<RunDetail>> {
    Ok(Json(app.engine.run(name.as_str()).await?))
}

/// Forgets a finished run that no other needs.
#[utoipa::path(delete, path = "/runs/{id}", params(("id" = String, Path, description = "The run")),
    responses((status = 204, description = "It is forgotten")))]
pub(super) async fn remove(State(app): State<App>, Part(name): Part<Name>) -> Answer<StatusCode> {
    app.engine.remove_run(name.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Cancels a run.
#[utoipa::path(post, path = "/runs/{id}/cancel", params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "The run", body = inline(doc::RunDetail))))]
pub(super) async fn cancel(
    State(app): State<App>,
    Part(name): Part<Name>,
) -> Answer<Json<RunDetail>> {
    Ok(Json(app.engine.cancel_run(name.as_str()).await?))
}

/// Lets a failed or cancelled run go on from its last checkpoint.
#[utoipa::path(post, path = "/runs/{id}/resume", params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "The run", body = inline(doc::RunDetail))))]
pub(super) async fn resume(
    State(app): State<App>,
    Part(name): Part<Name>,
) -> Answer<Json<RunDetail>> {
    Ok(Json(app.engine.resume_run(name.as_str()).await?))
}

/// Gives a run's curves, thinned to what can be drawn.
#[utoipa::path(get, path = "/runs/{id}/metrics", params(("id" = String, Path, description = "The run"), CurvesQuery),
    responses((status = 200, description = "Its curves", body = inline(doc::MetricsView))))]
pub(super) async fn metrics(
    State(app): State<App>,
    Part(name): Part<Name>,
    Parameters(query): Parameters<CurvesQuery>,
) -> Answer<Json<MetricsView>> {
    let keys = query
        .keys
        .map(|keys| keys.split(',').map(|key| key.trim().to_owned()).collect());
    let query = MetricsQuery {
        attempt: query.attempt,
        from: query.from,
        to: query.to,
        points: query.points,
        keys,
    };
    Ok(Json(app.engine.metrics(name.as_str(), query).await?))
}

/// Gives a piece of what a stage wrote to its standard error.
#[utoipa::path(get, path = "/runs/{id}/log", params(("id" = String, Path, description = "The run"), LinesQuery),
    responses((status = 200, description = "A piece of its log", body = inline(doc::LogChunk))))]
pub(super) async fn log(
    State(app): State<App>,
    Part(name): Part<Name>,
    Parameters(query): Parameters<LinesQuery>,
) -> Answer<Json<LogChunk>> {
    let query = LogQuery {
        attempt: query.attempt,
        offset: query.offset,
        limit: query.limit,
    };
    Ok(Json(app.engine.log(name.as_str(), query).await?))
}
