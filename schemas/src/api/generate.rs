use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A request to complete a text or answer a conversation. It makes no run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateRequest {
    /// The checkpoint: a ref, a run, or the digest of a tree.
    pub model: String,
    /// The text to complete; either this or `messages`.
    #[serde(default)]
    pub prompt: Option<String>,
    /// The conversation to answer, brought into text by the checkpoint's chat template.
    #[serde(default)]
    pub messages: Vec<Message>,
    /// Number of completions.
    #[serde(default = "one_completion")]
    pub n: u32,
    /// Longest completion, in tokens.
    #[serde(default = "max_new_tokens")]
    pub max_new_tokens: u32,
    /// Divides the logits; 0 takes the likeliest token always.
    #[serde(default = "one")]
    pub temperature: f64,
    /// Number of likeliest tokens to sample from; 0 means all.
    #[serde(default)]
    pub top_k: u32,
    /// Probability mass of likeliest tokens to sample from.
    #[serde(default = "one")]
    pub top_p: f64,
    /// Texts that end a completion.
    #[serde(default)]
    pub stop: Vec<String>,
    /// Seed of the random numbers.
    #[serde(default)]
    pub seed: u64,
}

const fn one_completion() -> u32 {
    1
}

const fn max_new_tokens() -> u32 {
    128
}

const fn one() -> f64 {
    1.0
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// One message of the stream that answers a [`GenerateRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum GenerateEvent {
    /// More text of a completion.
    Text {
        /// Which completion, from 0.
        index: u32,
        /// The text to append.
        text: String,
    },
    /// A completion is whole.
    Done {
        /// Which completion, from 0.
        index: u32,
        /// `stop` (the model ended it, or a stop text came) or `length`.
        finish_reason: String,
        /// Its tokens.
        tokens: u32,
    },
    /// It could not be done.
    Error {
        /// Why.
        reason: String,
    },
}
