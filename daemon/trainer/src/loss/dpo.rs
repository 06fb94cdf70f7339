//! Direct preference optimization (Rafailov et al., arXiv 2305.18290, eq. 7): −log σ(β·Δ), where Δ is by how much more the
//! policy prefers the chosen answer to the rejected one than the reference does.
//!
//! With label smoothing ε the loss is −(1 − ε)·log σ(βΔ) − ε·log σ(−βΔ) (cDPO; TRL 0.27.2). Llama 3.1 (arXiv 2407.21783,
//! §4.1.4) adds the cross-entropy of chosen answers, a mean over their tokens, and leaves tokens of the chat template out
//! of the sums of log-probabilities, but not out of the cross-entropy: the model still learns where an answer ends.

use super::preference::sequence_sums;
use super::{IGNORE, log_probabilities, rows_with_targets};
use crate::error::{Error, Result};
use crate::model::{Model, Pack};
use crate::train::{Objective, Outcome, Pass};
use std::ops::Range;
use tch::{Kind, Tensor};

/// What is to be predicted of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// For each input token the next one, if it belongs to the answer, or [`IGNORE`].
    pub targets: Vec<i64>,
    /// For each input token, whether the sum of log-probabilities counts its target.
    pub counted: Vec<bool>,
    /// The reference's sum.
    pub reference: f64,
}

/// How the loss is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DpoOptions {
    /// β: how strongly the policy is held to the reference.
    pub beta: f64,
    /// ε: the probability with which a label is taken to be the wrong way round.
    pub label_smoothing: f64,
    /// The weight of the cross-entropy of chosen answers.
    pub sft_loss_weight: f64,
}

/// The names of what [`DpoLoss`] measures, in the order of its values.
pub const MEASURED: [&str; 10] = [
    "rewards/chosen",
    "rewards/rejected",
    "rewards/accuracies",
    "rewards/margins",
    "logps/chosen",
    "logps/rejected",
    "logits/chosen",
    "logits/rejected",
    "entropy",
    "mean_token_accuracy",
];

/// The loss of one micro-batch, whose units are pairs of sequences: chosen, rejected.
#[derive(Clone, Debug)]
pub struct DpoLoss {
    /// Chosen and rejected of each unit.
    pub pairs: Vec<[Answer; 2]>,
    /// How the loss is made.
    pub options: DpoOptions,
    /// Over how much of everything the whole update takes its means.
    pub in_update: Counts,
}

/// Pairs, and tokens of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pairs.
    pub pairs: usize,
    /// Tokens of chosen answers.
    pub chosen_tokens: usize,
    /// Tokens of rejected answers.
    pub rejected_tokens: usize,
}

impl Counts {
    /// Counts one more pair.
    pub fn add(&mut self, [chosen, rejected]: &[Answer; 2]) {
        self.pairs += 1;
        self.chosen_tokens += chosen.tokens();
        self.rejected_tokens += rejected.tokens();
    }
}

impl Answer {
    fn tokens(&self) -> usize {
        self.targets
            .iter()
            .filter(|&&target| target != IGNORE)
            .count()
    }
}

/// The sum of each sequence's counted log-probabilities: float64 [sequences]. Policy and reference go the same way, so that
/// equal weights give equal bits.
pub(crate) fn answer_sums(pack: &Pack, values: &Tensor, counted: &[bool]) -> Result<Tensor> {
    let counted = Tensor::f_from_slice(counted)?
        .f_to_device(values.device())?
        .f_to_kind(values.kind())?;
    sequence_sums(pack, &values.f_mul(&counted)?)
}

/// Log-probabilities of answers under a model that is not trained: one sum a sequence of the pack, over the tokens that are
/// `counted`. `targets` and `counted` have one entry a token of the pack.
pub fn reference_sums(
    model: &Model,
    pack: &Pack,
    targets: &[i64],
    counted: &[bool],
) -> Result<Vec<f64>> {
    let hidden = model.hidden_at(pack, &rows_with_targets(targets.iter().copied()))?;
    let found = log_probabilities(model, &hidden, targets, 1.0, false)?;
    let sums = answer_sums(pack, &found.values, counted)?;
    Ok(Vec::<f64>::try_from(&sums.f_to_device(tch::Device::Cpu)?)?)
}

/// −log σ of each pair (smoothed) and the implicit rewards of chosen and rejected, from sums [pairs, 2] in float64.
fn from_sums(policy: &Tensor, reference: &Tensor, options: DpoOptions) -> Result<[Tensor; 2]> {
    let ratios = policy.f_sub(reference)?;
    let delta = ratios.f_select(1, 0)?.f_sub(&ratios.f_select(1, 1)?)?;
    let delta = delta.f_mul_scalar(options.beta)?;
    let mut loss = delta.f_log_sigmoid()?.f_neg()?;
    if options.label_smoothing != 0.0 {
        let flipped = delta.f_neg()?.f_log_sigmoid()?.f_neg()?;
        loss = loss
            .f_mul_scalar(1.0 - options.label_smoothing)?
            .f_add(&flipped.f_mul_scalar(options.label_smoothing)?)?;
    }
    Ok([loss, ratios.f_detach()?.f_mul_scalar(options.beta)?])
}

