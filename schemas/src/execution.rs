//! How a stage's work is done, as far as that must not change its result.
//!
//! These fields stand beside a stage's parameters in a recipe, are kept on the attempt, and never enter a run id.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};
use serde::{Deserialize, Deserializer, Serialize};

use crate::stages::{BadValue, property_names};

/// Where a stage computes: `cpu`, `cuda`, or `cuda:N`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Device(String);

impl Device {
    /// The processor.
    pub fn cpu() -> Self {
        Self("cpu".to_owned())
    }

    /// Checks `text`.
    pub fn new(text: &str) -> Option<Self> {
        let known = text == "cpu"
            || text == "cuda"
            || text
                .strip_prefix("cuda:")
                .is_some_and(|n| n.parse::<u8>().is_ok());
        known.then(|| Self(text.to_owned()))
    }

    /// The device as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a GPU.
    pub fn is_cuda(&self) -> bool {
        self.0.starts_with("cuda")
    }
}

impl Default for Device {
    fn default() -> Self {
        Self::cpu()
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}`, expected `cpu`, `cuda` or `cuda:N`"))
        })
    }
}

impl JsonSchema for Device {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Device".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(cpu|cuda(:[0-9]{1,3})?)$"})
    }
}

/// Which of a stage's checkpoints are stored for good, each a tree with lineage of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// None of them.
    #[default]
    None,
    /// All of them.
    All,
    /// Those whose step is a multiple of this number.
    Every(u64),
    /// The one with the lowest value of this metric.
    Best(String),
}

/// How a stage's work is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Execution {
    /// Where it computes.
    pub device: Device,
    /// Threads of arithmetic on the processor; the daemon's own setting if absent.
    pub threads: Option<u32>,
    /// Steps from one resumable checkpoint to the next; 0 writes none.
    pub save_steps: u64,
    /// Steps from one progress event to the next.
    pub logging_steps: u64,
    /// Steps from one held-out evaluation during training to the next; 0 evaluates only at the end.
    pub eval_steps: u64,
    /// Steps from one sampled completion to the next; 0 samples none.
    pub sample_steps: u64,
    /// Whether activations are computed again in the backward pass instead of kept.
    pub gradient_checkpointing: bool,
    /// Which checkpoints are stored for good.
    pub keep: Keep,
    /// A file that describes the environment of a `command` stage; its digest is recorded.
    pub environment: Option<String>,
}

impl Default for Execution {
    fn default() -> Self {
        Self {
            device: Device::cpu(),
            threads: None,
            save_steps: 100,
            logging_steps: 10,
            eval_steps: 0,
            sample_steps: 0,
            gradient_checkpointing: false,
            keep: Keep::None,
            environment: None,
        }
    }
}

/// The most threads that a stage may ask for.
pub const THREADS_MAX: u32 = 1024;

impl Execution {
    /// The fields' names.
    pub fn keys() -> Vec<String> {
        property_names(&schema_for!(Self))
    }

    /// Whether its values can be.
    pub fn check(&self) -> Result<(), BadValue> {
        if self
            .threads
            .is_some_and(|threads| !(1..=THREADS_MAX).contains(&threads))
        {
            return Err(BadValue::new(
                "threads",
                "1 to 1024",
                self.threads.unwrap_or(0),
            ));
        }
        if self.logging_steps == 0 {
            return Err(BadValue::new("logging_steps", "at least 1", 0));
        }
        if self.keep == Keep::Every(0) {
            return Err(BadValue::new("keep.every", "at least 1", 0));
        }
        Ok(())
    }
}
