//! The shape of a model: only what changes the arithmetic.

mod json;

use crate::error::{At, Error, Result};
use serde_json::Value;
use std::path::Path;

/// The two supported families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Learned positions, layer norm, GELU.
    Gpt2,
    /// RMS norm, rotary positions, SwiGLU, grouped-query attention.
    Llama,
}

/// What stands on top of the last hidden state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Logits over the vocabulary.
    LanguageModel,
    /// One score per position: a reward or value model (`…ForSequenceClassification` with one label).
    Score,
}

/// A checked model shape. Fields follow Llama's names where the two families differ.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// The family.
    pub architecture: Architecture,
    /// What stands on top.
    pub head: Head,
    /// Rows of the embedding.
    pub vocab_size: i64,
    /// Width of the residual stream.
    pub hidden_size: i64,
    /// Width inside the feed-forward part.
    pub intermediate_size: i64,
    /// Number of blocks.
    pub num_hidden_layers: i64,
    /// Query heads.
    pub num_attention_heads: i64,
    /// Key and value heads (GPT-2: the same as query heads).
    pub num_key_value_heads: i64,
    /// Width of one head.
    pub head_dim: i64,
    /// The longest sequence.
    pub max_position_embeddings: i64,
    /// Added to the variance in the norms.
    pub norm_eps: f64,
    /// Base of the rotary frequencies (Llama).
    pub rope_theta: f64,
    /// Whether the output matrix is the embedding.
    pub tie_word_embeddings: bool,
    /// Standard deviation of a fresh matrix.
    pub initializer_range: f64,
    /// Token that begins a text.
    pub bos_token_id: Option<i64>,
    /// Token that ends a text.
    pub eos_token_id: Option<i64>,
    /// Token that fills up rows.
    pub pad_token_id: Option<i64>,
}

impl ModelConfig {
    /// A GPT-2 language model with the family's usual settings.
    #[must_use]
    pub fn gpt2(
        vocab_size: i64,
        hidden_size: i64,
        layers: i64,
        heads: i64,
        max_positions: i64,
    ) -> Self {
        Self {
            architecture: Architecture::Gpt2,
            head: Head::LanguageModel,
            vocab_size,
            hidden_size,
            intermediate_size: hidden_size.saturating_mul(4),
            num_hidden_layers: layers,
            num_attention_heads: heads,
            num_key_value_heads: heads,
            head_dim: if heads > 0 { hidden_size / heads } else { 0 },
            max_position_embeddings: max_positions,
            norm_eps: 1e-5,
            rope_theta: 10_000.0,
            tie_word_embeddings: true,
            initializer_range: 0.02,
            bos_token_id: None,
            eos_token_id: None,
            pad_token_id: None,
        }
    }

    /// A Llama language model with the family's usual settings.
    #[must_use]
    pub fn llama(
        vocab_size: i64,
        hidden_size: i64,
        layers: i64,
        heads: i64,
        key_value_heads: i64,
    ) -> Self {
        Self {
            architecture: Architecture::Llama,
            num_key_value_heads: key_value_heads,
            norm_eps: 1e-6,
            tie_word_embeddings: false,
            max_position_embeddings: 2048,
            ..Self::gpt2(vocab_size, hidden_size, layers, heads, 2048)
        }
    }

    /// Its parameters' names and shapes.
    pub(crate) fn shapes(&self) -> Vec<(String, Vec<i64>)> {
        let parameters = super::parameters::list(self).into_iter();
        parameters
            .map(|parameter| (parameter.name, parameter.shape))
            .collect()
    }

    /// Reads `config.json` of a model folder.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        if folder.is_dir() && matches!(path.try_exists(), Ok(false)) {
            return Err(Error::not_a_model(folder));
        }
        let text = std::fs::read_to_string(&path).at(&path)?;
        let place = path.display().to_string();
        let value: Value = serde_json::from_str(&text).map_err(|error| Error::Config {
            place: place.clone(),
            field: format!("line {}", error.line()),
            problem: format!("is not valid JSON: {error}"),
        })?;
        Self::from_json(&value, &place)
    }

    /// Refuses shapes that cannot work; `place` names the configuration's origin in the error.
    pub fn validate(&self, place: &str) -> Result<()> {
        let error = |field: &str, problem: String| {
            Err(Error::Config {
                place: place.to_owned(),
                field: field.to_owned(),
                problem,
            })
        };
        for (field, value) in self.sizes() {
            if !(1..=SIZE_MAX).contains(&value) {
                return error(field, format!("is {value}; expected 1 to {SIZE_MAX}"));
            }
        }
        let (width, heads, groups) = (
            self.hidden_size,
            self.num_attention_heads,
            self.num_key_value_heads,
        );
        if self.architecture == Architecture::Gpt2 && width % heads != 0 {
            return error(
                "n_head",
                format!("is {heads}, which does not divide the width {width}"),
            );
        }
        if self.architecture == Architecture::Llama
            && self.head_dim == width / heads
            && width % heads != 0
        {
            return error(
                "num_attention_heads",
                format!("is {heads}, which does not divide the width {width}"),
            );
        }
        if heads % groups != 0 {
            return error(
                "num_key_value_heads",
                format!("is {groups}, which does not divide the {heads} query heads"),
            );
        }
        if self.architecture == Architecture::Llama && self.head_dim % 2 != 0 {
            return error(
                "head_dim",
                format!("is {}; rotary positions need an even number", self.head_dim),
            );
        }
        if !(self.norm_eps.is_finite() && self.norm_eps > 0.0) {
            return error(
                "norm epsilon",
                format!("is {}; expected a positive number", self.norm_eps),
            );
        }
        if !(self.rope_theta.is_finite() && self.rope_theta > 0.0) {
            return error(
                "rope_theta",
                format!("is {}; expected a positive number", self.rope_theta),
            );
        }
        Ok(())
    }

    fn sizes(&self) -> [(&'static str, i64); 8] {
        [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ]
    }
}

/// No dimension of a model that anyone trains comes near; keeps products of sizes within 64 bits.
const SIZE_MAX: i64 = 1 << 24;
