//! The batch of an update that learns the next token.

use super::source::{MicroBatch, Sequence, StepBatch};
use crate::loss::NextToken;
use crate::train::Unit;

/// An update on micro-batches of units of sequences; `samples` rows stand in them. With `measure`, its values are the mean
/// entropy and accuracy.
pub(crate) fn next_token(
    micro_batches: Vec<Vec<Vec<Sequence>>>,
    samples: u64,
    measure: bool,
) -> StepBatch {
    let sequences = micro_batches.iter().flatten().flatten();
    let targets = sequences.flat_map(|(_, targets)| targets);
    let learned = targets.filter(|&&target| target >= 0).count().max(1);
    let scale = 1.0 / learned as f64;
    let micro_batches = micro_batches
        .into_iter()
        .map(|units| micro_batch(units, scale, measure));
    StepBatch::new(micro_batches.collect(), samples)
}

fn micro_batch(units: Vec<Vec<Sequence>>, scale: f64, measure: bool) -> MicroBatch {
    let (units, targets) = units
        .into_iter()
        .map(|unit| {
            let (sequences, targets): (Vec<_>, Vec<_>) = unit.into_iter().unzip();
            (Unit { sequences }, targets.concat())
        })
        .unzip();
    MicroBatch {
        units,
        objective: Box::new(NextToken {
            targets,
            scale,
            measure,
        }),
    }
}
