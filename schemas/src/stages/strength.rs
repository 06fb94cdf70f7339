//! How much better one answer is than another, as Llama 2's annotators said it (Touvron et al., 2023, §3.2.1).

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::BadValue;

/// By how much the preferred answer of a pair is better, the most first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Significantly better.
    Significantly,
    /// Better.
    Better,
    /// Slightly better.
    Slightly,
    /// Negligibly better, or unsure.
    Negligibly,
}

impl Strength {
    /// Every strength, the greatest first.
    pub const ALL: [Self; 4] = [
        Self::Significantly,
        Self::Better,
        Self::Slightly,
        Self::Negligibly,
    ];

    /// The strength as rows of a dataset name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Significantly => "significantly",
            Self::Better => "better",
            Self::Slightly => "slightly",
            Self::Negligibly => "negligibly",
        }
    }
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An absent filter means every pair; an empty one would leave nothing to train on.
pub(super) fn check_filter(strengths: Option<&BTreeSet<Strength>>) -> Result<(), BadValue> {
    match strengths {
        Some(some) if some.is_empty() => Err(BadValue::new(
            "strengths",
            "at least one strength; leave the key out to train on every pair",
            "[]",
        )),
        _ => Ok(()),
    }
}
