//! The losses of one of PPO's minibatches, their figures and their gradients.

use super::ppo_rollout::Episode;
use super::{Outputs, Theirs, doubles, gradients, load, named, output, trainer};
use begat_trainer::{
    Result, Unit,
    ppo::{PolicyEpisode, PolicyLoss, ValueEpisode, ValueLoss},
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
        let mut outputs = self.policy(folder, &theirs)?;
        outputs.extend(self.value(folder, &theirs)?);
        Ok(outputs)
    }

    fn policy(&self, folder: &Path, theirs: &Theirs) -> Result<Outputs> {
        let tokens: Vec<usize> = self.episodes.iter().map(Episode::completion).collect();
        let old = theirs.rows("input.log_probabilities", &tokens)?;
        let advantages = theirs.rows("input.advantages", &tokens)?;
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
        let mut trainer = trainer(load(folder, "policy")?)?;
        let measured = trainer.accumulate(&units, &objective)?;
        let names = [
            "policy_loss",
            "policy_clip_fraction",
            "approximate_kl",
            "entropy",
            "ratio",
        ];
        let mut outputs: Outputs = named(&names, &doubles(&measured.values)?).collect();
        outputs.extend(gradients(&mut trainer, "policy_")?);
        Ok(outputs)
    }

    fn value(&self, folder: &Path, theirs: &Theirs) -> Result<Outputs> {
        let slots: Vec<usize> = self
            .episodes
            .iter()
            .map(|episode| episode.slots(self.response_length))
            .collect();
        let values = theirs.rows("input.values", &slots)?;
        let returns = theirs.rows("input.returns", &slots)?;
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
        let mut trainer = trainer(load(folder, "value")?)?;
        let measured = trainer.accumulate(&units, &objective)?;
        let figures = doubles(&measured.values)?;
        let mut outputs = vec![
            output("value_loss", figures[0]),
            output("value_clip_fraction", figures[1]),
        ];
        outputs.extend(gradients(&mut trainer, "value_")?);
        Ok(outputs)
    }
}
