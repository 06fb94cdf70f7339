//! What is said over the pipes: one JSON object a line, each with the number of the request that it belongs to.

use std::path::PathBuf;

use begat_schemas::api::{GenerateEvent, GenerateRequest};
use serde::{Deserialize, Serialize};

/// Asks for completions.
#[derive(Debug, Serialize)]
pub(super) struct Ask {
    pub(super) id: u64,
    /// The folder of the checkpoint.
    pub(super) model_dir: PathBuf,
    #[serde(flatten)]
    pub(super) request: GenerateRequest,
}

/// Asks to stop working on a request.
#[derive(Debug, Serialize)]
pub(super) struct Cancel {
    pub(super) id: u64,
    pub(super) cancel: bool,
}

/// A piece of an answer.
#[derive(Debug, Deserialize)]
pub(super) struct Reply {
    pub(super) id: u64,
    #[serde(flatten)]
    pub(super) event: GenerateEvent,
}

/// A value as a line.
pub(super) fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("requests are made of texts and numbers");
    line.push(b'\n');
    line
}

/// How much of an answer is still to come: every completion ends once, an error ends all.
#[derive(Debug)]
pub(super) struct Remaining(u32);

impl Remaining {
    pub(super) fn of(request: &GenerateRequest) -> Self {
        Self(request.n)
    }

    /// Whether `event` was the last.
    pub(super) fn ends_with(&mut self, event: &GenerateEvent) -> bool {
        match event {
            GenerateEvent::Text { .. } => false,
            GenerateEvent::Done { .. } => {
                self.0 = self.0.saturating_sub(1);
                self.0 == 0
            }
            GenerateEvent::Error { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request() -> GenerateRequest {
        serde_json::from_value(json!({"model": "gpt/sft", "prompt": "fn ", "n": 2})).unwrap()
    }

    #[test]
    fn a_request_is_one_flat_object() {
        let ask = Ask {
            id: 7,
            model_dir: PathBuf::from("/data/cache/ab"),
            request: request(),
        };
        let line = line(&ask);
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let value: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["id"], 7);
        assert_eq!(value["model_dir"], "/data/cache/ab");
        assert_eq!(value["prompt"], "fn ");
        assert_eq!(value["max_new_tokens"], 128);
    }

    #[test]
    fn an_answer_ends_with_its_last_completion_or_an_error() {
        let done = |index| -> Reply {
            serde_json::from_value(
                json!({"id": 7, "type": "done", "index": index, "finish_reason": "stop", "tokens": 3}),
            )
            .unwrap()
        };
        let mut remaining = Remaining::of(&request());
        assert!(!remaining.ends_with(&done(1).event));
        assert!(remaining.ends_with(&done(0).event));
        let error = GenerateEvent::Error {
            reason: String::new(),
        };
        assert!(Remaining::of(&request()).ends_with(&error));
    }
}
