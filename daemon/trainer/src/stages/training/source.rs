//! What a training stage brings to the loop: the batch of each step, as a function of nothing but the seed and the step.

use crate::contract::StageResult;
use crate::train::Unit;

/// A token sequence and, for each position, the token to predict or [`crate::loss::IGNORE`].
pub(crate) type Sequence = (Vec<u32>, Vec<i64>);

/// Sequences that a model can be judged on.
pub(crate) trait Sequences: Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// One of them.
    fn sequence(&self, index: usize) -> Sequence;
}

/// What one forward pass sees.
#[derive(Debug, Default)]
pub(crate) struct MicroBatch {
    /// The sequences, by unit.
    pub units: Vec<Unit>,
    /// The targets of each unit's tokens, end to end.
    pub targets: Vec<Vec<i64>>,
}

impl MicroBatch {
    /// A micro-batch of units, each of some sequences.
    pub(crate) fn new(units: Vec<Vec<Sequence>>) -> Self {
        let mut batch = Self::default();
        for unit in units {
            let (sequences, targets): (Vec<_>, Vec<_>) = unit.into_iter().unzip();
            batch.units.push(Unit { sequences });
            batch.targets.push(targets.concat());
        }
        batch
    }
}

/// What one update sees.
#[derive(Debug)]
pub(crate) struct StepBatch {
    /// The forward passes.
    pub micro_batches: Vec<MicroBatch>,
    /// Rows or sequences.
    pub samples: u64,
    /// Tokens that the model reads.
    pub tokens: u64,
    /// Tokens that the loss counts; at least one.
    pub learned: u64,
}

impl StepBatch {
    pub(crate) fn new(micro_batches: Vec<MicroBatch>, samples: u64) -> Self {
        let count =
            |of: fn(&MicroBatch) -> usize| micro_batches.iter().map(of).sum::<usize>() as u64;
        let tokens = count(|batch| batch.targets.iter().map(Vec::len).sum());
        let learned = count(|batch| {
            let targets = batch.targets.iter().flatten();
            targets.filter(|&&target| target >= 0).count()
        });
        Self {
            samples,
            tokens,
            learned: learned.max(1),
            micro_batches,
        }
    }
}

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
