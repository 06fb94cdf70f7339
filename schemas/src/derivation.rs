//! What determines a stage's result. Its digest is the run id.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::{CanonicalError, canonical_json};
use crate::stages::{BadValue, StageKind, StageParams};
use crate::{InputName, RunId, TreeDigest};

/// The format tag of a derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DerivationFormat {
    /// The first and only version.
    #[serde(rename = "begat-derivation-1")]
    Version1,
}

/// Everything that changes a stage's result by intent, and nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Derivation {
    /// The version of this form.
    pub format: DerivationFormat,
    /// The kind of stage.
    pub kind: StageKind,
    /// The revision of the kind's arithmetic.
    pub revision: u32,
    /// The kind's parameters, every default filled in.
    pub params: Value,
    /// What it consumes, by name.
    pub inputs: BTreeMap<InputName, TreeDigest>,
    /// The seed of its random numbers; absent for kinds that draw none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Derivation {
    /// The derivation of a stage with these parameters and inputs, by the present revision of its kind.
    pub fn new(params: &StageParams, inputs: BTreeMap<InputName, TreeDigest>, seed: u64) -> Self {
        let spec = params.kind().spec();
        Self {
            format: DerivationFormat::Version1,
            kind: params.kind(),
            revision: spec.revision,
            params: params.to_value(),
            inputs,
            seed: spec.seeded.then_some(seed),
        }
    }

    /// The canonical bytes, whose digest is the run id. They are stored as a blob of that digest.
    pub fn canonical_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        canonical_json(self)
    }

    /// The run id.
    pub fn run_id(&self) -> Result<RunId, CanonicalError> {
        self.canonical_bytes().map(|bytes| RunId::of(&bytes))
    }

    /// The parameters as the kind's own type; an error if a later or earlier begat wrote them.
    pub fn stage_params(&self) -> Result<StageParams, BadValue> {
        StageParams::from_value(self.kind, &self.params)
    }

    /// Whether the stage runs a program of the recipe's, which may write wherever it likes.
    pub fn runs_program(&self) -> bool {
        self.stage_params()
            .is_ok_and(|params| params.runs_program())
    }

    /// The keys in which `self` and `other` differ, as dotted paths with both values.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        let (this, that) = (serde_json::to_value(self), serde_json::to_value(other));
        if let (Ok(this), Ok(that)) = (this, that) {
            collect_differences(String::new(), &this, &that, &mut found);
        }
        found
    }
}

/// One key in which two derivations differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// The key, as a dotted path, such as `params.learning_rate`.
    pub key: String,
    /// Its value in the first.
    pub left: Value,
    /// Its value in the second.
    pub right: Value,
}

fn collect_differences(path: String, left: &Value, right: &Value, found: &mut Vec<Difference>) {
    if left == right {
        return;
    }
    let (Value::Object(a), Value::Object(b)) = (left, right) else {
        found.push(Difference {
            key: path,
            left: left.clone(),
            right: right.clone(),
        });
        return;
    };
    let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for key in keys {
        let below = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        let null = Value::Null;
        collect_differences(
            below,
            a.get(key).unwrap_or(&null),
            b.get(key).unwrap_or(&null),
            found,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tokenizer(size: u32) -> Derivation {
        let params =
            StageParams::from_value(StageKind::Tokenizer, &json!({"vocab_size": size})).unwrap();
        let corpus = InputName::new("corpus").unwrap();
        Derivation::new(
            &params,
            BTreeMap::from([(corpus, TreeDigest::of(b"corpus"))]),
            7,
        )
    }

    #[test]
    fn a_kind_without_randomness_has_no_seed() {
        assert_eq!(tokenizer(2048).seed, None);
    }

    #[test]
    fn differences_name_the_key_and_both_values() {
        let found = tokenizer(2048).differences(&tokenizer(4096));
        assert_eq!(
            found,
            [Difference {
                key: "params.vocab_size".to_owned(),
                left: json!(2048),
                right: json!(4096)
            }]
        );
    }
}
