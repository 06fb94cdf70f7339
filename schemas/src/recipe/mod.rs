//! Recipes: stages that name their inputs.
//!
//! A [`Recipe`] that exists has no cycle, no unknown stage, no input that its kind does not take, and only values that
//! can be. [`parse`] makes one from a TOML file.

mod agreement;
mod parse;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use parse::{LoadModel, Override, ParsedRecipe, parse};
pub use source::RecipeError;

use crate::stages::{ArtifactType, BadValue, InputSpec, StageKind, StageParams, nearest};
use crate::{Execution, InputName, OutputName, RecipeName, StageName};

/// What an input names: another stage's output (`@stage`, `@stage.output`), or a ref or digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InputRef {
    /// An output of a stage of the same recipe; the main one if no name is given.
    Stage {
        /// The stage.
        stage: StageName,
        /// The output.
        output: Option<OutputName>,
    },
    /// A ref, a digest, or the first digits of one.
    Name(String),
}

impl FromStr for InputRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(stage) = text.strip_prefix('@') else {
            return if text.is_empty() {
                Err("an empty text".to_owned())
            } else {
                Ok(Self::Name(text.to_owned()))
            };
        };
        let (stage, output) = match stage.split_once('.') {
            Some((stage, output)) => (stage, Some(output)),
            None => (stage, None),
        };
        Ok(Self::Stage {
            stage: StageName::new(stage).map_err(|error| error.to_string())?,
            output: output
                .map(OutputName::new)
                .transpose()
                .map_err(|error| error.to_string())?,
        })
    }
}

impl fmt::Display for InputRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage {
                stage,
                output: None,
            } => write!(f, "@{stage}"),
            Self::Stage {
                stage,
                output: Some(output),
            } => write!(f, "@{stage}.{output}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl Serialize for InputRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for InputRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for InputRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "InputRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "description": "A ref, a digest or its first digits, `@stage` for a stage's main output, or `@stage.output`"
        })
    }
}

/// One stage of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Stage {
    /// Its name in the recipe.
    pub name: StageName,
    /// Its kind.
    pub kind: StageKind,
    /// The kind's parameters, every default filled in.
    #[serde(serialize_with = "params_value")]
    #[schemars(with = "BTreeMap<String, Value>")]
    pub params: StageParams,
    /// Where each input comes from.
    pub inputs: BTreeMap<InputName, InputRef>,
    /// The seed of its random numbers.
    pub seed: u64,
    /// How its work is done.
    pub execution: Execution,
}

fn params_value<S: Serializer>(params: &StageParams, serializer: S) -> Result<S::Ok, S::Error> {
    params.to_value().serialize(serializer)
}

/// The format tag of a resolved recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RecipeFormat {
    /// The first and only version.
    #[serde(rename = "begat-recipe-1")]
    Version1,
}

/// A recipe with every default filled in, checked as a whole; its stages stand in an order in which they can run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Recipe {
    format: RecipeFormat,
    name: RecipeName,
    seed: u64,
    stages: Vec<Stage>,
}

/// Why stages make no recipe, with the place in the recipe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct BadRecipe {
    /// The key, as a dotted path from the recipe's top.
    pub key: String,
    /// What is wrong there.
    pub problem: String,
    /// The name that was probably meant.
    pub nearest: Option<String>,
}

impl BadRecipe {
    pub(crate) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
            nearest: None,
        }
    }

    pub(crate) fn value(parent: &str, error: BadValue) -> Self {
        Self {
            key: if error.key == "." {
                parent.to_owned()
            } else {
                format!("{parent}.{}", error.key)
            },
            problem: if error.nearest.is_some() {
                "unknown key".to_owned()
            } else {
                format!("expected {}, found {}", error.expected, error.found)
            },
            nearest: error.nearest,
        }
    }
}

/// The most stages that a recipe may have.
pub const STAGES_MAX: usize = 256;

impl Recipe {
    /// Checks `stages` as a whole and puts them in an order in which they can run.
    pub fn new(name: RecipeName, seed: u64, stages: Vec<Stage>) -> Result<Self, BadRecipe> {
        if stages.is_empty() || stages.len() > STAGES_MAX {
            let problem = format!("expected 1 to {STAGES_MAX} stages, found {}", stages.len());
            return Err(BadRecipe::new("stages", problem));
        }
        for (key, seed) in std::iter::once(("seed".to_owned(), seed)).chain(
            stages
                .iter()
                .map(|stage| (format!("stages.{}.seed", stage.name), stage.seed)),
        ) {
            if seed > crate::INTEGER_MAX {
                return Err(BadRecipe::new(key, "expected a seed of at most 2^53 − 1"));
            }
        }
        for stage in &stages {
            check_inputs(stage, &stages)?;
            agreement::check(stage, &stages)?;
        }
        Ok(Self {
            format: RecipeFormat::Version1,
            name,
            seed,
            stages: in_running_order(stages)?,
        })
    }

    /// The recipe's name.
    pub fn name(&self) -> &RecipeName {
        &self.name
    }

    /// The seed of the stages that name none.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The stages, each after those it takes its inputs from.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The stage called `name`.
    pub fn stage(&self, name: &StageName) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == *name)
    }
}

