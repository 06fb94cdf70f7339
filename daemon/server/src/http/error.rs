//! What an error of the engine, or of the request itself, looks like to a client, and what of it goes to the log.
//!
//! A client gets a kind that programs match on, one sentence with the facts and, where there is one, a hint. The log gets
//! what only the daemon's keeper can do something about.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use begat_schemas::api::{Candidate, Problem};

use super::problem::ProblemKind;
use crate::engine::EngineError;

/// An error on its way to a client.
#[derive(Debug)]
pub(super) struct ApiError {
    kind: ProblemKind,
    status: StatusCode,
    detail: String,
    hint: Option<String>,
    candidates: Vec<Candidate>,
}

/// What handlers return.
pub(super) type Answer<T> = Result<T, ApiError>;

impl ApiError {
    pub(super) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            status: kind.status(),
            detail: detail.into(),
            hint: None,
            candidates: Vec::new(),
        }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::BadRequest, detail)
    }

    /// The same with a status that HTTP has a better word for.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn problem(&self) -> Problem {
        Problem {
            kind: self.kind.name().to_owned(),
            title: self.kind.title().to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            hint: self.hint.clone(),
            candidates: self.candidates.clone(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::error!(kind = self.kind.name(), "{}", self.detail);
        } else {
            tracing::debug!(kind = self.kind.name(), "{}", self.detail);
        }
        let mut response = (self.status, Json(self.problem())).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.kind == ProblemKind::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let mut answer = Self::new(ProblemKind::named(error.kind()), error.to_string());
        answer.hint = hint(&error);
        if let EngineError::Ambiguous { candidates, .. } = error {
            answer.candidates = candidates;
        }
        answer
    }
}

/// What to do about it; the engine only states the facts.
fn hint(error: &EngineError) -> Option<String> {
    let hint = match error {
        EngineError::NotFound {
            near: Some(near), ..
        }
        | EngineError::BadRecipe {
            near: Some(near), ..
        } => return Some(format!("did you mean `{near}`?")),
        EngineError::Ambiguous { .. } => "give more digits, or one of the candidates' full names",
        EngineError::Busy { .. } => "wait until the runs have ended, or cancel them",
        EngineError::Corrupt { .. } => "`begat fsck --read-data` lists all that is damaged",
        EngineError::ReadOnly { .. } => {
            "the disk failed to make something durable; see the log, then start the daemon again"
        }
        EngineError::DiskFull { .. } => "free some space: `begat gc` removes what nothing leads to",
        EngineError::StageProgram { .. } => {
            "install `begat-stage` beside `begatd`, or name it in begatd.toml"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// A request that no route matches.
pub(super) async fn no_route(uri: axum::http::Uri) -> ApiError {
    ApiError::new(
        ProblemKind::NotFound,
        format!("the API has no route `{}`", uri.path()),
    )
    .with_hint("GET /api/v1/openapi.json lists all routes")
}

/// A request whose route has no such method.
pub(super) async fn no_method(method: axum::http::Method, uri: axum::http::Uri) -> ApiError {
    ApiError::bad_request(format!("the route `{}` has no {method}", uri.path()))
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
        .with_hint("GET /api/v1/openapi.json lists all routes")
}

/// What a handler's panic is answered with. The panic itself is in the log already.
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::new(
        ProblemKind::Internal,
        "the daemon met a case that it takes to be impossible; its log says where",
    )
    .into_response()
}
