//! `sft`: supervised fine-tuning on prompts with completions, or on conversations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ArtifactType, BadValue, InputSpec, KindSpec, OptimizationParams, Params, at_least_one, in_range,
};

/// Parameters of `sft`; the names are `trl.SFTConfig`'s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SftParams {
    /// Passes over the dataset.
    #[serde(default = "one_epoch")]
    pub num_train_epochs: f64,
    /// Longest sequence in tokens; what is longer loses its end.
    pub max_length: u32,
    /// Whether several samples share a sequence, without attention between them.
    #[serde(default)]
    pub packing: bool,
    /// Whether only completions (and assistants' turns) are learned.
    #[serde(default = "yes")]
    pub completion_only_loss: bool,
    /// Whether batches gather samples of like length.
    #[serde(default)]
    pub group_by_length: bool,
    /// How weights are updated.
    #[serde(flatten)]
    pub optimization: OptimizationParams,
}

const fn one_epoch() -> f64 {
    1.0
}

const fn yes() -> bool {
    true
}

impl Params for SftParams {
    const SPEC: KindSpec = KindSpec {
        name: "sft",
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
            InputSpec::optional("more", ArtifactType::Dataset),
        ]),
        outputs: &[("model", ArtifactType::Model)],
    };

    fn check(&self) -> Result<(), BadValue> {
        in_range("num_train_epochs", self.num_train_epochs, 1e-6, 1e6)?;
        at_least_one("max_length", self.max_length.into())?;
        self.optimization.check()
    }
}
