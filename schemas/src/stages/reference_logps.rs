//! `reference_logps`: the reference model's log-probabilities of preferences, once.
//!
//! Being a stage of its own, it is found by its hash when a second `dpo` trains on the same data from the same model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ArtifactType, BadValue, Dtype, InputSpec, KindSpec, Params, at_least_one};

/// Parameters of `reference_logps`; all but the batch must be those of the `dpo` stage that takes its output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReferenceLogpsParams {
    /// Longest sequence in tokens, prompt and answer; a row with a longer one is dropped, counted and reported.
    pub max_length: u32,
    /// Whether a prompt that leaves its answers no room loses its left end, instead of the row being dropped.
    #[serde(default)]
    pub truncate_prompt: bool,
    /// Whether the tokens of the chat template and the end token are left out of the sums.
    #[serde(default)]
    pub mask_format_tokens: bool,
    /// Sequences in one forward pass.
    #[serde(default = "batch")]
    pub per_device_eval_batch_size: u32,
    /// Number format of the arithmetic.
    #[serde(default)]
    pub dtype: Dtype,
}

const fn batch() -> u32 {
    32
}

impl Params for ReferenceLogpsParams {
    const SPEC: KindSpec = KindSpec {
        name: "reference_logps",
        revision: 1,
        seeded: false,
        inputs: Some(&[
            InputSpec::required("model", ArtifactType::Model),
            InputSpec::required("dataset", ArtifactType::Dataset),
        ]),
        outputs: &[("logps", ArtifactType::Dataset)],
    };

    fn check(&self) -> Result<(), BadValue> {
        at_least_one("max_length", self.max_length.into())?;
        at_least_one(
            "per_device_eval_batch_size",
            self.per_device_eval_batch_size.into(),
        )
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
            kind: StageKind::ReferenceLogps,
            params: json!({"max_length": 64}),
        };
        good.check(json!({}), "good");
        good.check(
            json!({"max_length": 0}),
            "max_length: expected at least 1, found 0",
        );
        good.check(
            json!({"per_device_eval_batch_size": 0}),
            "per_device_eval_batch_size: expected at least 1, found 0",
        );
        good.check(
            json!({"dtype": "float16"}),
            "dtype: expected `float32` or `bfloat16`, found unknown variant `float16`",
        );
    }
}
