//! What PPO makes of a rollout: first what the models say of it, then what is learned.
//!
//! The arithmetic begins with the other side's log-probabilities and values, so that a difference is its own.

use super::{Outputs, Theirs, load, numbers, pack};
use begat_schemas::KlEstimator;
use begat_trainer::{
    Model, Result,
    loss::{IGNORE, log_probabilities},
    ppo::{ScoreRules, divergence, estimate, rewards, slots, whiten},
    tensors,
};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
pub struct Case {
    episodes: Vec<Episode>,
    response_length: usize,
    temperature: f64,
    kl_estimator: KlEstimator,
    kl_coef: f64,
    whiten_rewards: bool,
    missing_eos_penalty: Option<f64>,
    gamma: f64,
    lam: f64,
}

/// A prompt and its completion.
#[derive(Clone, Deserialize)]
pub struct Episode {
    pub tokens: Vec<u32>,
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Whether the completion ended by itself.
    pub ended: bool,
}

impl Episode {
    pub fn completion(&self) -> usize {
        self.tokens.len() - self.prompt
    }

    pub fn slots(&self, response_length: usize) -> usize {
        slots(self.completion(), self.ended, response_length)
    }
}

impl Case {
    pub fn compute(self, folder: &Path) -> Result<Outputs> {
        let mut outputs = Vec::new();
        for (model, name) in [
            ("policy", "log_probabilities"),
            ("reference", "reference_log_probabilities"),
        ] {
            let found = self.log_probabilities(&load(folder, model)?)?;
            outputs.push(numbers(name, &found.concat()));
        }
        let values = self.values(&load(folder, "value")?)?;
        outputs.push(numbers("values", &values.concat()));
        let rules = ScoreRules {
            clip: None,
            missing_eos_penalty: self.missing_eos_penalty,
        };
        let scores = self.scores(&load(folder, "reward")?)?;
        let scores: Vec<f64> = scores
            .iter()
            .zip(&self.episodes)
            .map(|(score, episode)| rules.apply(*score, episode.ended))
            .collect();
        outputs.push(numbers("scores", &scores));
        outputs.extend(self.learned(&Theirs::load(folder)?, &scores)?);
        Ok(outputs)
    }

    fn tokens(&self) -> Vec<Vec<u32>> {
        let episodes = self.episodes.iter();
        episodes.map(|episode| episode.tokens.clone()).collect()
    }

    fn log_probabilities(&self, model: &Model) -> Result<Vec<Vec<f64>>> {
        let each = |episode: &Episode| {
            let inputs = episode.tokens[..episode.tokens.len() - 1].to_vec();
            let target = |place: usize| {
                if place < episode.prompt {
                    IGNORE
                } else {
                    i64::from(episode.tokens[place])
                }
            };
            let targets: Vec<i64> = (1..episode.tokens.len()).map(target).collect();
            let hidden = model.hidden(&pack(&[inputs])?)?;
            let found = log_probabilities(model, &hidden, &targets, self.temperature, false)?;
            let all = tensors::floats(&found.values)?;
            Ok(all[episode.prompt - 1..]
                .iter()
                .copied()
                .map(f64::from)
                .collect())
        };
        self.episodes.iter().map(each).collect()
    }

    /// The score of every token of every episode.
    fn all_scores(&self, model: &Model) -> Result<Vec<Vec<f32>>> {
        let pack = pack(&self.tokens())?;
        let all = tensors::floats(&model.scores(&model.hidden(&pack)?)?)?;
        let ends = pack.offsets().windows(2);
        Ok(ends.map(|ends| all[ends[0]..ends[1]].to_vec()).collect())
    }

    /// The value of each slot, read one token before the one that it belongs to.
    fn values(&self, model: &Model) -> Result<Vec<Vec<f64>>> {
        let rows = self.all_scores(model)?.into_iter().zip(&self.episodes);
        let slots = |(row, episode): (Vec<f32>, &Episode)| {
            let first = episode.prompt - 1;
            let read = &row[first..first + episode.slots(self.response_length)];
            read.iter().copied().map(f64::from).collect()
        };
        Ok(rows.map(slots).collect())
    }

    fn scores(&self, model: &Model) -> Result<Vec<f64>> {
        let rows = self.all_scores(model)?;
        let last = rows.iter().filter_map(|row| row.last());
        Ok(last.copied().map(f64::from).collect())
    }

    fn learned(&self, theirs: &Theirs, scores: &[f64]) -> Result<Outputs> {
        let tokens: Vec<usize> = self.episodes.iter().map(Episode::completion).collect();
        let slots: Vec<usize> = self
            .episodes
            .iter()
            .map(|episode| episode.slots(self.response_length))
            .collect();
        let old = theirs.rows("log_probabilities", &tokens)?;
        let reference = theirs.rows("reference_log_probabilities", &tokens)?;
        let values = wide(&theirs.rows("values", &slots)?);
        let divergences: Vec<Vec<f64>> = wide(&old)
            .iter()
            .zip(&wide(&reference))
            .map(|(old, reference)| self.divergences(old, reference))
            .collect();
        let mut rewarded: Vec<Vec<f64>> = (0..slots.len())
            .map(|i| rewards(&divergences[i], self.kl_coef, scores[i], slots[i]))
            .collect();
        if self.whiten_rewards {
            whiten(&mut rewarded, false);
        }
        let (mut advantages, mut returns) = (Vec::new(), Vec::new());
        for ((rewarded, values), tokens) in rewarded.iter().zip(&values).zip(&tokens) {
            let mut found = estimate(rewarded, values, self.gamma, self.lam);
            found.advantages.truncate(*tokens);
            advantages.push(found.advantages);
            returns.push(found.returns);
        }
        whiten(&mut advantages, true);
        Ok(vec![
            numbers("divergences", &divergences.concat()),
            numbers("rewards", &rewarded.concat()),
            numbers("advantages", &advantages.concat()),
            numbers("returns", &returns.concat()),
        ])
    }

    fn divergences(&self, old: &[f64], reference: &[f64]) -> Vec<f64> {
        let pairs = old.iter().zip(reference);
        pairs
            .map(|(old, reference)| divergence(self.kl_estimator, *old, *reference))
            .collect()
    }
}

fn wide(rows: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let rows = rows.iter();
    rows.map(|row| row.iter().copied().map(f64::from).collect())
        .collect()
}
