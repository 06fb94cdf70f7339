//! `pretrain`: next-token prediction on packed documents.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tokenizer::text_field;
use super::{
    ArtifactType, BadValue, InputSpec, KindSpec, OptimizationParams, Params, at_least_one,
};
use crate::ModelConfig;

/// Parameters of `pretrain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PretrainParams {
    /// The model's shape; the recipe's `model` if the stage names none.
    pub model: ModelConfig,
    /// Number of updates.
    pub max_steps: u64,
    /// Tokens in one sequence.
    pub max_length: u32,
    /// The field of a row that holds its text.
    #[serde(default = "text_field")]
    pub dataset_text_field: String,
    /// How weights are updated.
    #[serde(flatten)]
    pub optimization: OptimizationParams,
}

impl Params for PretrainParams {
    const SPEC: KindSpec = KindSpec {
        name: "pretrain",
        revision: 1,
        seeded: true,
        inputs: Some(&[
            InputSpec {
                name: "corpus",
                artifact: ArtifactType::Dataset,
                required: true,
            },
            InputSpec {
                name: "tokenizer",
                artifact: ArtifactType::Tokenizer,
                required: true,
            },
        ]),
        outputs: &[("model", ArtifactType::Model)],
    };

    fn check(&self) -> Result<(), BadValue> {
        self.model.check().map_err(|error| error.below("model"))?;
        at_least_one("max_steps", self.max_steps)?;
        at_least_one("max_length", self.max_length.into())?;
        if self.max_length > self.model.context_length() {
            return Err(BadValue::new(
                "max_length",
                format!(
                    "at most the model's context of {} tokens",
                    self.model.context_length()
                ),
                self.max_length,
            ));
        }
        self.optimization.check()
    }
}
