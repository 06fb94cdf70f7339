//! Losses and log-probabilities straight from hidden states, without a table of all logits in memory.
//!
//! On the CPU a fused kernel takes a few rows at a time, so that their logits stay in the cache, and skips rows without a
//! target. The log-probability of a token has the same bits whatever the batch around it.

pub mod dpo;
mod next_token;
pub(crate) mod preference;
pub mod reward;
#[cfg(test)]
mod testing;

pub use next_token::NextToken;

use crate::{
    error::{Error, Result},
    model::Model,
    shim,
};
use tch::Tensor;

/// Rows with this target count for nothing.
pub const IGNORE: i64 = -100;

/// The summed cross-entropy of a pass, with measurements per row.
#[derive(Debug)]
pub struct CrossEntropy {
    /// Σ −log p(target): a scalar, differentiable.
    pub sum: Tensor,
    /// Entropy of each row's distribution, 0 where there is no target (empty unless measured).
    pub entropy: Tensor,
    /// 1 where the most likely token is the target (empty unless measured).
    pub correct: Tensor,
}

/// Log-probabilities of the targets, with measurements per row.
#[derive(Debug)]
pub struct LogProbabilities {
    /// log p(target), 0 where there is no target; differentiable: [rows].
    pub values: Tensor,
    /// Entropy of each row's distribution (empty unless measured).
    pub entropy: Tensor,
    /// 1 where the most likely token is the target (empty unless measured).
    pub correct: Tensor,
}

/// Σ −log p(target) over the rows with a target (not [`IGNORE`]); `targets` has one entry per row of `hidden`.
pub fn cross_entropy(
    model: &Model,
    hidden: &Tensor,
    targets: &[i64],
    measure: bool,
) -> Result<CrossEntropy> {
    let targets = checked(model, hidden, targets)?;
    let weight = model.output_matrix()?;
    if model.compute().has_kernels() && hidden.requires_grad() {
        let [sum, entropy, correct] = shim::cross_entropy(hidden, weight, &targets, measure)?;
        return Ok(CrossEntropy {
            sum,
            entropy,
            correct,
        });
    }
    let LogProbabilities {
        values,
        entropy,
        correct,
    } = rows(model, hidden, &targets, 1.0, measure)?;
    Ok(CrossEntropy {
        sum: sum(&values)?.f_neg()?,
        entropy,
        correct,
    })
}

/// log p(target) of each row under softmax(logits / temperature).
pub fn log_probabilities(
    model: &Model,
    hidden: &Tensor,
    targets: &[i64],
    temperature: f64,
    measure: bool,
) -> Result<LogProbabilities> {
    if !(temperature.is_finite() && temperature > 0.0) {
        return Err(Error::Invalid(format!(
            "a temperature of {temperature} cannot be used; expected a positive number"
        )));
    }
    rows(
        model,
        hidden,
        &checked(model, hidden, targets)?,
        temperature,
        measure,
    )
}

/// The rows that have a target, in ascending order.
pub(crate) fn rows_with_targets(targets: impl IntoIterator<Item = i64>) -> Vec<i64> {
    let rows = (0..).zip(targets);
    rows.filter(|&(_, target)| target != IGNORE)
        .map(|(row, _)| row)
        .collect()
}

/// The sum over a tensor in an order that does not depend on the number of threads; differentiable.
pub fn sum(values: &Tensor) -> Result<Tensor> {
    // Operations run single-threaded on the CPU (see `device`), which fixes the order of ATen's own sum as well.
    Ok(values.f_sum(values.kind())?)
}

fn rows(
    model: &Model,
    hidden: &Tensor,
    targets: &Tensor,
    temperature: f64,
    measure: bool,
) -> Result<LogProbabilities> {
    if model.compute().has_kernels() {
        let weight = model.output_matrix()?;
        let [values, entropy, correct] =
            shim::log_probability(hidden, weight, targets, temperature, measure)?;
        return Ok(LogProbabilities {
            values,
            entropy,
            correct,
        });
    }
    let precise = model.compute().precise();
    let logits = model.logits(hidden)?.f_div_scalar(temperature)?;
    let log_softmax = logits.f_log_softmax(-1, precise)?;
    let mask = targets.f_ge(0)?;
    let picked = log_softmax
        .f_gather(1, &targets.f_clamp_min(0)?.f_unsqueeze(1)?, false)?
        .f_squeeze_dim(1)?;
    let values = picked.f_mul(&mask.f_to_kind(precise)?)?;
    let empty = || Tensor::f_zeros([0], (precise, hidden.device()));
    if !measure {
        return Ok(LogProbabilities {
            values,
            entropy: empty()?,
            correct: empty()?,
        });
    }
    let log_softmax = log_softmax.f_detach()?;
    let entropy = log_softmax
        .f_exp()?
        .f_mul(&log_softmax)?
        .f_sum_dim_intlist(&[1i64][..], false, precise)?
        .f_neg()?;
    let correct = logits
        .f_argmax(1, false)?
        .f_eq_tensor(targets)?
        .f_to_kind(precise)?;
    Ok(LogProbabilities {
        values,
        entropy: entropy.f_mul(&mask.f_to_kind(precise)?)?,
        correct,
    })
}

fn checked(model: &Model, hidden: &Tensor, targets: &[i64]) -> Result<Tensor> {
    let (count, vocabulary) = (hidden.size()[0], model.config().vocab_size);
    if targets.len() as i64 != count {
        return Err(Error::Invalid(format!(
            "{} targets for {count} rows",
            targets.len()
        )));
    }
    if let Some(bad) = targets
        .iter()
        .find(|&&target| target != IGNORE && !(0..vocabulary).contains(&target))
    {
        return Err(Error::Invalid(format!(
            "target {bad} is outside of the vocabulary of {vocabulary}"
        )));
    }
    Ok(Tensor::f_from_slice(targets)?.f_to_device(hidden.device())?)
}
