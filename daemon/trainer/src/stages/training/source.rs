//! What a training stage brings to the loop: the batch of each step, as a function of nothing but the seed and the step.

use crate::contract::StageResult;
use crate::model::Model;
use crate::train::{Objective, Unit};

/// A token sequence and, for each position, the token to predict or [`crate::loss::IGNORE`].
pub(crate) type Sequence = (Vec<u32>, Vec<i64>);

/// Sequences that a model can be judged on.
pub(crate) trait Sequences: Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// One of them.
    fn sequence(&self, index: usize) -> Sequence;
}

/// What one forward pass sees, and what is made of it.
pub(crate) struct MicroBatch {
    /// The sequences, by unit.
    pub units: Vec<Unit>,
    /// The loss of these units.
    pub objective: Box<dyn Objective>,
}

/// What one update sees.
pub(crate) struct StepBatch {
    /// The forward passes.
    pub micro_batches: Vec<MicroBatch>,
    /// Rows or sequences.
    pub samples: u64,
    /// Tokens that the model reads.
    pub tokens: u64,
}

impl StepBatch {
    pub(crate) fn new(micro_batches: Vec<MicroBatch>, samples: u64) -> Self {
        let units = micro_batches.iter().flat_map(|batch| &batch.units);
        let tokens = units.map(|unit| unit.tokens() as u64).sum();
        Self {
            micro_batches,
            samples,
            tokens,
        }
    }
}

/// Figures by name.
pub(crate) type NamedFigures = Vec<(&'static str, f64)>;

/// Where batches come from.
pub(crate) trait Source {
    /// How many updates there are.
    fn total_steps(&self) -> u64;

    /// The batch of a step, counted from 1.
    fn batch(&mut self, step: u64) -> StageResult<StepBatch>;

    /// The rows or sequences of a step, for an error.
    fn describe(&mut self, step: u64) -> String;

    /// How often the data has been seen after that many steps.
    fn epoch(&self, steps: u64) -> f64;

    /// What a step's loss and its objectives' summed values say, besides the loss itself.
    fn figures(&self, loss: f64, values: &[f64]) -> NamedFigures;
}

/// Data that is not trained on.
pub(crate) trait HeldOut {
    /// What the model is worth on it. Neither `batch` nor `threads` changes a bit of the result.
    fn judge(&self, model: &Model, batch: usize, threads: usize) -> StageResult<NamedFigures>;

    /// The tokens of a prompt to complete on the way; none if there is nothing to complete.
    fn prompt(&self, number: usize) -> Option<Vec<u32>>;
}

/// Names of a batch's parts, at most 64 of them.
pub(crate) fn listed(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    let more = names.len().saturating_sub(64);
    names.truncate(64);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}
