//! The HTTP API: one file a resource, over an [`Engine`] that knows nothing of HTTP.
//!
//! The daemon opens no path that a request names: what comes in is digests, names and bytes, each a type that checks
//! itself. [`routes`] is the one list of what there is, and the OpenAPI document is made from it.

mod access;
mod blobs;
mod care;
mod document;
mod endpoint;
mod error;
mod events;
mod extract;
mod generate;
mod health;
mod launches;
mod lineage;
mod listen;
mod metrics;
mod names;
mod observe;
mod peer;
mod problem;
mod refs;
mod reproductions;
mod runs;
mod serve;
mod token;
mod trees;
mod version;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::access::Access;
use crate::engine::Engine;
use crate::generate::Generator;

pub use listen::{ListenError, Listeners, bind_socket, bind_tcp, check_address};
pub use serve::{ServeError, serve};
pub use token::{Token, TokenError};

/// What handlers work with.
#[derive(Clone)]
pub(crate) struct App {
    engine: Engine,
    generator: Arc<Generator>,
    /// Where it listens on TCP, if it does.
    tcp: Option<SocketAddr>,
    /// Ends the streams that would otherwise keep a stopping daemon alive.
    stopping: CancellationToken,
}

/// Every route.
fn routes() -> OpenApiRouter<App> {
    let api = OpenApiRouter::new()
        .routes(routes!(version::version))
        .routes(routes!(version::openapi))
        .routes(routes!(blobs::missing))
        .routes(routes!(blobs::get, blobs::put))
        .routes(routes!(trees::add))
        .routes(routes!(trees::get))
        .routes(routes!(names::resolve))
        .routes(routes!(refs::list))
        .routes(routes!(refs::put, refs::delete))
        .routes(routes!(refs::history))
        .routes(routes!(launches::plan))
        .routes(routes!(launches::list, launches::create))
        .routes(routes!(launches::get))
        .routes(routes!(launches::cancel))
        .routes(routes!(launches::resume))
        .routes(routes!(runs::list))
        .routes(routes!(runs::get, runs::remove))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::resume))
        .routes(routes!(runs::metrics))
        .routes(routes!(runs::log))
        .routes(routes!(events::follow))
        .routes(routes!(lineage::get))
        .routes(routes!(reproductions::create))
        .routes(routes!(reproductions::get))
        .routes(routes!(generate::generate))
        .routes(routes!(care::fsck))
        .routes(routes!(care::gc))
        .routes(routes!(care::du))
        .routes(routes!(care::usage))
        .routes(routes!(metrics::discovery));
    OpenApiRouter::new()
        .nest("/api/v1", api)
        .routes(routes!(metrics::metrics))
        .routes(routes!(health::healthy))
        .routes(routes!(health::ready))
}

/// The OpenAPI document, as `schemas/json/openapi.json` holds it, but for the newline at its end.
pub fn openapi_json() -> String {
    document::render(described())
}

fn described() -> OpenApi {
    routes().split_for_parts().1
}

/// The routes with everything that surrounds them, from the inside outwards: who may ask, what is counted, and what a
/// panic becomes.
fn router(app: App, access: Arc<Access>) -> Router {
    let (router, _) = routes().split_for_parts();
    router
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(access, access::check))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn_with_state(
            app.engine.telemetry().clone(),
            observe::observe,
        ))
        .layer(map_response(harmless))
        .with_state(app)
}

/// Should an answer ever be opened by a browser, then nothing in it runs, and nothing is guessed of what it is.
async fn harmless(mut response: Response) -> Response {
    let fixed: [(HeaderName, &str); 2] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ];
    let headers = response.headers_mut();
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
