//! What every stage that updates weights may be told.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BadValue, above_zero, at_least_one, in_range};

/// The number format of the model's arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// 32-bit floats throughout.
    #[default]
    Float32,
    /// bfloat16 in the layers, over 32-bit master weights.
    Bfloat16,
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Float32 => "float32",
            Self::Bfloat16 => "bfloat16",
        })
    }
}

/// How the learning rate moves after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheduler {
    /// A half cosine down to `min_lr_rate` times the peak.
    #[default]
    Cosine,
    /// A straight line down to `min_lr_rate` times the peak.
    Linear,
    /// The peak throughout.
    Constant,
}

/// AdamW (Loshchilov and Hutter, 2019) with a learning-rate schedule; the names are `transformers.TrainingArguments`'.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OptimizationParams {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay, on matrices only.
    #[serde(default)]
    pub weight_decay: f64,
    /// Decay of the first moment.
    #[serde(default = "beta1")]
    pub adam_beta1: f64,
    /// Decay of the second moment.
    #[serde(default = "beta2")]
    pub adam_beta2: f64,
    /// Added to the root of the second moment.
    #[serde(default = "epsilon")]
    pub adam_epsilon: f64,
    /// Largest norm of the gradient over all parameters; a larger one is scaled down to it.
    #[serde(default = "one")]
    pub max_grad_norm: f64,
    /// The shape of the schedule after the warm-up.
    #[serde(default)]
    pub lr_scheduler_type: Scheduler,
    /// Part of all steps in which the learning rate rises from 0 to its peak.
    #[serde(default)]
    pub warmup_ratio: f64,
    /// Where the schedule ends, as a part of the peak.
    #[serde(default = "tenth")]
    pub min_lr_rate: f64,
    /// Sequences in one forward pass.
    pub per_device_train_batch_size: u32,
    /// Forward passes whose gradients make one update.
    #[serde(default = "one_pass")]
    pub gradient_accumulation_steps: u32,
    /// Number format of the arithmetic.
    #[serde(default)]
    pub dtype: Dtype,
    /// Probability with which a residual or embedding value is dropped.
    #[serde(default)]
    pub dropout: f64,
}

const fn beta1() -> f64 {
    0.9
}

const fn beta2() -> f64 {
    0.95
}

const fn epsilon() -> f64 {
    1e-8
}

const fn one() -> f64 {
    1.0
}

const fn tenth() -> f64 {
    0.1
}

const fn one_pass() -> u32 {
    1
}

impl OptimizationParams {
    pub(super) fn check(&self) -> Result<(), BadValue> {
        above_zero("learning_rate", self.learning_rate)?;
        in_range("weight_decay", self.weight_decay, 0.0, 1.0)?;
        in_range("adam_beta1", self.adam_beta1, 0.0, 0.999_999)?;
        in_range("adam_beta2", self.adam_beta2, 0.0, 0.999_999_9)?;
        in_range("adam_epsilon", self.adam_epsilon, 1e-20, 1.0)?;
        in_range("max_grad_norm", self.max_grad_norm, 1e-6, 1e9)?;
        in_range("warmup_ratio", self.warmup_ratio, 0.0, 1.0)?;
        in_range("min_lr_rate", self.min_lr_rate, 0.0, 1.0)?;
        in_range("dropout", self.dropout, 0.0, 0.95)?;
        at_least_one(
            "per_device_train_batch_size",
            self.per_device_train_batch_size.into(),
        )?;
        at_least_one(
            "gradient_accumulation_steps",
            self.gradient_accumulation_steps.into(),
        )
    }
}
