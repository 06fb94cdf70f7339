//! Cross-entropy of the next token, as a mean over the tokens that an update learns from.

use super::source::{MicroBatch, Sequence, StepBatch};
use crate::error::{Error, Result};
use crate::loss::{cross_entropy, rows_with_targets};
use crate::model::Pack;
use crate::train::{Objective, Outcome, Pass, Unit};
use crate::{Kind, Tensor};
use std::ops::Range;

/// The loss of one micro-batch.
struct NextToken {
    /// The targets of each unit's tokens, end to end.
    targets: Vec<Vec<i64>>,
    /// One over the number of tokens that the whole update learns from.
    scale: f64,
    /// Whether entropy and accuracy are wanted.
    measure: bool,
}

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

impl NextToken {
    fn targets_of(&self, units: Range<usize>) -> Result<&[Vec<i64>]> {
        let missing = || Error::Invalid(format!("no targets for the units {units:?}"));
        self.targets.get(units.clone()).ok_or_else(missing)
    }
}

impl Objective for NextToken {
    fn outcome(&self, pass: &Pass) -> Result<Outcome> {
        let targets = self.targets_of(pass.units.clone())?;
        let found = cross_entropy(pass.model, pass.hidden, &targets.concat(), self.measure)?;
        let loss = found.sum.f_mul_scalar(self.scale)?;
        let values = if self.measure {
            let sums = [&found.entropy, &found.correct].map(|rows| rows.f_sum(Kind::Double));
            let [entropy, correct] = sums;
            Tensor::f_stack(&[entropy?, correct?], 0)?.f_mul_scalar(self.scale)?
        } else {
            Tensor::f_zeros([0], (Kind::Double, pass.hidden.device()))?
        };
        Ok(Outcome { loss, values })
    }

    fn rows(&self, units: Range<usize>, _: &Pack) -> Result<Vec<i64>> {
        let targets = self.targets_of(units)?.iter().flatten();
        Ok(rows_with_targets(targets.copied()))
    }
}
