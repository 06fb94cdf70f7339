//! Cross-entropy of the next token, as a mean over the tokens that an update learns from.

use super::cross_entropy;
use crate::error::{Error, Result};
use crate::train::{Objective, Outcome, Pass};
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

impl Objective for NextToken {
    fn outcome(&self, pass: &Pass) -> Result<Outcome> {
        let targets = self
            .targets
            .get(pass.units.clone())
            .ok_or_else(|| Error::Invalid(format!("no targets for the units {:?}", pass.units)))?;
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
}
