//! How completions are sampled, by every kind that keeps what it samples.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BadValue, at_least_one, in_range};

/// How a policy's completions are drawn; the names are `transformers.GenerationConfig`'s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SamplingParams {
    /// Longest completion, in tokens.
    #[serde(default = "max_new_tokens")]
    pub max_new_tokens: u32,
    /// Divides the logits before sampling.
    #[serde(default = "one")]
    pub temperature: f64,
    /// Number of likeliest tokens to sample from; 0 means all.
    #[serde(default)]
    pub top_k: u32,
    /// Probability mass of likeliest tokens to sample from.
    #[serde(default = "one")]
    pub top_p: f64,
    /// Texts that end a completion where they begin to appear.
    #[serde(default)]
    pub stop: Vec<String>,
    /// Sequences sampled at once.
    #[serde(default = "batch")]
    pub per_device_eval_batch_size: u32,
}

const fn max_new_tokens() -> u32 {
    48
}

const fn one() -> f64 {
    1.0
}

const fn batch() -> u32 {
    32
}

impl SamplingParams {
    pub(super) fn check(&self) -> Result<(), BadValue> {
        at_least_one("max_new_tokens", self.max_new_tokens.into())?;
        check_drawing(self.temperature, self.top_p)?;
        check_stop(&self.stop)?;
        at_least_one(
            "per_device_eval_batch_size",
            self.per_device_eval_batch_size.into(),
        )
    }
}

/// Several samples of one prompt must be able to differ, which at temperature 0 they are not.
pub(super) fn check_drawing(temperature: f64, top_p: f64) -> Result<(), BadValue> {
    if !(temperature > 0.0 && temperature <= 100.0) {
        return Err(BadValue::new(
            "temperature",
            "a number above 0 and at most 100: at 0 all samples of a prompt would be the same",
            temperature,
        ));
    }
    in_range("top_p", top_p, 1e-6, 1.0)
}

pub(super) fn check_stop(stop: &[String]) -> Result<(), BadValue> {
    if stop.iter().any(String::is_empty) {
        return Err(BadValue::new("stop", "no empty text", "\"\""));
    }
    Ok(())
}

/// `purpose` ends the sentence "one completion has nothing to …".
pub(super) fn check_generations(num_generations: u32, purpose: &str) -> Result<(), BadValue> {
    if num_generations >= 2 {
        return Ok(());
    }
    Err(BadValue::new(
        "num_generations",
        format!("at least 2, since one completion of a prompt {purpose}"),
        num_generations,
    ))
}
