//! `reward`: a reward model from preferences, as Llama 2 and InstructGPT train theirs.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ArtifactType, BadValue, InputSpec, KindSpec, OptimizationParams, Params, at_least_one,
    check_filter, in_range,
};
use crate::Strength;

/// What is taken off the difference of two rewards before the loss, by how much better the preferred answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RewardMargin {
    /// Nothing, as in Llama 3.1.
    #[default]
    None,
    /// 1, 2/3, 1/3 and 0 from significantly to negligibly (Llama 2, table 27).
    Small,
    /// 3, 2, 1 and 0 from significantly to negligibly (Llama 2, table 27).
    Large,
    /// What the row's `margin` says, as in TRL.
    Column,
}

/// Parameters of `reward`; the names are `trl.RewardConfig`'s. All pairs of a prompt are one element of a batch, each
/// weighted by one over their number (InstructGPT).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RewardParams {
    /// Passes over the dataset.
    #[serde(default = "one_epoch")]
    pub num_train_epochs: f64,
    /// Longest sequence in tokens, prompt and answer; a row with a longer one is dropped, counted and reported.
    pub max_length: u32,
    /// Whether a prompt that leaves its answers no room loses its left end, instead of the row being dropped.
    #[serde(default)]
    pub truncate_prompt: bool,
    /// What is taken off the difference of two rewards before the loss.
    #[serde(default)]
    pub margin: RewardMargin,
    /// Weight of the mean of (chosen + rejected)², which keeps rewards around 0.
    #[serde(default)]
    pub center_rewards_coefficient: f64,
    /// The strengths that are trained on; every pair if absent. Llama 3.1 leaves out the two weakest.
    #[serde(default)]
    pub strengths: Option<BTreeSet<Strength>>,
    /// Whether batches gather prompts of like length.
    #[serde(default)]
    pub group_by_length: bool,
    /// How weights are updated; a batch counts prompts.
    #[serde(flatten)]
    pub optimization: OptimizationParams,
}

const fn one_epoch() -> f64 {
    1.0
}

impl Params for RewardParams {
    const SPEC: KindSpec = KindSpec {
        name: "reward",
        revision: 1,
        seeded: true,
        inputs: Some(&[
            InputSpec::required("model", ArtifactType::Model),
            InputSpec::required("dataset", ArtifactType::Dataset),
            InputSpec::optional("validation", ArtifactType::Dataset),
            InputSpec::optional("demonstrations", ArtifactType::Dataset),
        ]),
        outputs: &[("reward_model", ArtifactType::RewardModel)],
    };

    fn check(&self) -> Result<(), BadValue> {
        in_range("num_train_epochs", self.num_train_epochs, 1e-6, 1e6)?;
        at_least_one("max_length", self.max_length.into())?;
        in_range(
            "center_rewards_coefficient",
            self.center_rewards_coefficient,
            0.0,
            1e6,
        )?;
        check_filter(self.strengths.as_ref())?;
        self.optimization.check()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::checking::Good;
    use crate::StageKind;

    fn good() -> Good {
        Good {
            kind: StageKind::Reward,
            params: json!({"max_length": 64, "per_device_train_batch_size": 8, "learning_rate": 1e-3}),
        }
    }

    #[test]
    fn values() {
        let good = good();
        good.check(json!({}), "good");
        good.check(json!({"margin": "small", "strengths": ["better"]}), "good");
        good.check(
            json!({"margin": "medium"}),
            "margin: expected one of `none`, `small`, `large`, `column`, found unknown variant `medium`",
        );
        good.check(
            json!({"center_rewards_coefficient": -0.1}),
            "center_rewards_coefficient: expected a number from 0 to 1000000, found -0.1",
        );
        good.check(
            json!({"strengths": []}),
            "strengths: expected at least one strength; leave the key out to train on every pair, found []",
        );
        good.check(
            json!({"strengths": ["best"]}),
            "strengths[0]: expected one of `negligibly`, `slightly`, `better`, `significantly`, found unknown variant \
             `best`",
        );
        good.check(
            json!({"num_train_epochs": 0}),
            "num_train_epochs: expected a number from 0.000001 to 1000000, found 0",
        );
        good.check(
            json!({"max_length": null}),
            "max_length: expected a value, found nothing",
        );
    }

    #[test]
    fn the_order_of_strengths_is_no_part_of_the_parameters() {
        let good = good();
        let one = good
            .with(&json!({"strengths": ["better", "significantly"]}))
            .unwrap();
        let other = good
            .with(&json!({"strengths": ["significantly", "better"]}))
            .unwrap();
        assert_eq!(one.to_value(), other.to_value());
    }
}
