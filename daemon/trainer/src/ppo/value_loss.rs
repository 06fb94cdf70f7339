//! The clipped loss of the value model, as in OpenAI's baselines and TRL.

use crate::{
    Kind, Tensor,
    error::{Error, Result},
    model::Pack,
    train::{Objective, Outcome, Pass, Unit},
};
use std::ops::Range;

/// What the value model learns of one episode.
#[derive(Clone, Debug)]
pub struct ValueEpisode {
    /// Prompt and completion.
    pub tokens: Vec<u32>,
    /// Tokens of the prompt, at least one.
    pub prompt: usize,
    /// The value of each slot at the time of the rollout.
    pub values: Vec<f32>,
    /// The return of each slot.
    pub returns: Vec<f32>,
}

impl ValueEpisode {
    /// What passes through the model: up to what is read in the last slot.
    #[must_use]
    pub fn unit(&self) -> Unit {
        Unit::single(self.tokens[..self.prompt - 1 + self.returns.len()].to_vec())
    }
}

/// The means of a minibatch, as the order of an objective's values; each carries its weight already.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ValueFigures {
    /// ½·mean of the larger square, without `coefficient`.
    pub loss: f64,
    /// Part of the slots whose value was cut.
    pub clip_fraction: f64,
}

impl ValueFigures {
    /// From an objective's values; `None` if it is another number of values.
    #[must_use]
    pub fn from_values(values: &[f64]) -> Option<Self> {
        let &[loss, clip_fraction] = values else {
            return None;
        };
        Some(Self {
            loss,
            clip_fraction,
        })
    }
}

/// Per slot: max((v − R)², (clip(v, v_old − ε, v_old + ε) − R)²), and whether the clip was the larger.
pub fn clipped_value_loss(
    new: &Tensor,
    old: &Tensor,
    returns: &Tensor,
    cliprange: f64,
) -> Result<[Tensor; 2]> {
    let (low, high) = (old.f_sub_scalar(cliprange)?, old.f_add_scalar(cliprange)?);
    let cut = new.f_clamp_tensor(Some(&low), Some(&high))?;
    let free = new.f_sub(returns)?.f_square()?;
    let cut = cut.f_sub(returns)?.f_square()?;
    let clipped = cut.f_gt_tensor(&free)?;
    Ok([free.f_maximum(&cut)?, clipped])
}

/// The loss over the slots of a micro-batch, one episode a unit.
#[derive(Clone, Debug)]
pub struct ValueLoss {
    /// The micro-batch.
    pub episodes: Vec<ValueEpisode>,
    /// ε of the clip.
    pub cliprange: f64,
    /// Added to each score of the model: what its score head, which has no bias, cannot say.
    pub shift: f64,
    /// Weight of the loss.
    pub coefficient: f64,
    /// One over the slots of the whole minibatch.
    pub scale: f64,
}

impl ValueLoss {
    fn episodes(&self, units: Range<usize>) -> Result<&[ValueEpisode]> {
        let missing = || Error::Invalid(format!("no episodes for the units {units:?}"));
        self.episodes.get(units.clone()).ok_or_else(missing)
    }
}

impl Objective for ValueLoss {
    fn outcome(&self, pass: &Pass) -> Result<Outcome> {
        let episodes = self.episodes(pass.units.clone())?;
        let device = pass.hidden.device();
        let rows = self.rows(pass.units.clone(), pass.pack)?;
        let rows = Tensor::f_from_slice(&rows)?.f_to_device(device)?;
        let place = |of: fn(&ValueEpisode) -> &Vec<f32>| {
            let all: Vec<f32> = episodes.iter().flat_map(of).copied().collect();
            Tensor::f_from_slice(&all)?.f_to_device(device)
        };
        let (old, returns) = (
            place(|episode| &episode.values)?,
            place(|episode| &episode.returns)?,
        );
        let scores = pass.model.scores(&pass.hidden.f_index_select(0, &rows)?)?;
        let new = scores.f_add_scalar(self.shift)?;
        let [squares, clipped] = clipped_value_loss(&new, &old, &returns, self.cliprange)?;
        let half = squares
            .f_sum(Kind::Double)?
            .f_mul_scalar(0.5 * self.scale)?;
        let clipped = clipped.f_sum(Kind::Double)?.f_mul_scalar(self.scale)?;
        Ok(Outcome {
            loss: half.f_mul_scalar(self.coefficient)?,
            values: Tensor::f_stack(&[half.f_detach()?, clipped], 0)?,
        })
    }

    fn rows(&self, units: Range<usize>, pack: &Pack) -> Result<Vec<i64>> {
        let starts = self.episodes(units)?.iter().zip(pack.offsets());
        let slots = starts.flat_map(|(episode, &start)| {
            let first = start + episode.prompt - 1;
            (first..first + episode.returns.len()).map(|row| row as i64)
        });
        Ok(slots.collect())
    }
}
