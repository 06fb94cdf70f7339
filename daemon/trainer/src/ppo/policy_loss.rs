//! The clipped surrogate loss of the policy (Schulman et al., 2017, eq. 7).

use crate::{
    Kind, Tensor,
    error::{Error, Result},
    loss::{IGNORE, LogProbabilities, log_probabilities, rows_with_targets},
    model::Pack,
    train::{Objective, Outcome, Pass, Unit},
};
use std::ops::Range;

/// What the policy learns of one episode.
#[derive(Clone, Debug)]
pub struct PolicyEpisode {
    /// Prompt and completion.
    pub tokens: Vec<u32>,
    /// Tokens of the prompt, at least one.
    pub prompt: usize,
    /// log π_old of each completion token at the sampling temperature.
    pub log_probabilities: Vec<f32>,
    /// The (whitened) advantage of each completion token.
    pub advantages: Vec<f32>,
}

impl PolicyEpisode {
    /// What passes through the model: the last token predicts nothing.
    #[must_use]
    pub fn unit(&self) -> Unit {
        Unit::single(self.tokens[..self.tokens.len() - 1].to_vec())
    }

    fn targets(&self) -> impl Iterator<Item = i64> + '_ {
        let next = self.tokens.iter().enumerate().skip(1);
        next.map(|(place, &token)| {
            if place < self.prompt {
                IGNORE
            } else {
                i64::from(token)
            }
        })
    }
}

/// The means of a minibatch, as the order of an objective's values; each carries its weight already.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PolicyFigures {
    /// The loss.
    pub loss: f64,
    /// Part of the tokens whose ratio was cut.
    pub clip_fraction: f64,
    /// ½·mean((log ratio)²): TRL's `approxkl`, but over tokens alone, not over padding as well.
    pub approximate_kl: f64,
    /// Entropy of the distribution at the sampling temperature, nats a token.
    pub entropy: f64,
    /// The ratio π/π_old.
    pub ratio: f64,
    /// How many ratios are not exactly 1: none before the first update of a rollout.
    pub not_one: f64,
}

impl PolicyFigures {
    /// From an objective's values; `None` if it is another number of values.
    #[must_use]
    pub fn from_values(values: &[f64]) -> Option<Self> {
        let &[loss, clip_fraction, approximate_kl, entropy, ratio, not_one] = values else {
            return None;
        };
        Some(Self {
            loss,
            clip_fraction,
            approximate_kl,
            entropy,
            ratio,
            not_one,
        })
    }
}

/// Per token: the loss max(−A·r, −A·clip(r, 1−ε, 1+ε)), whether the clip was the larger, log r, and r = π/π_old.
pub fn clipped_policy_loss(
    new: &Tensor,
    old: &Tensor,
    advantages: &Tensor,
    cliprange: f64,
) -> Result<[Tensor; 4]> {
    let log_ratio = new.f_sub(old)?;
    let ratio = log_ratio.f_exp()?;
    let slope = advantages.f_neg()?;
    let free = slope.f_mul(&ratio)?;
    let cut = slope.f_mul(&ratio.f_clamp(1.0 - cliprange, 1.0 + cliprange)?)?;
    let clipped = cut.f_gt_tensor(&free)?;
    Ok([free.f_maximum(&cut)?, clipped, log_ratio, ratio])
}

/// The loss over the completion tokens of a micro-batch, one episode a unit.
#[derive(Clone, Debug)]
pub struct PolicyLoss {
    /// The micro-batch.
    pub episodes: Vec<PolicyEpisode>,
    /// ε of the clip.
    pub cliprange: f64,
    /// Divides the logits.
    pub temperature: f64,
    /// One over the completion tokens of the whole minibatch, so that all of them count alike however it is split.
    pub scale: f64,
}

impl PolicyLoss {
    fn episodes(&self, units: Range<usize>) -> Result<&[PolicyEpisode]> {
        let missing = || Error::Invalid(format!("no episodes for the units {units:?}"));
        self.episodes.get(units.clone()).ok_or_else(missing)
    }
}

impl Objective for PolicyLoss {
    fn outcome(&self, pass: &Pass) -> Result<Outcome> {
        let episodes = self.episodes(pass.units.clone())?;
        let targets: Vec<i64> = episodes.iter().flat_map(PolicyEpisode::targets).collect();
        let LogProbabilities {
            values, entropy, ..
        } = log_probabilities(pass.model, pass.hidden, &targets, self.temperature, true)?;
        let device = pass.hidden.device();
        let rows = rows_with_targets(targets);
        let rows = Tensor::f_from_slice(&rows)?.f_to_device(device)?;
        let place = |of: fn(&PolicyEpisode) -> &Vec<f32>| {
            let all: Vec<f32> = episodes.iter().flat_map(of).copied().collect();
            Tensor::f_from_slice(&all)?.f_to_device(device)
        };
        let old = place(|episode| &episode.log_probabilities)?;
        let advantages = place(|episode| &episode.advantages)?;
        let new = values.f_index_select(0, &rows)?;
        let [losses, clipped, log_ratio, ratio] =
            clipped_policy_loss(&new, &old, &advantages, self.cliprange)?;
        let loss = losses.f_sum(Kind::Double)?.f_mul_scalar(self.scale)?;
        let mean = |rows: &Tensor| {
            rows.f_detach()?
                .f_sum(Kind::Double)?
                .f_mul_scalar(self.scale)
        };
        let values = [
            loss.f_detach()?,
            mean(&clipped)?,
            mean(&log_ratio.f_square()?)?.f_mul_scalar(0.5)?,
            mean(&entropy)?,
            mean(&ratio)?,
            ratio.f_ne(1.0)?.f_sum(Kind::Double)?,
        ];
        Ok(Outcome {
            loss,
            values: Tensor::f_stack(&values, 0)?,
        })
    }

    fn rows(&self, units: Range<usize>, _: &Pack) -> Result<Vec<i64>> {
        let episodes = self.episodes(units)?.iter();
        Ok(rows_with_targets(episodes.flat_map(PolicyEpisode::targets)))
    }
}
