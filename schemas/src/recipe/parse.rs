//! From a recipe's TOML text to a checked [`Recipe`].

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::source::{Source, override_value};
use super::{BadRecipe, InputRef, Recipe, RecipeError, Stage};
use crate::stages::{SOURCE_INPUT, StageKind, StageParams, nearest, typed, unknown_key};
use crate::{Execution, InputName, ModelConfig, RecipeName, StageName};

/// One `--set PATH=VALUE`.
#[derive(
    Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Override {
    /// The key path in the recipe file.
    pub path: String,
    /// The value as typed: TOML, else a text.
    pub value: String,
}

impl std::str::FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((path, value)) if !path.trim().is_empty() => Ok(Self {
                path: path.trim().to_owned(),
                value: value.trim().to_owned(),
            }),
            _ => Err(format!(
                "`{text}`: expected PATH=VALUE, such as stages.sft.learning_rate=1e-3"
            )),
        }
    }
}

/// A recipe file read: the recipe, and the files of the programs that its stages run.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedRecipe {
    /// The recipe.
    pub recipe: Recipe,
    /// Per stage that has a `source`, the paths that it names, relative to the recipe file. Their tree is to become the
    /// stage's input `source`.
    pub sources: BTreeMap<StageName, Vec<String>>,
}

/// Gives the file name and the text of the model called so, or a sentence why it cannot.
pub type LoadModel<'a> = dyn Fn(&str) -> Result<(String, String), String> + 'a;

/// Reads a recipe. `file` names it in errors, `stem` names the recipe if the text does not; `load_model` gives the file
/// name and text of a model that the recipe names.
pub fn parse(
    file: &str,
    stem: &str,
    text: &str,
    overrides: &[Override],
    load_model: &LoadModel<'_>,
) -> Result<ParsedRecipe, RecipeError> {
    let mut source = Source::read(file, text)?;
    for wish in overrides {
        let option = format!("--set {}={}", wish.path, wish.value);
        source.set(&wish.path, override_value(&wish.value), &option)?;
    }
    let reading = Reading {
        source: &source,
        load_model,
    };
    reading.recipe(stem)
}

const RECIPE_KEYS: [&str; 4] = ["name", "seed", "model", "stages"];
const STAGE_KEYS: [&str; 3] = ["kind", "inputs", "seed"];

struct Reading<'a> {
    source: &'a Source,
    load_model: &'a LoadModel<'a>,
}

