//! `annotate`: preferences over a policy's own answers, by a named labeller.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::check_argv;
use super::sampling::check_generations;
use super::{
    ArtifactType, BadValue, GoldRule, InputSpec, KindSpec, Params, SOURCE_INPUT, SamplingParams,
    at_least_one, output_name,
};
use crate::{OutputName, Strength};

/// Who says which answer is better. A rule is a rule, never human feedback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Labeller {
    /// The rule that `gold` names.
    Rule,
    /// The input `reward_model`.
    RewardModel,
    /// The program that `command` names, or the judgements that one has made before.
    Command,
}

/// What the rows of the made dataset are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnnotationForm {
    /// A prompt with a chosen and a rejected answer.
    #[default]
    Pairs,
    /// A prompt with its answers from best to worst.
    Rankings,
    /// A prompt with its answers and the score of each.
    Scores,
}

/// How far the scores of two answers must lie apart for each strength; below `slightly` it is negligible.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StrengthGaps {
    /// From here on an answer is significantly better.
    #[serde(default = "significantly")]
    pub significantly: f64,
    /// From here on it is better.
    #[serde(default = "better")]
    pub better: f64,
    /// From here on it is slightly better.
    #[serde(default = "slightly")]
    pub slightly: f64,
}

impl Default for StrengthGaps {
    fn default() -> Self {
        Self {
            significantly: significantly(),
            better: better(),
            slightly: slightly(),
        }
    }
}

impl StrengthGaps {
    /// The strength of a pair whose scores lie `gap` apart.
    pub fn strength(&self, gap: f64) -> Strength {
        if gap >= self.significantly {
            Strength::Significantly
        } else if gap >= self.better {
            Strength::Better
        } else if gap >= self.slightly {
            Strength::Slightly
        } else {
            Strength::Negligibly
        }
    }

    fn check(&self) -> Result<(), BadValue> {
        not_negative("slightly", self.slightly)?;
        at_least("better", self.better, "slightly", self.slightly)?;
        at_least("significantly", self.significantly, "better", self.better)
    }
}

/// Parameters of `annotate`. Every row of the dataset names the policy by its tree's digest, the labeller and the seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnnotateParams {
    /// The row of the first prompt that is used, counted from 0.
    #[serde(default)]
    pub first_prompt: u32,
    /// Prompts to use from there on; 0 means all.
    #[serde(default)]
    pub prompts: u32,
    /// Completions of each prompt.
    pub num_generations: u32,
    /// How they are sampled.
    #[serde(flatten)]
    pub sampling: SamplingParams,
    /// Who says which is better.
    pub labeller: Labeller,
    /// The rule; the labeller `rule` needs it, beside another labeller it only measures how far the two agree.
    #[serde(default)]
    pub gold: Option<GoldRule>,
    /// The labeller's program and its arguments: it reads completions as JSON lines and writes judgements. It starts in
    /// the folder of the stage's `source`.
    #[serde(default)]
    pub command: Vec<String>,
    /// What the rows are.
    #[serde(default)]
    pub form: AnnotationForm,
    /// Most pairs of one prompt, with the form `pairs`.
    #[serde(default = "three")]
    pub max_pairs_per_prompt: u32,
    /// Scores that lie no further apart are a tie, and make no pair.
    #[serde(default = "min_gap")]
    pub min_gap: f64,
    /// From which gap on a pair has which strength.
    #[serde(default)]
    pub strengths: StrengthGaps,
}

const fn significantly() -> f64 {
    0.55
}

const fn better() -> f64 {
    0.30
}

const fn slightly() -> f64 {
    0.12
}

const fn three() -> u32 {
    3
}

const fn min_gap() -> f64 {
    0.03
}

