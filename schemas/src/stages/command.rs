//! `command`: any program that keeps the stage contract.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ArtifactType, BadValue, KindSpec, Params};
use crate::OutputName;

/// Parameters of `command`. The recipe's `source` files become the input `source`, from which the program runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandParams {
    /// The program and its arguments; it starts in the folder of its source.
    pub argv: Vec<String>,
    /// What it writes below `outputs/`, by name.
    pub outputs: BTreeMap<OutputName, ArtifactType>,
    /// The output that the stage's ref follows; the only one if there is one.
    #[serde(default)]
    pub main: Option<OutputName>,
    /// Values for the program, which finds them in `job.json`.
    #[serde(default)]
    pub parameters: BTreeMap<String, Value>,
}

/// The input that holds the program's own files.
pub const SOURCE_INPUT: &str = "source";

impl Params for CommandParams {
    const SPEC: KindSpec = KindSpec {
        name: "command",
        revision: 1,
        seeded: true,
        inputs: None,
        outputs: &[],
    };

    fn check(&self) -> Result<(), BadValue> {
        check_argv("argv", &self.argv)?;
        if self.outputs.is_empty() {
            return Err(BadValue::new(
                "outputs",
                "at least one output with its type",
                "none",
            ));
        }
        match &self.main {
            Some(main) if !self.outputs.contains_key(main) => {
                Err(BadValue::new("main", "one of the outputs", main))
            }
            None if self.outputs.len() > 1 => Err(BadValue::new(
                "main",
                "the name of one output, since there are several",
                "nothing",
            )),
            _ => Ok(()),
        }
    }

    fn outputs(&self) -> Vec<(OutputName, ArtifactType)> {
        let mut outputs: Vec<_> = self
            .outputs
            .iter()
            .map(|(name, artifact)| (name.clone(), *artifact))
            .collect();
        outputs.sort_by_key(|(name, _)| self.main.as_ref() != Some(name));
        outputs
    }

    fn runs_program(&self) -> bool {
        true
    }
}

pub(super) fn check_argv(key: &str, argv: &[String]) -> Result<(), BadValue> {
    if argv.first().is_some_and(|program| !program.is_empty()) {
        return Ok(());
    }
    let expected = "a program and its arguments";
    Err(BadValue::new(key, expected, format!("{argv:?}")))
}
