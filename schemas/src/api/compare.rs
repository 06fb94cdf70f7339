//! Lineages side by side: what `begat compare` finds.
//!
//! Every list named `values`, `cells` or the like has one place for each lineage, in the order of
//! [`Comparison::lineages`]; what a lineage lacks is null there. Numbers of lineages and stages count from 0.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CandidateKind, Footprint, StageState};
use crate::{Difference, GoldRule, Metric, OutputName, RecipeName, RunId, StageKind, TreeDigest};

/// Two or more lineages, aligned stage by stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// What was compared; the others are measured against the first.
    pub lineages: Vec<ComparedLineage>,
    /// The stages. Those of the first lineage come in its order, an evaluation right after what it judges.
    pub stages: Vec<ComparedStage>,
    /// Where they part; absent if they share every stage that trains or makes something.
    pub parting: Option<Parting>,
    /// What they cost.
    pub costs: ComparedCosts,
    /// The last model of each, compared.
    pub finals: ComparedFinals,
    /// The first held-out prompts that every last model was asked, with the answers; never picked.
    pub samples: Vec<ComparedSample>,
}

/// A lineage: the stages that lead to something, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedLineage {
    /// What it was called in the question.
    pub name: String,
    /// What that name stands for.
    pub kind: CandidateKind,
    /// The full name of that.
    pub id: String,
    /// The recipe, if it is a launch.
    pub recipe: Option<RecipeName>,
    /// Number of its stages.
    pub stages: u64,
    /// Its last model.
    pub checkpoint: Option<TreeDigest>,
    /// The name of the stage that made it.
    pub checkpoint_stage: Option<String>,
}

/// How stages of several lineages stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// Every lineage has this very run.
    Shared,
    /// Several have such a stage, but not one and the same run.
    Counterpart,
    /// One lineage has it.
    Only,
}

/// A stage of one or several lineages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedStage {
    /// Its kind.
    pub kind: StageKind,
    /// How the lineages' stages stand to each other.
    pub relation: Relation,
    /// Of an evaluation, the number of the stage whose model it judges.
    pub judges: Option<u64>,
    /// The lineages' stages.
    pub cells: Vec<Option<StageCell>>,
    /// In what each lineage's run differs from that of the first lineage that has such a stage.
    pub differences: Vec<StageDifference>,
    /// What was measured last; of an evaluation, what its report says.
    pub metrics: BTreeMap<String, MetricComparison>,
}

/// A stage of one lineage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageCell {
    /// Its place in its lineage, from 1.
    pub position: u64,
    /// Its name.
    pub stage: String,
    /// Its run, once all its inputs are known.
    pub run: Option<RunId>,
    /// How it stands.
    pub state: StageState,
    /// What it made.
    pub outputs: BTreeMap<OutputName, TreeDigest>,
    /// Tokens it trained on.
    pub tokens: Option<u64>,
    /// How long the attempt that counts took.
    pub seconds: Option<f64>,
}

/// In what two runs differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageDifference {
    /// The lineage of the left values.
    pub left: u64,
    /// The lineage of the right values.
    pub right: u64,
    /// The keys of their derivations.
    pub keys: Vec<KeyDifference>,
}

/// A key in which two derivations differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyDifference {
    /// The key and both values.
    #[serde(flatten)]
    pub difference: Difference,
    /// Of an input: what made the left tree, or what that is known by.
    pub left_source: Option<InputSource>,
    /// Of an input: what made the right tree, or what that is known by.
    pub right_source: Option<InputSource>,
}

/// Where an input came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InputSource {
    /// The stage of the same lineage that made it.
    pub stage: Option<String>,
    /// The run that made it.
    pub run: Option<RunId>,
    /// A ref that points at it.
    #[serde(rename = "ref")]
    pub name: Option<String>,
}

/// One value in every lineage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricComparison {
    /// The values.
    pub values: Vec<Option<Metric>>,
    /// Each value less that of the first lineage that has one; null at that lineage.
    pub deltas: Vec<Option<Metric>>,
    /// Their 95 % intervals, where the report has them.
    pub intervals: Vec<Option<Interval>>,
}

/// An interval of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Where lineages part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Parting {
    /// The last shared stage before it; absent if they share nothing up to there.
    pub after: Option<u64>,
    /// The first stage of each lineage that is not shared; absent where there is none.
    pub next: Vec<Option<u64>>,
}

/// What lineages cost. A run counts once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedCosts {
    /// The runs that every lineage has.
    pub shared: Cost,
    /// The runs that only this lineage has.
    pub own: Vec<Cost>,
    /// All runs of the lineage.
    pub whole: Vec<Cost>,
}

/// What some runs cost.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// Number of runs.
    pub runs: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// How long the attempts that count took.
    pub device_seconds: f64,
    /// Bytes of the outputs. Chunks are what is shared here, so that equal tensors of different runs are too.
    pub bytes: Footprint,
}

/// The lineages' last models, compared.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ComparedFinals {
    /// The evaluation of each that the values are from.
    pub evaluations: Vec<Option<RunId>>,
    /// Keys in which those evaluations differ, other than in what they judge: then the values are not alike.
    pub evaluation_differences: Vec<StageDifference>,
    /// What those evaluations report.
    pub metrics: BTreeMap<String, MetricComparison>,
    /// How often the answers of one were better than those of another.
    pub duels: Vec<Duel>,
}

/// Who says which of two answers is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Judge {
    /// A rule; never human feedback.
    Rule,
    /// A reward model.
    RewardModel,
}

/// Where a win rate is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DuelSource {
    /// From the report of an evaluation that had the other as its reference.
    Report,
    /// Computed from the scores in two reports, prompt by prompt.
    Scores,
}

/// How often the answers of one model were better than those of another, to the same prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Duel {
    /// The lineage whose wins are counted.
    pub lineage: u64,
    /// The lineage it is compared with.
    pub against: u64,
    /// Who judged.
    pub by: Judge,
    /// The rule, if one judged.
    pub rule: Option<GoldRule>,
    /// Where the rate is from.
    pub source: DuelSource,
    /// The evaluations.
    pub evaluations: Vec<RunId>,
    /// Number of prompts.
    pub prompts: Option<u64>,
    /// Better answers.
    pub wins: Option<u64>,
    /// Answers that are worth the same.
    pub ties: Option<u64>,
    /// Worse answers.
    pub losses: Option<u64>,
    /// Part of the prompts won, ties counted half.
    pub win_rate: f64,
    /// Its 95 % interval: Wilson's.
    pub interval: Option<Interval>,
    /// Mean of the scores' difference, prompt by prompt.
    pub mean_difference: Option<f64>,
    /// Its 95 % interval.
    pub mean_difference_interval: Option<Interval>,
}

/// A held-out prompt and what each last model said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedSample {
    /// What was given.
    pub prompt: String,
    /// What the dataset holds.
    pub reference: Option<String>,
    /// What came.
    pub answers: Vec<Option<ComparedAnswer>>,
}

/// What a model said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedAnswer {
    /// Sampled.
    pub completion: String,
    /// Whether the model ended it by itself.
    pub ended: bool,
    /// Completed greedily.
    pub greedy: String,
    /// The sampled answer's score by the rule.
    pub gold_score: Option<f64>,
    /// The sampled answer's score by the evaluation's reward model.
    pub reward: Option<f64>,
}