fn check_inputs(stage: &Stage, stages: &[Stage]) -> Result<(), BadRecipe> {
    let place = format!("stages.{}.inputs", stage.name);
    if let Some(specs) = stage.kind.spec().inputs {
        let missing = |spec: &&InputSpec| spec.required && !stage.inputs.contains_key(spec.name);
        if let Some(spec) = specs.iter().find(missing) {
            let problem = format!(
                "`{}` needs the input `{}` (a {})",
                stage.kind, spec.name, spec.artifact
            );
            return Err(BadRecipe::new(place, problem));
        }
    }
    for (name, input) in &stage.inputs {
        check_input(stage, name, input, stages)?;
    }
    let given = stage.inputs.keys().map(InputName::as_str).collect();
    stage
        .params
        .check_inputs(&given)
        .map_err(|error| BadRecipe::value(&format!("stages.{}", stage.name), error))
}

fn check_input(
    stage: &Stage,
    name: &InputName,
    input: &InputRef,
    stages: &[Stage],
) -> Result<(), BadRecipe> {
    let place = format!("stages.{}.inputs.{name}", stage.name);
    let specs = stage.kind.spec().inputs;
    let spec = specs.and_then(|specs| specs.iter().find(|spec| spec.name == name.as_str()));
    if let (Some(specs), None) = (specs, spec) {
        let known: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
        let mut error = BadRecipe::new(
            place,
            format!(
                "`{}` takes no such input; it takes {}",
                stage.kind,
                known.join(", ")
            ),
        );
        error.nearest = nearest(name.as_str(), known.into_iter());
        return Err(error);
    }
    let InputRef::Stage {
        stage: parent,
        output,
    } = input
    else {
        return Ok(());
    };
    let Some(parent) = stages.iter().find(|other| other.name == *parent) else {
        let mut error = BadRecipe::new(
            place,
            format!("there is no stage `{parent}` in this recipe"),
        );
        error.nearest = nearest(
            parent.as_str(),
            stages.iter().map(|stage| stage.name.as_str()),
        )
        .map(|stage| format!("@{stage}"));
        return Err(error);
    };
    let artifact = output_type(parent, output.as_ref(), &place)?;
    match stage.params.input_artifact(name.as_str()) {
        Some(expected) if expected != artifact => Err(BadRecipe::new(
            place,
            format!("expected a {expected}, but `{input}` is a {artifact}"),
        )),
        _ => Ok(()),
    }
}

fn output_type(
    parent: &Stage,
    output: Option<&OutputName>,
    place: &str,
) -> Result<ArtifactType, BadRecipe> {
    let outputs = parent.params.outputs();
    let found = match output {
        None => outputs.first(),
        Some(name) => outputs.iter().find(|(known, _)| known == name),
    };
    found.map(|(_, artifact)| *artifact).ok_or_else(|| {
        let known: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
        BadRecipe::new(
            place,
            format!(
                "`@{}` has no such output; it has {}",
                parent.name,
                known.join(", ")
            ),
        )
    })
}

/// Kahn's algorithm, taking the first stage in the file's order that can run: the order a reader expects.
fn in_running_order(mut waiting: Vec<Stage>) -> Result<Vec<Stage>, BadRecipe> {
    let mut done: BTreeSet<StageName> = BTreeSet::new();
    let mut order = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let ready = waiting
            .iter()
            .position(|stage| parents(stage).all(|parent| done.contains(parent)));
        let Some(at) = ready else {
            return Err(cycle(&waiting));
        };
        let stage = waiting.remove(at);
        done.insert(stage.name.clone());
        order.push(stage);
    }
    Ok(order)
}

fn parents(stage: &Stage) -> impl Iterator<Item = &StageName> {
    stage.inputs.values().filter_map(|input| match input {
        InputRef::Stage { stage, .. } => Some(stage),
        InputRef::Name(_) => None,
    })
}

fn cycle(waiting: &[Stage]) -> BadRecipe {
    let stuck = |name: &StageName| waiting.iter().find(|stage| stage.name == *name);
    let mut path = vec![&waiting[0]];
    loop {
        let last = path[path.len() - 1];
        let Some(next) = parents(last).find_map(stuck) else {
            return BadRecipe::new("stages", "the stages wait for each other");
        };
        if let Some(start) = path.iter().position(|stage| stage.name == next.name) {
            let names: Vec<String> = path[start..]
                .iter()
                .chain([&next])
                .map(|stage| format!("@{}", stage.name))
                .collect();
            return BadRecipe::new(
                format!("stages.{}.inputs", next.name),
                format!("a cycle: {}", names.join(" needs ")),
            );
        }
        path.push(next);
    }
}

impl<'de> Deserialize<'de> for Recipe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawRecipe::deserialize(deserializer)?;
        let stages = raw
            .stages
            .into_iter()
            .map(RawStage::check)
            .collect::<Result<Vec<_>, _>>()
            .map_err(serde::de::Error::custom)?;
        Self::new(raw.name, raw.seed, stages).map_err(serde::de::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecipe {
    #[allow(dead_code, reason = "only its value is checked, by the type")]
    format: RecipeFormat,
    name: RecipeName,
    seed: u64,
    stages: Vec<RawStage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStage {
    name: StageName,
    kind: StageKind,
    params: Value,
    inputs: BTreeMap<InputName, InputRef>,
    seed: u64,
    execution: Execution,
}

impl RawStage {
    fn check(self) -> Result<Stage, BadRecipe> {
        let place = format!("stages.{}", self.name);
        let params = StageParams::from_value(self.kind, &self.params)
            .map_err(|error| BadRecipe::value(&place, error))?;
        self.execution
            .check()
            .map_err(|error| BadRecipe::value(&place, error))?;
        Ok(Stage {
            name: self.name,
            kind: self.kind,
            params,
            inputs: self.inputs,
            seed: self.seed,
            execution: self.execution,
        })
    }
}
