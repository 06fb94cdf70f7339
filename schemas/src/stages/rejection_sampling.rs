//! `rejection_sampling`: the best of K completions of each prompt, by a reward model (Llama 2, §3.2.3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sampling::check_generations;
use super::{ArtifactType, BadValue, GoldRule, InputSpec, KindSpec, Params, SamplingParams};

/// Parameters of `rejection_sampling`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RejectionSamplingParams {
    /// The row of the first prompt that is used, counted from 0.
    #[serde(default)]
    pub first_prompt: u32,
    /// Prompts to use from there on; 0 means all.
    #[serde(default)]
    pub prompts: u32,
    /// Completions of each prompt, of which the best is kept.
    pub num_generations: u32,
    /// How they are sampled.
    #[serde(flatten)]
    pub sampling: SamplingParams,
    /// The least score of a best completion that is kept; every best one is if absent.
    #[serde(default)]
    pub min_score: Option<f64>,
    /// Whether a kept completion that a `stop` text cut gets the end token, so that a model learns to end there.
    #[serde(default = "yes")]
    pub append_end: bool,
    /// A rule that measures what is kept, for the metrics alone: the reward model chooses.
    #[serde(default)]
    pub gold: Option<GoldRule>,
}

const fn yes() -> bool {
    true
}

impl Params for RejectionSamplingParams {
    const SPEC: KindSpec = KindSpec {
        name: "rejection_sampling",
        revision: 1,
        seeded: true,
        inputs: Some(&[
            InputSpec::required("policy", ArtifactType::Model),
            InputSpec::required("reward_model", ArtifactType::RewardModel),
            InputSpec::required("prompts", ArtifactType::Dataset),
            InputSpec::optional("earlier", ArtifactType::Dataset),
        ]),
        outputs: &[
            ("dataset", ArtifactType::Dataset),
            ("report", ArtifactType::Report),
        ],
    };

    fn check(&self) -> Result<(), BadValue> {
        check_generations(self.num_generations, "leaves nothing to reject (K = 1)")?;
        self.sampling.check()?;
        match self.min_score {
            Some(score) if !score.is_finite() => {
                Err(BadValue::new("min_score", "a finite number", score))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::checking::Good;
    use crate::StageKind;

    #[test]
    fn values() {
        let good = Good {
            kind: StageKind::RejectionSampling,
            params: json!({"num_generations": 8}),
        };
        good.check(json!({}), "good");
        good.check(
            json!({"min_score": -1.5, "append_end": false, "temperature": 0.8}),
            "good",
        );
        good.check(
            json!({"num_generations": 1}),
            "num_generations: expected at least 2, since one completion of a prompt leaves nothing to reject (K = 1), \
             found 1",
        );
        good.check(
            json!({"top_p": 0}),
            "top_p: expected a number from 0.000001 to 1, found 0",
        );
        good.check(
            json!({"max_new_tokens": 0}),
            "max_new_tokens: expected at least 1, found 0",
        );
        good.check(
            json!({"per_device_eval_batch_size": 0}),
            "per_device_eval_batch_size: expected at least 1, found 0",
        );
        good.check(
            json!({"num_generation": 4}),
            "num_generation: expected a known key, such as `num_generations`, found an unknown key",
        );
    }

    #[test]
    fn a_mistyped_value_of_a_shared_parameter_is_named() {
        let good = Good {
            kind: StageKind::RejectionSampling,
            params: json!({"num_generations": 8}),
        };
        good.check(
            json!({"temperature": "hot"}),
            "temperature: expected f64, found string \"hot\"",
        );
    }
}
