//! The stage kinds: what each takes, gives, and may be told.
//!
//! A kind is one file here and one line in `kinds!`. The fields of its parameters are *identity*: they change the
//! result by intent and so belong to the run id. What only changes how the work is done is [`crate::Execution`].

mod annotate;
#[cfg(test)]
mod checking;
mod command;
mod dpo;
mod evaluate;
mod model_average;
mod optimization;
mod ppo;
mod pretrain;
mod reference_logps;
mod rejection_sampling;
mod reward;
mod sampling;
mod sft;
mod tokenizer;

use std::collections::BTreeSet;
use std::fmt;

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use annotate::{AnnotateParams, AnnotationForm, Labeller, StrengthGaps};
pub use command::{CommandParams, SOURCE_INPUT};
pub use dpo::DpoParams;
pub use evaluate::{EvaluateParams, GoldRule};
pub use model_average::{AverageOf, ModelAverageParams};
pub use optimization::{Dtype, OptimizationParams, Scheduler};
pub use ppo::{AdaptiveKl, KlEstimator, PpoParams};
pub use pretrain::PretrainParams;
pub use reference_logps::ReferenceLogpsParams;
pub use rejection_sampling::RejectionSamplingParams;
pub use reward::{RewardMargin, RewardParams};
pub use sampling::SamplingParams;
pub use sft::SftParams;
pub use tokenizer::TokenizerParams;

use crate::{OutputName, Strength};

/// What a tree is to the stages that take and give it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactType {
    /// A Hugging Face folder with a language model.
    Model,
    /// A Hugging Face folder with a sequence classifier of one label.
    RewardModel,
    /// A folder with `tokenizer.json`.
    Tokenizer,
    /// JSON Lines or Parquet files.
    Dataset,
    /// `metrics.json` and what belongs to it.
    Report,
    /// Anything else; only `command` stages take it and give it.
    Files,
}

impl fmt::Display for ArtifactType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Model => "model",
            Self::RewardModel => "reward_model",
            Self::Tokenizer => "tokenizer",
            Self::Dataset => "dataset",
            Self::Report => "report",
            Self::Files => "files",
        })
    }
}

/// An input that a kind takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputSpec {
    /// Its name.
    pub name: &'static str,
    /// What it must be.
    pub artifact: ArtifactType,
    /// Whether the stage cannot do without it.
    pub required: bool,
}

impl InputSpec {
    const fn required(name: &'static str, artifact: ArtifactType) -> Self {
        Self {
            name,
            artifact,
            required: true,
        }
    }

    const fn optional(name: &'static str, artifact: ArtifactType) -> Self {
        Self {
            name,
            artifact,
            required: false,
        }
    }
}

/// What a kind is, apart from its parameters.
#[derive(Debug, Clone, Copy)]
pub struct KindSpec {
    /// Its name in recipes.
    pub name: &'static str,
    /// Grows when, and only when, the kind's arithmetic changes.
    pub revision: u32,
    /// Whether its result depends on a seed.
    pub seeded: bool,
    /// The inputs it takes; `None` if the recipe may name any.
    pub inputs: Option<&'static [InputSpec]>,
    /// The outputs it gives, the main one first; empty if its parameters say.
    pub outputs: &'static [(&'static str, ArtifactType)],
}

/// A parameter whose value cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: expected {expected}, found {found}")]
pub struct BadValue {
    /// The parameter, as a dotted path below its stage.
    pub key: String,
    /// What may stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
    /// The key that was probably meant.
    pub nearest: Option<String>,
}

impl BadValue {
    /// A value of `key` that is not as expected.
    pub fn new(
        key: impl Into<String>,
        expected: impl Into<String>,
        found: impl fmt::Display,
    ) -> Self {
        Self {
            key: key.into(),
            expected: expected.into(),
            found: found.to_string(),
            nearest: None,
        }
    }

    /// An input that is `needed` by what `reader` says but absent, or given although nothing reads it.
    fn unmatched(input: &str, needed: bool, reader: &str) -> Self {
        let key = format!("inputs.{input}");
        if needed {
            Self::new(key, format!("an input, since {reader} needs it"), "nothing")
        } else {
            Self::new(
                key,
                format!("no such input, since only {reader} reads it"),
                "one",
            )
        }
    }

    pub(crate) fn below(mut self, parent: &str) -> Self {
        self.key = format!("{parent}.{}", self.key);
        self
    }
}

trait Params: Serialize + serde::de::DeserializeOwned + JsonSchema {
    const SPEC: KindSpec;

    fn check(&self) -> Result<(), BadValue>;

    fn outputs(&self) -> Vec<(OutputName, ArtifactType)> {
        Self::SPEC
            .outputs
            .iter()
            .map(|(name, artifact)| (output_name(name), *artifact))
            .collect()
    }

    /// Whether the inputs that the recipe names are those that these parameters need.
    fn check_inputs(&self, _given: &BTreeSet<&str>) -> Result<(), BadValue> {
        Ok(())
    }

