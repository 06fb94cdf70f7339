//! `dpo`: direct preference optimization (Rafailov et al., 2023), with the additions of Llama 3.1.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ArtifactType, BadValue, InputSpec, KindSpec, OptimizationParams, Params, at_least_one,
    check_filter, in_range,
};
use crate::Strength;

/// Parameters of `dpo`; the names are `trl.DPOConfig`'s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DpoParams {
    /// Passes over the dataset.
    #[serde(default = "one_epoch")]
    pub num_train_epochs: f64,
    /// Longest sequence in tokens, prompt and answer; a row with a longer one is dropped, counted and reported.
    pub max_length: u32,
    /// Whether a prompt that leaves its answers no room loses its left end, instead of the row being dropped.
    #[serde(default)]
    pub truncate_prompt: bool,
    /// How strongly the model is held to the reference.
    #[serde(default = "tenth")]
    pub beta: f64,
    /// Probability with which a label is taken to be the wrong way round.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Weight of the cross-entropy on chosen answers; Llama 3.1: 0.2.
    #[serde(default)]
    pub sft_loss_weight: f64,
    /// Whether the tokens of the chat template and the end token are left out of the loss (Llama 3.1).
    #[serde(default)]
    pub mask_format_tokens: bool,
    /// The strengths that are trained on; every pair if absent. Llama 3.1 leaves out the two weakest.
    #[serde(default)]
    pub strengths: Option<BTreeSet<Strength>>,
    /// Whether batches gather pairs of like length.
    #[serde(default)]
    pub group_by_length: bool,
    /// How weights are updated; a batch counts pairs.
    #[serde(flatten)]
    pub optimization: OptimizationParams,
}

const fn one_epoch() -> f64 {
    1.0
}

const fn tenth() -> f64 {
    0.1
}

impl Params for DpoParams {
    const SPEC: KindSpec = KindSpec {
        name: "dpo",
        revision: 1,
        seeded: true,
        inputs: Some(&[
            InputSpec::required("model", ArtifactType::Model),
            InputSpec::required("dataset", ArtifactType::Dataset),
            InputSpec::optional("reference_logps", ArtifactType::Dataset),
            InputSpec::optional("reference", ArtifactType::Model),
        ]),
        outputs: &[("model", ArtifactType::Model)],
    };

    fn check(&self) -> Result<(), BadValue> {
        in_range("num_train_epochs", self.num_train_epochs, 1e-6, 1e6)?;
        at_least_one("max_length", self.max_length.into())?;
        in_range("beta", self.beta, 1e-6, 1e3)?;
        if !(0.0..0.5).contains(&self.label_smoothing) {
            return Err(BadValue::new(
                "label_smoothing",
                "a number from 0 to below 0.5: at 0.5 a label says nothing",
                self.label_smoothing,
            ));
        }
        in_range("sft_loss_weight", self.sft_loss_weight, 0.0, 1e6)?;
        check_filter(self.strengths.as_ref())?;
        self.optimization.check()
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
            kind: StageKind::Dpo,
            params: json!({"max_length": 64, "per_device_train_batch_size": 8, "learning_rate": 1e-4}),
        };
        good.check(json!({}), "good");
        good.check(
            json!({"label_smoothing": 0.49, "sft_loss_weight": 0.2}),
            "good",
        );
        for smoothing in [0.5, -0.1] {
            good.check(
                json!({"label_smoothing": smoothing}),
                &format!(
                    "label_smoothing: expected a number from 0 to below 0.5: at 0.5 a label says nothing, found \
                     {smoothing}"
                ),
            );
        }
        good.check(
            json!({"beta": 0}),
            "beta: expected a number from 0.000001 to 1000, found 0",
        );
        good.check(
            json!({"sft_loss_weight": -1}),
            "sft_loss_weight: expected a number from 0 to 1000000, found -1",
        );
        good.check(
            json!({"strengths": []}),
            "strengths: expected at least one strength; leave the key out to train on every pair, found []",
        );
        good.check(
            json!({"learning_rate": 0}),
            "learning_rate: expected a number above 0, found 0",
        );
    }
}
