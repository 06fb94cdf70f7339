//! The loss of a reward model: −log σ(r_better − r_worse − m) over the pairs of answers to one prompt.
//!
//! Llama 2 (arXiv 2307.09288, eq. 2) has the margin m; InstructGPT (arXiv 2203.02155, eq. 1) takes all pairs of a ranking
//! of K answers as one element, weighted by 1/C(K, 2), so that an answer is passed through the model once and does not
//! count K − 1 times. TRL's centring term c·(r_better + r_worse)² keeps rewards around 0.

use super::preference::last_scores;
use crate::error::{Error, Result};
use crate::model::Pack;
use crate::train::{Objective, Outcome, Pass};
use std::ops::Range;
use tch::{Kind, Tensor};

/// Two sequences of a unit, of which one is preferred.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pairing {
    /// The preferred one's number in its unit.
    pub better: usize,
    /// The other one's.
    pub worse: usize,
    /// By how much the preferred one should score above the other.
    pub margin: f64,
}

/// The names of what [`RewardLoss`] measures, in the order of its values; the score of every sequence follows them.
pub const MEASURED: [&str; 3] = ["accuracy", "margin", "mean_reward"];

/// The loss of one micro-batch.
#[derive(Clone, Debug)]
pub struct RewardLoss {
    /// The pairs of each unit, none of them empty.
    pub pairs: Vec<Vec<Pairing>>,
    /// The number of each unit's first sequence among those of the whole update.
    pub first_sequence: Vec<usize>,
    /// Units of the whole update.
    pub units_in_update: usize,
    /// Sequences of the whole update.
    pub sequences_in_update: usize,
    /// c: the weight of the centring term.
    pub center_rewards_coefficient: f64,
}

/// The pairs of some units over the sequences of their pack, as columns.
#[derive(Debug, Default)]
struct Columns {
    better: Vec<i64>,
    worse: Vec<i64>,
    margin: Vec<f64>,
    weight: Vec<f64>,
}

impl Columns {
    /// `first` is the number of the unit's first sequence in the pack.
    fn add(&mut self, pairs: &[Pairing], first: usize, unit_weight: f64) {
        let weight = unit_weight / pairs.len() as f64;
        for pair in pairs {
            self.better.push((first + pair.better) as i64);
            self.worse.push((first + pair.worse) as i64);
            self.margin.push(pair.margin);
            self.weight.push(weight);
        }
    }
}

/// The loss and the weighted sums of accuracy and margin, from the sequences' scores (float64 [sequences]).
fn from_scores(scores: &Tensor, columns: &Columns, centring: f64) -> Result<[Tensor; 3]> {
    let place = |tensor: Result<Tensor, tch::TchError>| tensor?.f_to_device(scores.device());
    let better = scores.f_index_select(0, &place(Tensor::f_from_slice(&columns.better))?)?;
    let worse = scores.f_index_select(0, &place(Tensor::f_from_slice(&columns.worse))?)?;
    let margin = place(Tensor::f_from_slice(&columns.margin))?;
    let weight = place(Tensor::f_from_slice(&columns.weight))?;
    let difference = better.f_sub(&worse)?;
    let mut each = difference.f_sub(&margin)?.f_log_sigmoid()?.f_neg()?;
    if centring != 0.0 {
        let square = better.f_add(&worse)?.f_square()?;
        each = each.f_add(&square.f_mul_scalar(centring)?)?;
    }
    let sum = |each: &Tensor| each.f_mul(&weight)?.f_sum(Kind::Double);
    let difference = difference.f_detach()?;
    let correct = difference.f_gt(0.0)?.f_to_kind(Kind::Double)?;
    Ok([sum(&each)?, sum(&correct)?, sum(&difference)?])
}

impl Objective for RewardLoss {
    fn outcome(&self, pass: &Pass) -> Result<Outcome> {
        let missing = || Error::Invalid(format!("no pairs for the units {:?}", pass.units));
        let units = self.pairs.get(pass.units.clone()).ok_or_else(missing)?;
        let firsts = self.first_sequence.get(pass.units.clone());
        let firsts = firsts.ok_or_else(missing)?;
        let before = firsts.first().copied().ok_or_else(missing)?;
        let mut columns = Columns::default();
        for (pairs, first) in units.iter().zip(firsts) {
            columns.add(pairs, first - before, 1.0 / self.units_in_update as f64);
        }
        let scores = last_scores(pass.model, pass.pack, pass.hidden)?.f_to_kind(Kind::Double)?;
        let [loss, correct, margin] =
            from_scores(&scores, &columns, self.center_rewards_coefficient)?;
        let scores = scores.f_detach()?;
        let mean = scores
            .f_sum(Kind::Double)?
            .f_div_scalar(self.sequences_in_update as f64)?;
        let behind = self.sequences_in_update - before - scores.size()[0] as usize;
        let placed = scores.f_constant_pad_nd([before as i64, behind as i64])?;
        let means = Tensor::f_stack(&[correct, margin, mean], 0)?;
        let values = Tensor::f_cat(&[means, placed], 0)?;
        Ok(Outcome { loss, values })
    }

    fn rows(&self, _: Range<usize>, pack: &Pack) -> Result<Vec<i64>> {
        Ok(pack.last_tokens())
    }
}

#[cfg(test)]
mod tests;
