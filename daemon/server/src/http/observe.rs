//! Counts and times every request, and logs it.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use crate::telemetry::Telemetry;

pub(super) async fn observe(
    State(telemetry): State<Arc<Telemetry>>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let in_flight = telemetry.http().begin();
    let method = method_name(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    drop(in_flight);
    let (status, took) = (response.status().as_u16(), started.elapsed());
    telemetry.http().answered(&route, method, status, took);
    tracing::debug!(
        method,
        route,
        status,
        seconds = took.as_secs_f64(),
        "answered"
    );
    response
}

/// A client may invent methods; a label may not.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
