//! A model's shape as Hugging Face's `config.json`.
//!
//! Keys that ask for arithmetic that is not implemented here (other activations, attention biases, scaled rotary embeddings) are
//! refused by name instead of being ignored.

use super::{Architecture, Head, ModelConfig};
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};

impl ModelConfig {
    /// Reads the JSON that `transformers` writes; `place` names its origin in errors.
    pub fn from_json(value: &Value, place: &str) -> Result<Self> {
        let keys = Keys {
            map: value.as_object(),
            place,
        };
        let config = match keys.text("model_type")?.as_deref() {
            Some("gpt2") => Self::from_gpt2(&keys)?,
            Some("llama") => Self::from_llama(&keys)?,
            Some(other) => {
                return Err(keys.error(
                    "model_type",
                    format!("is \"{other}\"; supported are \"gpt2\" and \"llama\""),
                ));
            }
            None => {
                return Err(keys.error(
                    "model_type",
                    "is missing; supported are \"gpt2\" and \"llama\"",
                ));
            }
        };
        config.validate(place)?;
        Ok(config)
    }

    fn from_gpt2(keys: &Keys) -> Result<Self> {
        keys.must_be(
            "activation_function",
            &["gelu_new", "gelu_pytorch_tanh"],
            "gelu_new",
        )?;
        keys.must_be_flag("scale_attn_weights", true)?;
        keys.must_be_flag("scale_attn_by_inverse_layer_idx", false)?;
        keys.must_be_flag("add_cross_attention", false)?;
        let (hidden_size, heads) = (
            keys.integer("n_embd", Some(768))?,
            keys.integer("n_head", Some(12))?,
        );
        let base = Self::gpt2(
            keys.integer("vocab_size", Some(50_257))?,
            hidden_size,
            keys.integer("n_layer", Some(12))?,
            heads,
            keys.integer("n_positions", Some(1024))?,
        );
        Ok(Self {
            head: keys.head()?,
            intermediate_size: keys.integer("n_inner", Some(hidden_size.saturating_mul(4)))?,
            norm_eps: keys.number("layer_norm_epsilon", 1e-5)?,
            initializer_range: keys.number("initializer_range", 0.02)?,
            tie_word_embeddings: keys.flag("tie_word_embeddings", true)?,
            bos_token_id: keys.token("bos_token_id")?,
            eos_token_id: keys.token("eos_token_id")?,
            pad_token_id: keys.token("pad_token_id")?,
            ..base
        })
    }

    fn from_llama(keys: &Keys) -> Result<Self> {
        keys.must_be("hidden_act", &["silu", "swish"], "silu")?;
        keys.must_be_flag("attention_bias", false)?;
        keys.must_be_flag("mlp_bias", false)?;
        let (hidden_size, heads) = (
            keys.integer("hidden_size", Some(4096))?,
            keys.integer("num_attention_heads", Some(32))?,
        );
        let base = Self::llama(
            keys.integer("vocab_size", Some(32_000))?,
            hidden_size,
            keys.integer("num_hidden_layers", Some(32))?,
            heads,
            keys.integer("num_key_value_heads", Some(heads))?,
        );
        Ok(Self {
            head: keys.head()?,
            intermediate_size: keys.integer("intermediate_size", Some(11_008))?,
            head_dim: keys.integer("head_dim", Some(base.head_dim))?,
            max_position_embeddings: keys.integer("max_position_embeddings", Some(2048))?,
            norm_eps: keys.number("rms_norm_eps", 1e-6)?,
            rope_theta: keys.rope_theta()?,
            initializer_range: keys.number("initializer_range", 0.02)?,
            tie_word_embeddings: keys.flag("tie_word_embeddings", false)?,
            bos_token_id: keys.token("bos_token_id")?,
            eos_token_id: keys.token("eos_token_id")?,
            pad_token_id: keys.token("pad_token_id")?,
            ..base
        })
    }

