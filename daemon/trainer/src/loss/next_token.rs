//! Cross-entropy of the next token, as a mean over the tokens that an update learns from.

use super::{cross_entropy, rows_with_targets};
use crate::error::{Error, Result};
use crate::model::Pack;
use crate::train::{Objective, Outcome, Pass};
use std::ops::Range;
use tch::{Kind, Tensor};

/// The loss of one micro-batch. Measured, its values are the mean entropy and accuracy.
#[derive(Clone, Debug)]
pub struct NextToken {
    /// The targets of each unit's tokens, end to end.
    pub targets: Vec<Vec<i64>>,
    /// One over the number of tokens that the whole update learns from.
    pub scale: f64,
    /// Whether entropy and accuracy are wanted.
    pub measure: bool,
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
