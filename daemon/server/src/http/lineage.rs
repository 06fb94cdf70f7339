//! Who begat whom.

use axum::Json;
use axum::extract::State;
use begat_schemas::api::Lineage;

use super::App;
use super::document::doc;
use super::error::Answer;
use super::extract::Parameters;
use super::names::NameQuery;

/// Gives an object's ancestry, from it upwards to everything it came from.
#[utoipa::path(get, path = "/lineage", params(NameQuery),
    responses((status = 200, description = "Its ancestry", body = inline(doc::Lineage))))]
pub(super) async fn get(
    State(app): State<App>,
    Parameters(query): Parameters<NameQuery>,
) -> Answer<Json<Lineage>> {
    Ok(Json(app.engine.lineage(query.name.as_str()).await?))
}