    /// The `config.json` that `transformers` reads.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut map = match self.architecture {
            Architecture::Gpt2 => self.to_gpt2(),
            Architecture::Llama => self.to_llama(),
        };
        map.insert("vocab_size".into(), json!(self.vocab_size));
        map.insert("initializer_range".into(), json!(self.initializer_range));
        map.insert(
            "tie_word_embeddings".into(),
            json!(self.tie_word_embeddings),
        );
        map.insert("dtype".into(), json!("float32"));
        map.insert("bos_token_id".into(), json!(self.bos_token_id));
        map.insert("eos_token_id".into(), json!(self.eos_token_id));
        map.insert("pad_token_id".into(), json!(self.pad_token_id));
        if self.head == Head::Score {
            map.insert("num_labels".into(), json!(1));
            map.insert("id2label".into(), json!({"0": "LABEL_0"}));
            map.insert("label2id".into(), json!({"LABEL_0": 0}));
        }
        Value::Object(map)
    }

    fn to_gpt2(&self) -> Map<String, Value> {
        let class = match self.head {
            Head::LanguageModel => "GPT2LMHeadModel",
            Head::Score => "GPT2ForSequenceClassification",
        };
        object(json!({
            "architectures": [class], "model_type": "gpt2", "n_positions": self.max_position_embeddings,
            "n_embd": self.hidden_size, "n_layer": self.num_hidden_layers, "n_head": self.num_attention_heads,
            "n_inner": self.intermediate_size, "activation_function": "gelu_new",
            "layer_norm_epsilon": self.norm_eps, "scale_attn_weights": true,
            "scale_attn_by_inverse_layer_idx": false, "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0,
        }))
    }

    fn to_llama(&self) -> Map<String, Value> {
        let class = match self.head {
            Head::LanguageModel => "LlamaForCausalLM",
            Head::Score => "LlamaForSequenceClassification",
        };
        object(json!({
            "architectures": [class], "model_type": "llama", "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size, "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads, "num_key_value_heads": self.num_key_value_heads,
            "head_dim": self.head_dim, "hidden_act": "silu", "rms_norm_eps": self.norm_eps,
            "max_position_embeddings": self.max_position_embeddings, "attention_bias": false, "mlp_bias": false,
            "attention_dropout": 0.0, "rope_theta": self.rope_theta,
            "rope_parameters": {"rope_theta": self.rope_theta, "rope_type": "default"},
        }))
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Typed look-ups that name the key in their errors; `null` counts as absent.
struct Keys<'a> {
    map: Option<&'a Map<String, Value>>,
    place: &'a str,
}

