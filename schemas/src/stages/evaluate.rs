//! `evaluate`: what a checkpoint is worth on held-out data.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sampling::check_stop;
use super::{ArtifactType, BadValue, InputSpec, KindSpec, Params, at_least_one, in_range};

/// A rule that scores a completion against its reference from 0 to 1, without a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GoldRule {
    /// Likeness of a Rust function signature to the reference, as the demo data needs.
    RustSignature,
}

/// Parameters of `evaluate`. Held-out loss is always measured, on completions only where rows have them. With the input
/// `reward_model` completions are scored by it; with the input `reference` they are compared with that model's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvaluateParams {
    /// The row of the first prompt that is completed, counted from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub first_prompt: u32,
    /// Prompts to complete: those of the dataset from the first one on.
    #[serde(default)]
    pub prompts: u32,
    /// Longest completion, in tokens.
    #[serde(default = "max_new_tokens")]
    pub max_new_tokens: u32,
    /// Divides the logits before sampling; prompts are completed greedily besides.
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
    /// The rule that scores completions against the dataset's.
    #[serde(default)]
    pub gold: Option<GoldRule>,
    /// Longest sequence in tokens; what is longer loses its end.
    #[serde(default = "max_length")]
    pub max_length: u32,
    /// Sequences in one forward pass.
    #[serde(default = "batch")]
    pub per_device_eval_batch_size: u32,
}

/// Leaves out what the kind's first release did not know, so that its run ids stay.
fn is_zero(value: &u32) -> bool {
    *value == 0
}

const fn max_new_tokens() -> u32 {
    48
}

const fn one() -> f64 {
    1.0
}

const fn max_length() -> u32 {
    256
}

const fn batch() -> u32 {
    32
}

impl Params for EvaluateParams {
    const SPEC: KindSpec = KindSpec {
        name: "evaluate",
        revision: 1,
        seeded: true,
        inputs: Some(&[
            InputSpec {
                name: "model",
                artifact: ArtifactType::Model,
                required: true,
            },
            InputSpec {
                name: "dataset",
                artifact: ArtifactType::Dataset,
                required: true,
            },
            InputSpec::optional("reward_model", ArtifactType::RewardModel),
            InputSpec::optional("reference", ArtifactType::Model),
        ]),
        outputs: &[("report", ArtifactType::Report)],
    };

    fn check(&self) -> Result<(), BadValue> {
        in_range("temperature", self.temperature, 0.0, 100.0)?;
        in_range("top_p", self.top_p, 1e-6, 1.0)?;
        at_least_one("max_new_tokens", self.max_new_tokens.into())?;
        at_least_one("max_length", self.max_length.into())?;
        at_least_one(
            "per_device_eval_batch_size",
            self.per_device_eval_batch_size.into(),
        )?;
        if self.gold.is_some() && self.prompts == 0 {
            return Err(BadValue::new(
                "prompts",
                "at least 1, since `gold` scores completions",
                0,
            ));
        }
        check_stop(&self.stop)
    }

    fn check_inputs(&self, given: &BTreeSet<&str>) -> Result<(), BadValue> {
        let reader = ["reward_model", "reference"]
            .into_iter()
            .find(|name| given.contains(name));
        match reader {
            Some(name) if self.prompts == 0 => Err(BadValue::new(
                "prompts",
                format!("at least 1, since the input `{name}` judges completions"),
                0,
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::checking::Good;
    use crate::StageKind;

    fn good() -> Good {
        Good {
            kind: StageKind::Evaluate,
            params: json!({"prompts": 4}),
        }
    }

    #[test]
    fn what_judges_completions_needs_some() {
        let good = good();
        good.check_inputs(
            json!({}),
            &["model", "dataset", "reward_model", "reference"],
            "good",
        );
        good.check_inputs(json!({"prompts": 0}), &["model", "dataset"], "good");
        for input in ["reward_model", "reference"] {
            good.check_inputs(
                json!({"prompts": 0}),
                &["model", "dataset", input],
                &format!("prompts: expected at least 1, since the input `{input}` judges completions, found 0"),
            );
        }
    }

    #[test]
    fn the_first_prompt_is_left_out_while_it_is_the_first_row() {
        let params = |first: u32| {
            good()
                .with(&json!({"first_prompt": first}))
                .unwrap()
                .to_value()
        };
        assert_eq!(params(0).get("first_prompt"), None);
        assert_eq!(params(600)["first_prompt"], 600);
    }
}
