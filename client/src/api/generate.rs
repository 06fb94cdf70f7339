//! Completions, as they are made.

use std::collections::VecDeque;

use begat_schemas::api::{GenerateEvent, GenerateRequest};
use reqwest::Method;

use super::error::ApiError;
use super::sse::{Decoder, Message};
use super::transport::{Answer, Client};

/// A stream of completions.
pub struct GenerateStream {
    answer: Answer,
    decoder: Decoder,
    waiting: VecDeque<Message>,
}

impl Client {
    /// Completes a text or answers a conversation.
    pub async fn generate(&self, request: &GenerateRequest) -> Result<GenerateStream, ApiError> {
        let request = self
            .request(Method::POST, &["generate"])
            .body_json(request)?;
        Ok(GenerateStream {
            answer: request.stream("text/event-stream").await?,
            decoder: Decoder::default(),
            waiting: VecDeque::new(),
        })
    }
}

impl GenerateStream {
    /// The next event; none when all completions are whole.
    pub async fn next(&mut self) -> Result<Option<GenerateEvent>, ApiError> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                let event = serde_json::from_str(&message.data);
                return event
                    .map(Some)
                    .map_err(|error| self.answer.bad(error.to_string()));
            }
            let Some(bytes) = self.answer.chunk().await? else {
                return Ok(None);
            };
            let messages = self.decoder.push(bytes.as_ref());
            self.waiting
                .extend(messages.map_err(|error| self.answer.bad(error.to_string()))?);
        }
    }
}