impl Keys<'_> {
    fn error(&self, field: &str, problem: impl Into<String>) -> Error {
        Error::Config {
            place: self.place.to_owned(),
            field: field.to_owned(),
            problem: problem.into(),
        }
    }

    fn get(&self, field: &str) -> Option<&Value> {
        self.map?.get(field).filter(|value| !value.is_null())
    }

    fn text(&self, field: &str) -> Result<Option<String>> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        let text = value
            .as_str()
            .ok_or_else(|| self.error(field, format!("is {value}; expected a string")))?;
        Ok(Some(text.to_owned()))
    }

    fn integer(&self, field: &str, default: Option<i64>) -> Result<i64> {
        match (self.get(field), default) {
            (Some(value), _) => value
                .as_i64()
                .ok_or_else(|| self.error(field, format!("is {value}; expected an integer"))),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(self.error(field, "is missing")),
        }
    }

    fn number(&self, field: &str, default: f64) -> Result<f64> {
        let Some(value) = self.get(field) else {
            return Ok(default);
        };
        value
            .as_f64()
            .ok_or_else(|| self.error(field, format!("is {value}; expected a number")))
    }

    fn flag(&self, field: &str, default: bool) -> Result<bool> {
        let Some(value) = self.get(field) else {
            return Ok(default);
        };
        value
            .as_bool()
            .ok_or_else(|| self.error(field, format!("is {value}; expected true or false")))
    }

    /// Llama 3 lists several end tokens; the first is the one that ends a text.
    fn token(&self, field: &str) -> Result<Option<i64>> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        let first = value
            .as_array()
            .and_then(|list| list.first())
            .unwrap_or(value);
        first
            .as_i64()
            .map(Some)
            .ok_or_else(|| self.error(field, format!("is {value}; expected a token id")))
    }

    fn must_be(&self, field: &str, allowed: &[&str], default: &str) -> Result<()> {
        let found = self.text(field)?.unwrap_or_else(|| default.to_owned());
        if allowed.contains(&found.as_str()) {
            return Ok(());
        }
        Err(self.error(
            field,
            format!("is \"{found}\"; supported: {}", allowed.join(", ")),
        ))
    }

    fn must_be_flag(&self, field: &str, expected: bool) -> Result<()> {
        if self.flag(field, expected)? == expected {
            return Ok(());
        }
        Err(self.error(
            field,
            format!("is {}; only {expected} is supported", !expected),
        ))
    }

    fn head(&self) -> Result<Head> {
        let class = self
            .get("architectures")
            .and_then(|list| list.get(0))
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !class.ends_with("ForSequenceClassification") {
            return Ok(Head::LanguageModel);
        }
        let labels = self
            .get("id2label")
            .and_then(Value::as_object)
            .map_or(1, |map| map.len() as i64);
        let labels = self.integer("num_labels", Some(labels))?;
        if labels != 1 {
            return Err(self.error(
                "num_labels",
                format!("is {labels}; a reward model has one label"),
            ));
        }
        Ok(Head::Score)
    }

    /// transformers 5 nests it in `rope_parameters`, 4 has it on top and scaling apart.
    fn rope_theta(&self) -> Result<f64> {
        let default = self.number("rope_theta", 10_000.0)?;
        for field in ["rope_parameters", "rope_scaling"] {
            let Some(nested) = self.get(field) else {
                continue;
            };
            let inner = Keys {
                map: nested.as_object(),
                place: self.place,
            };
            let kind = inner
                .text("rope_type")?
                .or(inner.text("type")?)
                .unwrap_or_else(|| "default".to_owned());
            if kind != "default" {
                return Err(self.error(
                    field,
                    format!("asks for rope type \"{kind}\"; only \"default\" is supported"),
                ));
            }
            return inner.number("rope_theta", default);
        }
        Ok(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(value: Value) -> String {
        ModelConfig::from_json(&value, "config.json")
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn both_families_survive_a_round_trip() {
        let mut llama = ModelConfig::llama(64, 32, 2, 4, 2);
        llama.eos_token_id = Some(3);
        let mut reward = ModelConfig::gpt2(64, 32, 2, 4, 16);
        reward.head = Head::Score;
        for config in [llama, reward, ModelConfig::gpt2(64, 32, 2, 4, 16)] {
            assert_eq!(
                ModelConfig::from_json(&config.to_json(), "x").unwrap(),
                config
            );
        }
    }

    #[test]
    fn rope_theta_is_read_from_both_generations_of_the_format() {
        let new = json!({"model_type": "llama", "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}});
        let old = json!({"model_type": "llama", "rope_theta": 500000.0, "rope_scaling": null});
        for value in [new, old] {
            assert_eq!(
                ModelConfig::from_json(&value, "x").unwrap().rope_theta,
                500_000.0
            );
        }
    }

    #[test]
    fn impossible_shapes_are_named() {
        let gpt = |heads: i64| json!({"model_type": "gpt2", "n_embd": 100, "n_head": heads});
        assert_eq!(
            problem(gpt(3)),
            "config.json: `n_head` is 3, which does not divide the width 100"
        );
        assert!(problem(gpt(0)).contains("`num_attention_heads` is 0"));
        let llama = json!({"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 3});
        assert!(
            problem(llama)
                .contains("`num_key_value_heads` is 3, which does not divide the 4 query heads")
        );
        let scaled = json!({"model_type": "llama", "rope_parameters": {"rope_type": "yarn"}});
        assert!(problem(scaled).contains("rope type \"yarn\""));
        assert!(problem(json!({"model_type": "bert"})).contains("\"bert\""));
        assert!(
            problem(json!({"model_type": "llama", "hidden_size": "wide"}))
                .contains("expected an integer")
        );
        assert!(problem(json!([])).contains("`model_type` is missing"));
    }
}