impl Params for AnnotateParams {
    const SPEC: KindSpec = KindSpec {
        name: "annotate",
        revision: 1,
        seeded: true,
        inputs: Some(&[
            InputSpec::required("policy", ArtifactType::Model),
            InputSpec::required("prompts", ArtifactType::Dataset),
            InputSpec::optional("reward_model", ArtifactType::RewardModel),
            InputSpec::optional("judgements", ArtifactType::Dataset),
            InputSpec::optional(SOURCE_INPUT, ArtifactType::Files),
        ]),
        outputs: &[
            ("dataset", ArtifactType::Dataset),
            ("report", ArtifactType::Report),
        ],
    };

    fn check(&self) -> Result<(), BadValue> {
        check_generations(
            self.num_generations,
            "has no other to be compared with (K = 1)",
        )?;
        self.sampling.check()?;
        self.check_labeller()?;
        at_least_one("max_pairs_per_prompt", self.max_pairs_per_prompt.into())?;
        not_negative("min_gap", self.min_gap)?;
        self.strengths
            .check()
            .map_err(|error| error.below("strengths"))
    }

    /// What a program said is an output of its own, so that it can be the input `judgements` of another run.
    fn outputs(&self) -> Vec<(OutputName, ArtifactType)> {
        let said = (self.labeller == Labeller::Command)
            .then(|| (output_name("judgements"), ArtifactType::Dataset));
        let always = Self::SPEC.outputs.iter();
        let always = always.map(|(name, artifact)| (output_name(name), *artifact));
        always.chain(said).collect()
    }

    fn check_inputs(&self, given: &BTreeSet<&str>) -> Result<(), BadValue> {
        let scored = self.labeller == Labeller::RewardModel;
        if scored != given.contains("reward_model") {
            return Err(BadValue::unmatched(
                "reward_model",
                scored,
                "the labeller `reward_model`",
            ));
        }
        let commanded = self.labeller == Labeller::Command;
        if commanded && self.command.is_empty() && !given.contains("judgements") {
            return Err(BadValue::new(
                "command",
                "a program and its arguments, or the input `judgements` with what one has said before",
                "neither",
            ));
        }
        let unused = ["judgements", SOURCE_INPUT]
            .into_iter()
            .find(|name| !commanded && given.contains(name));
        match unused {
            Some(name) => Err(BadValue::unmatched(name, false, "the labeller `command`")),
            None => Ok(()),
        }
    }

    fn runs_program(&self) -> bool {
        self.labeller == Labeller::Command
    }
}

impl AnnotateParams {
    fn check_labeller(&self) -> Result<(), BadValue> {
        if self.labeller == Labeller::Rule && self.gold.is_none() {
            return Err(BadValue::new(
                "gold",
                "a rule, since the labeller is `rule`",
                "nothing",
            ));
        }
        match self.labeller {
            Labeller::Command if self.command.is_empty() => Ok(()),
            Labeller::Command => check_argv("command", &self.command),
            _ if self.command.is_empty() => Ok(()),
            _ => Err(BadValue::new(
                "command",
                "nothing, unless the labeller is `command`",
                format!("{:?}", self.command),
            )),
        }
    }
}

fn not_negative(key: &str, value: f64) -> Result<(), BadValue> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(BadValue::new(key, "a number of at least 0", value))
}

