//! Whether the daemon lives, and whether it can do its work.

use axum::extract::State;
use axum::http::StatusCode;

use super::App;

/// Whether the daemon lives: it answers.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "It lives", content_type = "text/plain")))]
pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

/// Whether the daemon can take and keep work.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, description = "It can", content_type = "text/plain"),
    (status = 503, description = "It cannot; the body says why", content_type = "text/plain")))]
pub(super) async fn ready(State(app): State<App>) -> (StatusCode, String) {
    match app.engine.is_ready() {
        _ if app.stopping.is_cancelled() => {
            (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned())
        }
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}