    /// What each input must be, of a kind that takes inputs of any name.
    fn every_input(&self) -> Option<ArtifactType> {
        None
    }

    /// Whether the stage runs a program that the recipe brings along as `source`.
    fn runs_program(&self) -> bool {
        false
    }
}

fn output_name(name: &str) -> OutputName {
    OutputName::new(name).expect("the kinds' own output names are names")
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident($params:ty) = $name:literal,)*) => {
        /// The kinds of stages.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum StageKind {
            $($(#[$doc])* #[serde(rename = $name)] $kind,)*
        }

        /// A kind with its parameters, checked.
        #[derive(Debug, Clone, PartialEq)]
        pub enum StageParams {
            $($(#[$doc])* $kind($params),)*
        }

        impl StageKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// What the kind is, apart from its parameters.
            pub const fn spec(self) -> KindSpec {
                match self { $(Self::$kind => <$params as Params>::SPEC,)* }
            }

            /// The schema of its parameters.
            pub fn params_schema(self) -> Schema {
                match self { $(Self::$kind => schema_for!($params),)* }
            }
        }

        impl StageParams {
            /// Reads the parameters of `kind`; unknown keys are errors that name the nearest known one.
            pub fn from_value(kind: StageKind, value: &Value) -> Result<Self, BadValue> {
                check_keys(value, &kind.params_schema())?;
                match kind { $(StageKind::$kind => read::<$params>(value).map(Self::$kind),)* }
            }

            /// The kind.
            pub const fn kind(&self) -> StageKind {
                match self { $(Self::$kind(_) => StageKind::$kind,)* }
            }

            /// The parameters with every default filled in.
            pub fn to_value(&self) -> Value {
                match self { $(Self::$kind(params) => serde_json::to_value(params),)* }
                    .expect("checked parameters are finite numbers, texts, lists and tables")
            }

            /// The outputs the stage gives, the main one first.
            pub fn outputs(&self) -> Vec<(OutputName, ArtifactType)> {
                match self { $(Self::$kind(params) => params.outputs(),)* }
            }

            /// Whether the inputs called so are those that these parameters need; an error's key is below the stage.
            pub(crate) fn check_inputs(&self, given: &BTreeSet<&str>) -> Result<(), BadValue> {
                match self { $(Self::$kind(params) => params.check_inputs(given),)* }
            }

            /// What the input called so must be; `None` if it may be anything.
            pub(crate) fn input_artifact(&self, name: &str) -> Option<ArtifactType> {
                let specs = self.kind().spec().inputs.unwrap_or_default();
                let known = specs.iter().find(|spec| spec.name == name);
                known.map(|spec| spec.artifact).or_else(|| match self {
                    $(Self::$kind(params) => params.every_input(),)*
                })
            }

            /// Whether the stage runs a program that the recipe brings along as `source`.
            pub fn runs_program(&self) -> bool {
                match self { $(Self::$kind(params) => params.runs_program(),)* }
            }
        }
    };
}

kinds! {
    /// Trains a byte-level BPE tokenizer.
    Tokenizer(TokenizerParams) = "tokenizer",
    /// Trains a language model from its initialisation.
    Pretrain(PretrainParams) = "pretrain",
    /// Fine-tunes a language model on prompts with completions.
    Sft(SftParams) = "sft",
    /// Measures a checkpoint on held-out data.
    Evaluate(EvaluateParams) = "evaluate",
    /// Runs any program that keeps the stage contract.
    Command(CommandParams) = "command",
    /// Trains a reward model on preferences.
    Reward(RewardParams) = "reward",
    /// Has a policy's own answers compared by a labeller.
    Annotate(AnnotateParams) = "annotate",
    /// Keeps the best of a policy's answers by a reward model.
    RejectionSampling(RejectionSamplingParams) = "rejection_sampling",
    /// Computes a reference model's log-probabilities of preferences.
    ReferenceLogps(ReferenceLogpsParams) = "reference_logps",
    /// Fine-tunes a language model on preferences, without a reward model.
    Dpo(DpoParams) = "dpo",
    /// Fine-tunes a policy by reinforcement learning against a reward model.
    Ppo(PpoParams) = "ppo",
    /// Averages the weights of several checkpoints.
    ModelAverage(ModelAverageParams) = "model_average",
}

impl StageKind {
    /// The kind's name in recipes.
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    /// The kind called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Whether stages of this kind may have a `source`: the files of a program that they run.
    pub fn takes_source(self) -> bool {
        let takes = |specs: &[InputSpec]| specs.iter().any(|spec| spec.name == SOURCE_INPUT);
        self == Self::Command || self.spec().inputs.is_some_and(takes)
    }

    /// The parameters' names.
    pub fn keys(self) -> Vec<String> {
        property_names(&self.params_schema())
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

fn read<P: Params>(value: &Value) -> Result<P, BadValue> {
    let params: P = typed(value)?;
    params.check()?;
    Ok(params)
}

pub(crate) fn typed<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, BadValue> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.into_inner().to_string();
        let key = match path.as_str() {
            "." if !reason.starts_with("missing field") => {
                culprit::<T>(value, &reason).unwrap_or(path)
            }
            _ => path,
        };
        // serde names a missing field in its message, never in the path.
        let missing = reason
            .strip_prefix("missing field `")
            .and_then(|rest| rest.split('`').next());
        match missing {
            Some(field) => BadValue::new(join(&key, field), "a value", "nothing"),
            None => unknown_field(&key, &reason).unwrap_or_else(|| mistyped(&key, &reason)),
        }
    })
}