fn at_least(key: &str, value: f64, weaker: &str, least: f64) -> Result<(), BadValue> {
    if value.is_finite() && value >= least {
        return Ok(());
    }
    let expected = format!("a number of at least `{weaker}`, which is {least}");
    Err(BadValue::new(key, expected, value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::checking::Good;
    use super::*;
    use crate::StageKind;

    fn good() -> Good {
        Good {
            kind: StageKind::Annotate,
            params: json!({"num_generations": 4, "labeller": "rule", "gold": "rust-signature"}),
        }
    }

    #[test]
    fn values() {
        let good = good();
        good.check(json!({}), "good");
        good.check(
            json!({"form": "rankings", "stop": [";", "{"], "prompts": 8}),
            "good",
        );
        good.check(
            json!({"num_generations": 1}),
            "num_generations: expected at least 2, since one completion of a prompt has no other to be compared with \
             (K = 1), found 1",
        );
        good.check(
            json!({"temperature": 0}),
            "temperature: expected a number above 0 and at most 100: at 0 all samples of a prompt would be the same, \
             found 0",
        );
        good.check(
            json!({"stop": [""]}),
            "stop: expected no empty text, found \"\"",
        );
        good.check(
            json!({"max_pairs_per_prompt": 0}),
            "max_pairs_per_prompt: expected at least 1, found 0",
        );
        good.check(
            json!({"min_gap": -0.1}),
            "min_gap: expected a number of at least 0, found -0.1",
        );
    }

    #[test]
    fn thresholds_are_in_order() {
        let good = good();
        good.check(json!({"strengths": {"significantly": 0.4}}), "good");
        good.check(
            json!({"strengths": {"significantly": 0.2}}),
            "strengths.significantly: expected a number of at least `better`, which is 0.3, found 0.2",
        );
        good.check(
            json!({"strengths": {"better": 0.1}}),
            "strengths.better: expected a number of at least `slightly`, which is 0.12, found 0.1",
        );
        good.check(
            json!({"strengths": {"slightly": -1}}),
            "strengths.slightly: expected a number of at least 0, found -1",
        );
        good.check(
            json!({"strengths": {"beter": 1}}),
            "strengths.beter: expected a known key, such as `better`, found an unknown key",
        );
    }

    #[test]
    fn a_labeller_has_what_it_labels_by() {
        let good = good();
        good.check(
            json!({"gold": null}),
            "gold: expected a rule, since the labeller is `rule`, found nothing",
        );
        good.check(
            json!({"labeller": null}),
            "labeller: expected a value, found nothing",
        );
        good.check(
            json!({"labeller": "human"}),
            "labeller: expected one of `rule`, `reward_model`, `command`, found unknown variant `human`",
        );
        good.check(
            json!({"labeller": "command", "command": ["python3", "label.py"]}),
            "good",
        );
        good.check(
            json!({"labeller": "command", "command": [""]}),
            "command: expected a program and its arguments, found [\"\"]",
        );
        good.check(
            json!({"command": ["python3"]}),
            "command: expected nothing, unless the labeller is `command`, found [\"python3\"]",
        );
    }

    #[test]
    fn inputs_are_those_that_the_labeller_reads() {
        let (good, rule) = (good(), json!({}));
        good.check_inputs(rule.clone(), &["policy", "prompts"], "good");
        good.check_inputs(
            rule.clone(),
            &["policy", "prompts", "reward_model"],
            "inputs.reward_model: expected no such input, since only the labeller `reward_model` reads it, found one",
        );
        good.check_inputs(
            rule,
            &["policy", "prompts", "source"],
            "inputs.source: expected no such input, since only the labeller `command` reads it, found one",
        );
        let model = json!({"labeller": "reward_model", "gold": null});
        good.check_inputs(
            model.clone(),
            &["policy", "prompts", "reward_model"],
            "good",
        );
        good.check_inputs(
            model,
            &["policy", "prompts"],
            "inputs.reward_model: expected an input, since the labeller `reward_model` needs it, found nothing",
        );
        let replayed = json!({"labeller": "command", "gold": null});
        good.check_inputs(
            replayed.clone(),
            &["policy", "prompts", "judgements"],
            "good",
        );
        good.check_inputs(
            replayed,
            &["policy", "prompts"],
            "command: expected a program and its arguments, or the input `judgements` with what one has said before, \
             found neither",
        );
        let program = json!({"labeller": "command", "command": ["judge"]});
        good.check_inputs(program, &["policy", "prompts", "source"], "good");
    }

    #[test]
    fn a_gap_has_the_strength_of_the_greatest_threshold_it_reaches() {
        let gaps = StrengthGaps::default();
        let strengths = [0.55, 0.549, 0.3, 0.12, 0.119, 0.0].map(|gap| gaps.strength(gap));
        use Strength::{Better, Negligibly, Significantly, Slightly};
        assert_eq!(
            strengths,
            [
                Significantly,
                Better,
                Better,
                Slightly,
                Negligibly,
                Negligibly
            ]
        );
    }
}
