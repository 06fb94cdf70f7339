//! The losses of one of PPO's minibatches, token by token and as means, their figures and their gradients.

use super::ppo_rollout::Episode;
use super::{Outputs, Theirs, doubles, gradients, load, named, numbers, pack, trainer};
use begat_trainer::{
    Model, Pack, Result, Tensor, Unit,
    loss::log_probabilities,
    ppo::{
        PolicyEpisode, PolicyLoss, ValueEpisode, ValueLoss, clipped_policy_loss, clipped_value_loss,
    },
};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
pub struct Case {
    episodes: Vec<Episode>,
    response_length: usize,
    temperature: f64,
    cliprange: f64,
    cliprange_value: f64,
    vf_coef: f64,
}

impl Case {
    pub fn compute(self, folder: &Path) -> Result<Outputs> {
        let theirs = Theirs::load(folder)?;
        let (mut outputs, policy_loss) = self.policy(folder, &theirs)?;
        let (of_value, value_loss) = self.value(folder, &theirs)?;
        outputs.extend(of_value);
        outputs.push(numbers("losses", &[policy_loss, value_loss]));
        Ok(outputs)
    }

    /// All episodes end to end, and the row before each of the `counts` that follow a prompt.
    fn packed(&self, counts: &[usize]) -> Result<(Pack, Tensor)> {
        let tokens: Vec<Vec<u32>> = self.episodes.iter().map(|one| one.tokens.clone()).collect();
        let pack = pack(&tokens)?;
        let starts = self.episodes.iter().zip(counts).zip(pack.offsets());
        let rows = starts.flat_map(|((episode, &count), &start)| {
            let first = start + episode.prompt - 1;
            (first..first + count).map(|row| row as i64)
        });
        let rows = Tensor::from_slice(&rows.collect::<Vec<_>>());
        Ok((pack, rows))
    }

    /// The loss of each token, from the log-probabilities and advantages of all of them.
    fn token_losses(
        &self,
        model: &Model,
        counts: &[usize],
        old: &[f32],
        advantages: &[f32],
    ) -> Result<Vec<f64>> {
        let (pack, rows) = self.packed(counts)?;
        // What follows an episode's last token is not looked at.
        let targets = Vec::<i64>::try_from(&pack.tokens().f_roll([-1], [0])?)?;
        let hidden = model.hidden(&pack)?;
        let found = log_probabilities(model, &hidden, &targets, self.temperature, false)?;
        let [losses, ..] = clipped_policy_loss(
            &found.values.f_index_select(0, &rows)?,
            &Tensor::from_slice(old),
            &Tensor::from_slice(advantages),
            self.cliprange,
        )?;
        doubles(&losses)
    }

    /// The loss of each slot, from the values and returns of all of them.
    fn slot_losses(
        &self,
        model: &Model,
        counts: &[usize],
        old: &[f32],
        returns: &[f32],
    ) -> Result<Vec<f64>> {
        let (pack, rows) = self.packed(counts)?;
        let scores = model.scores(&model.hidden(&pack)?)?;
        let [losses, _] = clipped_value_loss(
            &scores.f_index_select(0, &rows)?,
            &Tensor::from_slice(old),
            &Tensor::from_slice(returns),
            self.cliprange_value,
        )?;
        doubles(&losses)
    }

    /// The policy's outputs, and its loss.
    fn policy(&self, folder: &Path, theirs: &Theirs) -> Result<(Outputs, f64)> {
        let tokens: Vec<usize> = self.episodes.iter().map(Episode::completion).collect();
        let old = theirs.rows("input.log_probabilities", &tokens)?;
        let advantages = theirs.rows("input.advantages", &tokens)?;
        let model = load(folder, "policy")?;
        let token_losses =
            self.token_losses(&model, &tokens, &old.concat(), &advantages.concat())?;
        let episodes = self.episodes.iter().zip(old).zip(advantages);
        let episodes: Vec<PolicyEpisode> = episodes
            .map(|((episode, log_probabilities), advantages)| PolicyEpisode {
                tokens: episode.tokens.clone(),
                prompt: episode.prompt,
                log_probabilities,
                advantages,
            })
            .collect();
        let units: Vec<Unit> = episodes.iter().map(PolicyEpisode::unit).collect();
        let objective = PolicyLoss {
            episodes,
            cliprange: self.cliprange,
            temperature: self.temperature,
            scale: 1.0 / tokens.iter().sum::<usize>() as f64,
        };
        let mut trainer = trainer(model)?;
        let measured = trainer.accumulate(&units, &objective)?;
        let figures = doubles(&measured.values)?;
        let names = ["policy_clip_fraction", "approximate_kl", "entropy", "ratio"];
        let mut outputs: Outputs = named(&names, &figures[1..]).collect();
        outputs.push(numbers("policy_token_losses", &token_losses));
        outputs.extend(gradients(&mut trainer, "policy_")?);
        Ok((outputs, figures[0]))
    }

    /// The value model's outputs, and its loss.
    fn value(&self, folder: &Path, theirs: &Theirs) -> Result<(Outputs, f64)> {
        let slots: Vec<usize> = self
            .episodes
            .iter()
            .map(|episode| episode.slots(self.response_length))
            .collect();
        let values = theirs.rows("input.values", &slots)?;
        let returns = theirs.rows("input.returns", &slots)?;
        let model = load(folder, "value")?;
        let slot_losses = self.slot_losses(&model, &slots, &values.concat(), &returns.concat())?;
        let episodes = self.episodes.iter().zip(values).zip(returns);
        let episodes: Vec<ValueEpisode> = episodes
            .map(|((episode, values), returns)| ValueEpisode {
                tokens: episode.tokens.clone(),
                prompt: episode.prompt,
                values,
                returns,
            })
            .collect();
        let units: Vec<Unit> = episodes.iter().map(ValueEpisode::unit).collect();
        let objective = ValueLoss {
            episodes,
            cliprange: self.cliprange_value,
            shift: 0.0,
            coefficient: self.vf_coef,
            scale: 1.0 / slots.iter().sum::<usize>() as f64,
        };
        let mut trainer = trainer(model)?;
        let measured = trainer.accumulate(&units, &objective)?;
        let figures = doubles(&measured.values)?;
        let mut outputs: Outputs = named(&["value_clip_fraction"], &figures[1..]).collect();
        outputs.push(numbers("value_slot_losses", &slot_losses));
        outputs.extend(gradients(&mut trainer, "value_")?);
        Ok((outputs, figures[0]))
    }
}