impl Objective for DpoLoss {
    fn outcome(&self, pass: &Pass) -> Result<Outcome> {
        let pairs = self.pairs_of(pass.units.clone())?;
        let answers = || pairs.iter().flatten();
        let targets: Vec<i64> = answers()
            .flat_map(|one| one.targets.iter().copied())
            .collect();
        let counted: Vec<bool> = answers()
            .flat_map(|one| one.counted.iter().copied())
            .collect();
        let reference: Vec<f64> = answers().map(|one| one.reference).collect();
        let found = log_probabilities(pass.model, pass.hidden, &targets, 1.0, true)?;
        let policy = answer_sums(pass.pack, &found.values, &counted)?.f_view([-1, 2])?;
        let reference = Tensor::f_from_slice(&reference)?
            .f_to_device(policy.device())?
            .f_view([-1, 2])?;
        let [each, rewards] = from_sums(&policy, &reference, self.options)?;
        let mut loss = each
            .f_sum(Kind::Double)?
            .f_div_scalar(self.in_update.pairs as f64)?;
        let tokens = TokenSums::new(pass, &targets)?;
        if self.options.sft_loss_weight != 0.0 {
            let chosen = tokens.sum(&found.values)?.f_select(0, 0)?;
            let scale = self.options.sft_loss_weight / self.in_update.chosen_tokens.max(1) as f64;
            loss = loss.f_sub(&chosen.f_mul_scalar(scale)?)?;
        }
        let mut values = self.pair_means(&rewards, &policy.f_detach()?)?;
        values.extend(self.token_means(&tokens, pass, &found.entropy, &found.correct)?);
        let values = Tensor::f_stack(&values, 0)?;
        Ok(Outcome { loss, values })
    }

    fn rows(&self, units: Range<usize>, _: &Pack) -> Result<Vec<i64>> {
        let answers = self.pairs_of(units)?.iter().flatten();
        Ok(rows_with_targets(
            answers.flat_map(|one| one.targets.iter().copied()),
        ))
    }
}

impl DpoLoss {
    fn pairs_of(&self, units: Range<usize>) -> Result<&[[Answer; 2]]> {
        let missing = || Error::Invalid(format!("no answers for the units {units:?}"));
        self.pairs.get(units.clone()).ok_or_else(missing)
    }

    /// Parts of the update's means over pairs; `rewards` and `sums` are [pairs, 2].
    fn pair_means(&self, rewards: &Tensor, sums: &Tensor) -> Result<Vec<Tensor>> {
        let scale = 1.0 / self.in_update.pairs as f64;
        let part = |each: &Tensor| each.f_sum(Kind::Double)?.f_mul_scalar(scale);
        let [chosen, rejected] = [rewards.f_select(1, 0)?, rewards.f_select(1, 1)?];
        let right = chosen.f_gt_tensor(&rejected)?.f_to_kind(Kind::Double)?;
        Ok(vec![
            part(&chosen)?,
            part(&rejected)?,
            part(&right)?,
            part(&chosen.f_sub(&rejected)?)?,
            part(&sums.f_select(1, 0)?)?,
            part(&sums.f_select(1, 1)?)?,
        ])
    }

    /// Parts of the update's means over tokens.
    fn token_means(
        &self,
        tokens: &TokenSums,
        pass: &Pass,
        entropy: &Tensor,
        correct: &Tensor,
    ) -> Result<Vec<Tensor>> {
        let Counts {
            chosen_tokens,
            rejected_tokens,
            ..
        } = self.in_update;
        let over = |sum: Tensor, count: usize| sum.f_div_scalar(count.max(1) as f64);
        // The mean over the vocabulary of h·Wᵀ is h·(mean of W's rows): no table of logits is needed.
        let mean_row =
            pass.model
                .output_matrix()?
                .f_detach()?
                .f_mean_dim(&[0i64][..], true, Kind::Float)?;
        let logits = pass.hidden.f_detach()?.f_to_kind(Kind::Float)?;
        let logits = logits
            .f_mul(&mean_row)?
            .f_sum_dim_intlist(&[1i64][..], false, Kind::Float)?;
        let [logits, entropy, correct] = [
            tokens.sum(&logits)?,
            tokens.sum(entropy)?,
            tokens.sum(correct)?,
        ];
        Ok(vec![
            over(logits.f_select(0, 0)?, chosen_tokens)?,
            over(logits.f_select(0, 1)?, rejected_tokens)?,
            over(
                entropy.f_sum(Kind::Double)?,
                chosen_tokens + rejected_tokens,
            )?,
            over(correct.f_select(0, 0)?, chosen_tokens)?,
        ])
    }
}

/// Sums over the answers' tokens, of chosen and of rejected ones.
struct TokenSums<'a> {
    pack: &'a Pack,
    is_answer: Tensor,
}

impl<'a> TokenSums<'a> {
    fn new(pass: &Pass<'a>, targets: &[i64]) -> Result<Self> {
        let is_answer: Vec<f64> = targets
            .iter()
            .map(|&target| f64::from(u8::from(target != IGNORE)))
            .collect();
        Ok(Self {
            pack: pass.pack,
            is_answer: Tensor::f_from_slice(&is_answer)?.f_to_device(pass.hidden.device())?,
        })
    }

    /// Float64 [2]: the sum over chosen answers and that over rejected ones.
    fn sum(&self, rows: &Tensor) -> Result<Tensor> {
        let rows = rows.f_to_kind(Kind::Double)?.f_mul(&self.is_answer)?;
        let by_pair = sequence_sums(self.pack, &rows)?.f_view([-1, 2])?;
        Ok(by_pair.f_sum_dim_intlist(&[0i64][..], false, Kind::Double)?)
    }
}

#[cfg(test)]
mod tests;
