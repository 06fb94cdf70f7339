//! The shape of a model, in the words of Hugging Face's `config.json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stages::BadValue;

/// A model's architecture and sizes. The vocabulary's size comes from the tokenizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "model_type", rename_all = "snake_case")]
pub enum ModelConfig {
    /// GPT-2: learned positions, layer norm, GELU, as many key heads as query heads.
    Gpt2(Gpt2Config),
    /// Llama: rotary positions, RMS norm, SwiGLU, grouped-query attention.
    Llama(LlamaConfig),
}

/// The sizes of a GPT-2 model, named as `transformers.GPT2Config` names them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gpt2Config {
    /// Width of the residual stream.
    pub n_embd: u32,
    /// Number of layers.
    pub n_layer: u32,
    /// Number of attention heads.
    pub n_head: u32,
    /// Width of the feed-forward layer; four times `n_embd` if absent.
    #[serde(default)]
    pub n_inner: Option<u32>,
    /// Longest sequence, in tokens.
    pub n_positions: u32,
    /// Added to the variance in layer norm.
    #[serde(default = "default_epsilon")]
    pub layer_norm_epsilon: f64,
    /// Standard deviation of the initial weights.
    #[serde(default = "default_initializer_range")]
    pub initializer_range: f64,
    /// Whether the output layer is the transposed embedding.
    #[serde(default = "yes")]
    pub tie_word_embeddings: bool,
}

/// The sizes of a Llama model, named as `transformers.LlamaConfig` names them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LlamaConfig {
    /// Width of the residual stream.
    pub hidden_size: u32,
    /// Number of layers.
    pub num_hidden_layers: u32,
    /// Number of query heads.
    pub num_attention_heads: u32,
    /// Number of key and value heads; as many as query heads if absent.
    #[serde(default)]
    pub num_key_value_heads: Option<u32>,
    /// Width of the feed-forward layer.
    pub intermediate_size: u32,
    /// Longest sequence, in tokens.
    pub max_position_embeddings: u32,
    /// Base of the rotary frequencies.
    #[serde(default = "default_rope_theta")]
    pub rope_theta: f64,
    /// Added to the mean square in RMS norm.
    #[serde(default = "default_epsilon")]
    pub rms_norm_eps: f64,
    /// Standard deviation of the initial weights.
    #[serde(default = "default_initializer_range")]
    pub initializer_range: f64,
    /// Whether the output layer is the transposed embedding.
    #[serde(default = "yes")]
    pub tie_word_embeddings: bool,
}

const fn default_epsilon() -> f64 {
    1e-5
}

const fn default_initializer_range() -> f64 {
    0.02
}

const fn default_rope_theta() -> f64 {
    10_000.0
}

const fn yes() -> bool {
    true
}

/// The largest value of any size of a model.
pub const MODEL_SIZE_MAX: u32 = 1 << 20;

impl ModelConfig {
    /// Whether a model of this shape can exist.
    pub fn check(&self) -> Result<(), BadValue> {
        match self {
            Self::Gpt2(config) => config.check(),
            Self::Llama(config) => config.check(),
        }
    }

    /// Longest sequence that the model takes, in tokens.
    pub fn context_length(&self) -> u32 {
        match self {
            Self::Gpt2(config) => config.n_positions,
            Self::Llama(config) => config.max_position_embeddings,
        }
    }
}

impl Gpt2Config {
    fn check(&self) -> Result<(), BadValue> {
        sizes(&[
            ("n_embd", self.n_embd),
            ("n_layer", self.n_layer),
            ("n_head", self.n_head),
            ("n_inner", self.n_inner.unwrap_or(1)),
            ("n_positions", self.n_positions),
        ])?;
        divides("n_head", self.n_head, "n_embd", self.n_embd)?;
        positive("layer_norm_epsilon", self.layer_norm_epsilon)?;
        positive("initializer_range", self.initializer_range)
    }
}

impl LlamaConfig {
    fn check(&self) -> Result<(), BadValue> {
        let heads = self.num_attention_heads;
        let key_heads = self.num_key_value_heads.unwrap_or(heads);
        sizes(&[
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", heads),
            ("num_key_value_heads", key_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
        ])?;
        divides(
            "num_attention_heads",
            heads,
            "hidden_size",
            self.hidden_size,
        )?;
        divides(
            "num_key_value_heads",
            key_heads,
            "num_attention_heads",
            heads,
        )?;
        if !(self.hidden_size / heads).is_multiple_of(2) {
            return Err(BadValue::new(
                "num_attention_heads",
                "a head width that is even, as rotary positions need",
                format!(
                    "{} / {heads} = {}",
                    self.hidden_size,
                    self.hidden_size / heads
                ),
            ));
        }
        positive("rope_theta", self.rope_theta)?;
        positive("rms_norm_eps", self.rms_norm_eps)?;
        positive("initializer_range", self.initializer_range)
    }
}

fn sizes(values: &[(&'static str, u32)]) -> Result<(), BadValue> {
    values
        .iter()
        .find(|(_, value)| !(1..=MODEL_SIZE_MAX).contains(value))
        .map_or(Ok(()), |(key, value)| {
            Err(BadValue::new(*key, "a size from 1 to 1048576", value))
        })
}

fn divides(key: &'static str, part: u32, of: &'static str, whole: u32) -> Result<(), BadValue> {
    if whole.is_multiple_of(part) {
        Ok(())
    } else {
        Err(BadValue::new(
            key,
            format!("a divisor of {of} = {whole}"),
            part,
        ))
    }
}

fn positive(key: &'static str, value: f64) -> Result<(), BadValue> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(BadValue::new(key, "a positive number", value))
    }
}
