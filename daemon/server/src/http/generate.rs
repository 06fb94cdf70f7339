//! Completions from a checkpoint, streamed. They make no run.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::Event;
use begat_schemas::api::GenerateRequest;
use futures::{Stream, StreamExt};

use super::App;
use super::document::doc;
use super::error::{Answer, ApiError};
use super::events::{message, stream};
use super::extract::{JsonBody, Name};

/// Most completions of one request.
const COMPLETIONS_MAX: u32 = 64;

/// Completes a text or answers a conversation.
#[utoipa::path(post, path = "/generate", request_body = inline(doc::GenerateRequest),
    responses((status = 200, description = "Pieces of text as they come", content_type = "text/event-stream",
        body = inline(doc::GenerateEvent))))]
pub(super) async fn generate(
    State(app): State<App>,
    JsonBody(request): JsonBody<GenerateRequest>,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    check(&request).map_err(ApiError::bad_request)?;
    let model: Name = request.model.parse().map_err(ApiError::bad_request)?;
    let (_, folder) = app.engine.model_folder(model.as_str()).await?;
    let events = app.generator.generate(folder, request).await;
    Ok(stream(&app, events.map(|event| message(&event))))
}

/// What is wrong with a request, if something is.
fn check(request: &GenerateRequest) -> Result<(), String> {
    let found = |field: &str, expected: &str| Err(format!("`{field}`: expected {expected}"));
    let finite = |value: f64| value.is_finite() && value >= 0.0;
    if request.prompt.is_some() != request.messages.is_empty() {
        return Err("a request needs either `prompt` or `messages`".to_owned());
    }
    if !(1..=COMPLETIONS_MAX).contains(&request.n) {
        return found("n", "1 to 64");
    }
    if request.max_new_tokens == 0 {
        return found("max_new_tokens", "at least 1");
    }
    if !finite(request.temperature) {
        return found("temperature", "0 or a positive number");
    }
    if !finite(request.top_p) || request.top_p == 0.0 || request.top_p > 1.0 {
        return found("top_p", "a number above 0, at most 1");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fault(changes: Value) -> Option<String> {
        let mut request = json!({"model": "gpt/sft", "prompt": "fn "});
        let fields = changes.as_object().unwrap().clone();
        request.as_object_mut().unwrap().extend(fields);
        check(&serde_json::from_value(request).unwrap()).err()
    }

    #[test]
    fn a_request_that_cannot_be_carried_out_names_its_field() {
        assert_eq!(fault(json!({})), None);
        assert_eq!(fault(json!({"temperature": 0})), None);
        for (changes, field) in [
            (json!({"prompt": null}), "`prompt`"),
            (
                json!({"messages": [{"role": "user", "content": "hi"}]}),
                "`messages`",
            ),
            (json!({"n": 0}), "`n`"),
            (json!({"n": 65}), "`n`"),
            (json!({"max_new_tokens": 0}), "`max_new_tokens`"),
            (json!({"temperature": -1.0}), "`temperature`"),
            (json!({"top_p": 0.0}), "`top_p`"),
            (json!({"top_p": 1.5}), "`top_p`"),
        ] {
            let fault = fault(changes).unwrap();
            assert!(fault.contains(field), "{fault}");
        }
    }
}