/// The key whose value is to blame for `reason`, which stands without a place: serde forgets the key of a value in a
/// flattened struct. Without that key the complaint is another, or there is none; and a complaint about a key that is
/// not flattened would have had its place.
fn culprit<T: serde::de::DeserializeOwned>(value: &Value, reason: &str) -> Option<String> {
    let table = value.as_object()?;
    let without = |key: &str| {
        let mut rest = table.clone();
        rest.remove(key);
        T::deserialize(Value::Object(rest)).err()
    };
    let placeless = |key: &str| {
        let mut wrong = table.clone();
        wrong.insert(key.to_owned(), Value::Object(serde_json::Map::new()));
        let error = serde_path_to_error::deserialize::<_, T>(Value::Object(wrong)).err();
        error.is_none_or(|error| error.path().to_string() == ".")
    };
    let blamed = |key: &&String| {
        without(key).is_none_or(|error| error.to_string() != reason) && placeless(key)
    };
    table.keys().find(blamed).cloned()
}

/// serde's own complaint about an unknown field, as ours.
fn unknown_field(key: &str, reason: &str) -> Option<BadValue> {
    let mut quoted = reason.strip_prefix("unknown field `")?.split('`');
    let field = quoted.next()?;
    let known: Vec<String> = quoted
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .filter(|name| !name.is_empty())
        .collect();
    let mut error = unknown_key(field, &known);
    if !key.ends_with(field) {
        error.key = join(key, field);
    } else {
        error.key = key.to_owned();
    }
    Some(error)
}

fn join(parent: &str, field: &str) -> String {
    if parent == "." {
        field.to_owned()
    } else {
        format!("{parent}.{field}")
    }
}

fn mistyped(key: &str, reason: &str) -> BadValue {
    let reason = reason
        .trim_start_matches("invalid type: ")
        .trim_start_matches("invalid value: ");
    match reason.rsplit_once(", expected ") {
        Some((found, expected)) => BadValue::new(key, expected, found),
        None => BadValue::new(key, "another value", reason),
    }
}

pub(crate) fn property_names(schema: &Schema) -> Vec<String> {
    schema
        .get("properties")
        .and_then(Value::as_object)
        .map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default()
}

pub(crate) fn check_keys(value: &Value, schema: &Schema) -> Result<(), BadValue> {
    let Some(table) = value.as_object() else {
        return Err(BadValue::new(".", "a table", value));
    };
    let known = property_names(schema);
    match table.keys().find(|key| !known.contains(key)) {
        None => Ok(()),
        Some(key) => Err(unknown_key(key, &known)),
    }
}

pub(crate) fn unknown_key(key: &str, known: &[String]) -> BadValue {
    let nearest = nearest(key, known.iter().map(String::as_str));
    let mut error = BadValue::new(
        key,
        nearest.as_ref().map_or_else(
            || format!("one of {}", known.join(", ")),
            |name| format!("a known key, such as `{name}`"),
        ),
        "an unknown key",
    );
    error.nearest = nearest;
    error
}

/// The known name that `found` probably meant.
pub fn nearest<'a>(found: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let one_slip = |name: &str| strsim::damerau_levenshtein(found, name) == 1;
    known
        .map(|name| (strsim::jaro_winkler(found, name), name))
        .filter(|(likeness, name)| *likeness > 0.75 || one_slip(name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.to_owned())
}

fn in_range(key: &str, value: f64, low: f64, high: f64) -> Result<(), BadValue> {
    if value.is_finite() && value >= low && value <= high {
        Ok(())
    } else {
        Err(BadValue::new(
            key,
            format!("a number from {low} to {high}"),
            value,
        ))
    }
}

fn at_least_one(key: &str, value: u64) -> Result<(), BadValue> {
    if value >= 1 {
        Ok(())
    } else {
        Err(BadValue::new(key, "at least 1", value))
    }
}

fn above_zero(key: &str, value: f64) -> Result<(), BadValue> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(BadValue::new(key, "a number above 0", value))
    }
}

/// An absent filter means every pair; an empty one would leave nothing to train on.
fn check_filter(strengths: Option<&BTreeSet<Strength>>) -> Result<(), BadValue> {
    match strengths {
        Some(some) if some.is_empty() => Err(BadValue::new(
            "strengths",
            "at least one strength; leave the key out to train on every pair",
            "[]",
        )),
        _ => Ok(()),
    }
}
