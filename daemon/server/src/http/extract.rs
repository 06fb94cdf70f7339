//! What handlers take from a request, each checked on the way in and answered with a problem if it does not fit.

use std::fmt;
use std::str::FromStr;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::error::{Answer, ApiError};
use super::problem::ProblemKind;

/// The largest JSON document that a request may hold.
pub(super) const JSON_BYTES_MAX: usize = 8 << 20;

/// The longest name, in bytes: a ref of four parts, with room for a step.
const NAME_BYTES_MAX: usize = 512;

/// The one part of a path that a route leaves open, as a value that parses from text.
pub(super) struct Part<T>(pub(super) T);

impl<S, T> FromRequestParts<S> for Part<T>
where
    S: Send + Sync,
    T: FromStr<Err: fmt::Display>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
        text.parse()
            .map(Self)
            .map_err(|error: T::Err| ApiError::bad_request(error.to_string()))
    }
}

/// What follows the question mark.
pub(super) struct Parameters<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Query::<T>::from_request_parts(parts, state)
            .await
            .map(|Query(value)| Self(value))
            .map_err(|rejection| {
                let text = rejection.body_text();
                let problem = text.strip_prefix("Failed to deserialize query string: ");
                ApiError::bad_request(format!(
                    "the request's parameters: {}",
                    problem.unwrap_or(&text)
                ))
            })
    }
}

/// A JSON document.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = read_body(request.into_body(), JSON_BYTES_MAX).await?;
        from_json(&bytes).map(Self)
    }
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let place = error.path().to_string();
        let problem = error.into_inner();
        match place.as_str() {
            "." => ApiError::bad_request(format!("the request's body: {problem}")),
            _ => ApiError::bad_request(format!("the request's body, at `{place}`: {problem}")),
        }
    })?;
    deserializer
        .end()
        .map_err(|error| ApiError::bad_request(format!("the request's body: {error}")))?;
    Ok(value)
}

/// The whole body, if it is not larger than `limit` bytes.
pub(super) async fn read_body(body: Body, limit: usize) -> Answer<Bytes> {
    to_bytes(body, limit).await.map_err(|error| {
        let source = std::error::Error::source(&error);
        match source.is_some_and(|source| source.is::<http_body_util::LengthLimitError>()) {
            true => ApiError::new(
                ProblemKind::TooLarge,
                format!("the request's body is larger than {limit} bytes"),
            ),
            false => ApiError::bad_request(format!("the request's body ended early: {error}")),
        }
    })
}

/// What a person typed to name something: a ref, a recipe, digits of a digest, a launch, `RUN.ATTEMPT`, `RUN@STEP`.
///
/// It is looked up in indexes and never becomes part of a path; that it could not be one is a second wall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte);
        let part = |part: &str| {
            part.bytes()
                .next()
                .is_some_and(|first| first.is_ascii_alphanumeric())
                && part.bytes().all(plain)
        };
        if text.len() <= NAME_BYTES_MAX && text.split('/').all(part) {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(NAME_BYTES_MAX).collect();
        Err(format!(
            "`{}` cannot name anything: expected a ref, a recipe, a launch, a run, or digits of a digest",
            shown.escape_debug()
        ))
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_people_type() {
        for text in [
            "gpt/sft", "af13", "gpt", "0193-aa", "af13.2", "af13@200", "a/b/c/d",
        ] {
            assert_eq!(text.parse::<Name>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn names_are_no_paths() {
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for text in [
            "",
            "..",
            "../etc/passwd",
            "gpt/../../etc",
            "/etc/passwd",
            "gpt//sft",
            "gpt\\sft",
            "%2e%2e%2f",
            "a b",
            "a\0b",
            ".hidden",
            &long,
        ] {
            assert!(text.parse::<Name>().is_err(), "{text:?}");
        }
    }
}