impl Reading<'_> {
    fn recipe(&self, stem: &str) -> Result<ParsedRecipe, RecipeError> {
        let table = self
            .source
            .value
            .as_object()
            .ok_or_else(|| self.bad("", "expected a table"))?;
        let known = RECIPE_KEYS.map(str::to_owned);
        if let Some(key) = table.keys().find(|key| !known.contains(key)) {
            return Err(self.source.locate(unknown(key, key, &known)));
        }
        let name = self.text(table, "name")?.unwrap_or(stem);
        let name = RecipeName::new(name).map_err(|error| self.bad("name", &error.to_string()))?;
        let seed = self.seed(table, "seed", 0)?;
        let model = table
            .get("model")
            .map(|model| self.model("model", model))
            .transpose()?;
        let stages = table.get("stages").and_then(Value::as_object);
        let stages = stages
            .ok_or_else(|| self.bad("stages", "expected at least one table [stages.NAME]"))?;

        let mut sources = BTreeMap::new();
        let stages = stages
            .iter()
            .map(|(name, stage)| self.stage(name, stage, seed, model.as_ref(), &mut sources))
            .collect::<Result<Vec<_>, _>>()?;
        let recipe = Recipe::new(name, seed, stages).map_err(|error| self.source.locate(error))?;
        Ok(ParsedRecipe { recipe, sources })
    }

    fn stage(
        &self,
        name: &str,
        value: &Value,
        seed: u64,
        model: Option<&Value>,
        sources: &mut BTreeMap<StageName, Vec<String>>,
    ) -> Result<Stage, RecipeError> {
        let place = format!("stages.{name}");
        let stage_name =
            StageName::new(name).map_err(|error| self.bad(&place, &error.to_string()))?;
        let table = value
            .as_object()
            .ok_or_else(|| self.bad(&place, "expected a table"))?;
        let kind = self.kind(&place, table)?;
        let parts = self.split(&place, kind, table)?;
        let mut params = parts.params;
        if kind.keys().iter().any(|key| key == "model") {
            let own = params
                .get("model")
                .map(|own| self.model(&format!("{place}.model"), own))
                .transpose()?;
            if let Some(model) = own.or_else(|| model.cloned()) {
                params.insert("model".to_owned(), model);
            }
        }
        let params = StageParams::from_value(kind, &Value::Object(params))
            .map_err(|error| self.source.locate(BadRecipe::value(&place, error)))?;
        if let Some(paths) = parts.source {
            let paths = self.program_files(&format!("{place}.source"), &params, paths)?;
            sources.insert(stage_name.clone(), paths);
        }
        let execution: Execution = self.typed(&place, &Value::Object(parts.execution))?;
        execution
            .check()
            .map_err(|error| self.source.locate(BadRecipe::value(&place, error)))?;
        Ok(Stage {
            name: stage_name,
            kind,
            params,
            inputs: self.inputs(&place, table.get("inputs"))?,
            seed: self.seed(table, &format!("{place}.seed"), seed)?,
            execution,
        })
    }

    fn program_files(
        &self,
        place: &str,
        params: &StageParams,
        paths: &Value,
    ) -> Result<Vec<String>, RecipeError> {
        if params.runs_program() {
            self.typed(place, paths)
        } else {
            Err(self.bad(place, "expected nothing, since the stage runs no program"))
        }
    }

    fn kind(&self, place: &str, table: &Map<String, Value>) -> Result<StageKind, RecipeError> {
        let place = format!("{place}.kind");
        let names: Vec<&str> = StageKind::ALL.iter().map(|kind| kind.name()).collect();
        let expected = format!("expected one of {}", names.join(", "));
        let Some(name) = table.get("kind").and_then(Value::as_str) else {
            return Err(self.bad(&place, &expected));
        };
        StageKind::from_name(name).ok_or_else(|| {
            let mut error =
                BadRecipe::new(&place, format!("unknown stage kind `{name}`: {expected}"));
            error.nearest = nearest(name, names.into_iter());
            self.source.locate(error)
        })
    }

    /// Sorts a stage's keys into what is identity, what is execution, and what belongs to neither.
    fn split<'v>(
        &self,
        place: &str,
        kind: StageKind,
        table: &'v Map<String, Value>,
    ) -> Result<Parts<'v>, RecipeError> {
        let params = kind.keys();
        let execution = Execution::keys();
        let mut parts = Parts::default();
        for (key, value) in table {
            if params.contains(key) {
                parts.params.insert(key.clone(), value.clone());
            } else if execution.contains(key) {
                parts.execution.insert(key.clone(), value.clone());
            } else if key == SOURCE_INPUT && kind.takes_source() {
                parts.source = Some(value);
            } else if !STAGE_KEYS.contains(&key.as_str()) {
                let known: Vec<String> = params
                    .into_iter()
                    .chain(execution)
                    .chain(STAGE_KEYS.map(str::to_owned))
                    .collect();
                return Err(self
                    .source
                    .locate(unknown(&format!("{place}.{key}"), key, &known)));
            }
        }
        Ok(parts)
    }

    fn inputs(
        &self,
        place: &str,
        value: Option<&Value>,
    ) -> Result<BTreeMap<InputName, InputRef>, RecipeError> {
        let place = format!("{place}.inputs");
        let Some(value) = value else {
            return Ok(BTreeMap::new());
        };
        let table = value
            .as_object()
            .ok_or_else(|| self.bad(&place, "expected a table"))?;
        table
            .iter()
            .map(|(name, input)| {
                let at = format!("{place}.{name}");
                let text = input
                    .as_str()
                    .ok_or_else(|| self.bad(&at, "expected a text: a ref, a digest or `@stage`"))?;
                let name = InputName::new(name.as_str())
                    .map_err(|error| self.bad(&at, &error.to_string()))?;
                let input = text
                    .parse()
                    .map_err(|problem: String| self.bad(&at, &problem))?;
                Ok((name, input))
            })
            .collect()
    }

    /// A model's table, checked: the recipe's own, or the one in the file that it names.
    fn model(&self, place: &str, value: &Value) -> Result<Value, RecipeError> {
        let Some(name) = value.as_str() else {
            check_model(value)
                .map_err(|error| self.source.locate(BadRecipe::value(place, error)))?;
            return Ok(value.clone());
        };
        let (file, text) = (self.load_model)(name).map_err(|problem| self.bad(place, &problem))?;
        let source = Source::read(&file, &text)?;
        check_model(&source.value).map_err(|error| {
            let mut error = BadRecipe::value("model", error);
            error.key = error.key.trim_start_matches("model.").to_owned();
            source.locate(error)
        })?;
        Ok(source.value)
    }

    fn seed(
        &self,
        table: &Map<String, Value>,
        place: &str,
        default: u64,
    ) -> Result<u64, RecipeError> {
        match table.get("seed") {
            None => Ok(default),
            Some(value) => value
                .as_u64()
                .ok_or_else(|| self.bad(place, "expected a whole number from 0 to 2^53 − 1")),
        }
    }

    fn text<'v>(
        &self,
        table: &'v Map<String, Value>,
        key: &str,
    ) -> Result<Option<&'v str>, RecipeError> {
        match table.get(key) {
            None => Ok(None),
            Some(value) => value
                .as_str()
                .map(Some)
                .ok_or_else(|| self.bad(key, "expected a text")),
        }
    }

    fn typed<T: serde::de::DeserializeOwned>(
        &self,
        place: &str,
        value: &Value,
    ) -> Result<T, RecipeError> {
        typed(value).map_err(|error| self.source.locate(BadRecipe::value(place, error)))
    }

    fn bad(&self, key: &str, problem: &str) -> RecipeError {
        self.source.locate(BadRecipe::new(key, problem))
    }
}

#[derive(Default)]
struct Parts<'v> {
    params: Map<String, Value>,
    execution: Map<String, Value>,
    source: Option<&'v Value>,
}

fn unknown(place: &str, key: &str, known: &[String]) -> BadRecipe {
    let mut error = BadRecipe::new(place, "unknown key");
    error.nearest = unknown_key(key, known).nearest;
    if error.nearest.is_none() {
        error.problem = format!("unknown key; expected one of {}", known.join(", "));
    }
    error
}

fn check_model(value: &Value) -> Result<(), crate::BadValue> {
    typed::<ModelConfig>(value)?.check()
}
