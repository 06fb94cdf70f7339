//! `model_average`: the mean of several checkpoints' weights, as Llama 3.1 takes it after each of its stages.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ArtifactType, BadValue, KindSpec, Params, above_zero, nearest, output_name};
use crate::{InputName, OutputName};

/// What is averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AverageOf {
    /// Language models.
    #[default]
    Model,
    /// Reward models.
    RewardModel,
}

/// Parameters of `model_average`. Its inputs have any names; all are of one shape and one tokenizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelAverageParams {
    /// What is averaged.
    #[serde(default)]
    pub of: AverageOf,
    /// The weight of each input by its name; equal ones if there is none. Only their ratios count.
    #[serde(default)]
    pub weights: BTreeMap<InputName, f64>,
}

impl Params for ModelAverageParams {
    const SPEC: KindSpec = KindSpec {
        name: "model_average",
        revision: 1,
        seeded: false,
        inputs: None,
        outputs: &[],
    };

    fn check(&self) -> Result<(), BadValue> {
        for (name, weight) in &self.weights {
            above_zero(name.as_str(), *weight).map_err(|error| error.below("weights"))?;
        }
        Ok(())
    }

    fn check_inputs(&self, given: &BTreeSet<&str>) -> Result<(), BadValue> {
        if given.len() < 2 {
            let expected = "at least two checkpoints to average";
            return Err(BadValue::new("inputs", expected, given.len()));
        }
        if self.weights.is_empty() {
            return Ok(());
        }
        if let Some(name) = given.iter().find(|name| !self.weights.contains_key(**name)) {
            let key = format!("weights.{name}");
            return Err(BadValue::new(key, "the weight of this input", "nothing"));
        }
        let unknown = |name: &&InputName| !given.contains(name.as_str());
        let Some(name) = self.weights.keys().find(unknown) else {
            return Ok(());
        };
        let known: Vec<&str> = given.iter().copied().collect();
        let expected = format!("the name of an input: {}", known.join(", "));
        let mut error = BadValue::new(format!("weights.{name}"), expected, "no such input");
        error.nearest = nearest(name.as_str(), known.into_iter());
        Err(error)
    }

    fn outputs(&self) -> Vec<(OutputName, ArtifactType)> {
        let artifact = self.artifact();
        vec![(output_name(&artifact.to_string()), artifact)]
    }

    fn every_input(&self) -> Option<ArtifactType> {
        Some(self.artifact())
    }
}

impl ModelAverageParams {
    /// What is averaged, and so what each input and the output is.
    pub const fn artifact(&self) -> ArtifactType {
        match self.of {
            AverageOf::Model => ArtifactType::Model,
            AverageOf::RewardModel => ArtifactType::RewardModel,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::checking::Good;
    use super::*;
    use crate::StageKind;

    fn good() -> Good {
        Good {
            kind: StageKind::ModelAverage,
            params: json!({}),
        }
    }

    #[test]
    fn weights_are_positive_and_name_the_inputs() {
        let good = good();
        let weights = json!({"weights": {"one": 1, "two": 0.5}});
        good.check(weights.clone(), "good");
        for weight in [0, -1] {
            good.check(
                json!({"weights": {"one": weight}}),
                &format!("weights.one: expected a number above 0, found {weight}"),
            );
        }
        good.check_inputs(weights.clone(), &["one", "two"], "good");
        good.check_inputs(
            weights.clone(),
            &["one", "two", "three"],
            "weights.three: expected the weight of this input, found nothing",
        );
        good.check_inputs(
            json!({"weights": {"one": 1, "two": 1, "twoo": 1}}),
            &["one", "two"],
            "weights.twoo: expected the name of an input: one, two, found no such input",
        );
    }

    #[test]
    fn one_checkpoint_has_no_average() {
        let good = good();
        good.check_inputs(json!({}), &["one", "two"], "good");
        good.check_inputs(
            json!({}),
            &["one"],
            "inputs: expected at least two checkpoints to average, found 1",
        );
    }

    #[test]
    fn what_goes_in_comes_out() {
        for (of, expected) in [
            ("model", ArtifactType::Model),
            ("reward_model", ArtifactType::RewardModel),
        ] {
            let params = good().with(&json!({"of": of})).unwrap();
            assert_eq!(params.outputs(), [(output_name(of), expected)]);
            assert_eq!(params.input_artifact("anything"), Some(expected));
        }
    }
}
