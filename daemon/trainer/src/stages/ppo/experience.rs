//! From a rollout to what is learned of it: plain numbers, no model.

use std::collections::BTreeSet;

use begat_schemas::PpoParams;

use super::rollout::{Episode, Rollout};
use crate::ppo::{PolicyEpisode, ScoreRules, ValueEpisode, divergence, estimate, rewards, whiten};

/// What is learned of a rollout, and its figures.
#[derive(Debug, Clone)]
pub(super) struct Experience {
    pub policy: Vec<PolicyEpisode>,
    pub value: Vec<ValueEpisode>,
    pub figures: RolloutFigures,
}

/// Means over the episodes of a rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct RolloutFigures {
    /// The estimated divergence from the reference, nats a sequence.
    pub kl: f64,
    /// Σ −log π of the sampled tokens, nats a sequence.
    pub entropy: f64,
    /// Σ −β·KL.
    pub non_score_reward: f64,
    /// The score that was paid.
    pub scores: f64,
    /// Completions that an end token ended.
    pub num_eos_tokens: f64,
    /// Tokens of a completion.
    pub mean_length: f64,
    /// Different completions as a part of all.
    pub unique: f64,
}

/// Rewards, advantages and returns of a rollout under this weight of the divergence.
pub(super) fn experience(rollout: &Rollout, params: &PpoParams, kl_coef: f64) -> Experience {
    let rules = ScoreRules {
        clip: params.reward_clip,
        missing_eos_penalty: params.missing_eos_penalty,
    };
    let pairs = rollout.episodes.iter().zip(&rollout.reference);
    let divergences: Vec<Vec<f64>> = pairs
        .map(|(episode, reference)| divergences(params, episode, reference))
        .collect();
    let scores: Vec<f64> = rollout
        .episodes
        .iter()
        .zip(&rollout.scores)
        .map(|(episode, score)| rules.apply(*score, episode.ended))
        .collect();
    let mut rewarded: Vec<Vec<f64>> = (0..scores.len())
        .map(|i| {
            rewards(
                &divergences[i],
                kl_coef,
                scores[i],
                rollout.episodes[i].slots,
            )
        })
        .collect();
    if params.whiten_rewards {
        whiten(&mut rewarded, false);
    }
    let figures = figures(&rollout.episodes, &divergences, &scores, kl_coef);
    let (advantages, returns) = advantages(rollout, &rewarded, params);
    let zipped = rollout.episodes.iter().zip(advantages);
    let policy = zipped.map(|(episode, advantages)| PolicyEpisode {
        tokens: episode.tokens.clone(),
        prompt: episode.prompt_tokens,
        log_probabilities: episode.log_probabilities.clone(),
        advantages,
    });
    let zipped = rollout.episodes.iter().zip(&rollout.values).zip(returns);
    let value = zipped.map(|((episode, values), returns)| ValueEpisode {
        tokens: episode.tokens.clone(),
        prompt: episode.prompt_tokens,
        values: values.clone(),
        returns,
    });
    Experience {
        policy: policy.collect(),
        value: value.collect(),
        figures,
    }
}

fn divergences(params: &PpoParams, episode: &Episode, reference: &[f32]) -> Vec<f64> {
    let pairs = episode.log_probabilities.iter().zip(reference);
    pairs
        .map(|(own, reference)| {
            divergence(params.kl_estimator, f64::from(*own), f64::from(*reference))
        })
        .collect()
}

/// The whitened advantage of each token and the return of each slot.
fn advantages(
    rollout: &Rollout,
    rewarded: &[Vec<f64>],
    params: &PpoParams,
) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let mut advantages = Vec::with_capacity(rewarded.len());
    let mut returns = Vec::with_capacity(rewarded.len());
    for (index, rewards) in rewarded.iter().enumerate() {
        let values: Vec<f64> = rollout.values[index]
            .iter()
            .copied()
            .map(f64::from)
            .collect();
        let mut found = estimate(rewards, &values, params.gamma, params.lam);
        // The slot after the end token is nothing that the policy did.
        found
            .advantages
            .truncate(rollout.episodes[index].completion().len());
        advantages.push(found.advantages);
        returns.push(found.returns);
    }
    whiten(&mut advantages, true);
    let narrow = |all: Vec<Vec<f64>>| {
        let rows = all.into_iter();
        rows.map(|row| row.into_iter().map(|value| value as f32).collect())
            .collect()
    };
    (narrow(advantages), narrow(returns))
}

fn figures(
    episodes: &[Episode],
    divergences: &[Vec<f64>],
    scores: &[f64],
    kl_coef: f64,
) -> RolloutFigures {
    let count = episodes.len().max(1) as f64;
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / count;
    let kl = mean(&mut divergences.iter().map(|row| row.iter().sum::<f64>()));
    let surprise = |episode: &Episode| {
        let all = episode.log_probabilities.iter();
        all.map(|value| -f64::from(*value)).sum::<f64>()
    };
    let unique: BTreeSet<&[u32]> = episodes.iter().map(Episode::completion).collect();
    RolloutFigures {
        kl,
        entropy: mean(&mut episodes.iter().map(surprise)),
        non_score_reward: -kl_coef * kl,
        scores: mean(&mut scores.iter().copied()),
        num_eos_tokens: episodes.iter().filter(|episode| episode.ended).count() as f64,
        mean_length: mean(&mut episodes.iter().map(|one| one.completion().len() as f64)),
        unique: unique.len() as f64 / count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episode(completion: &[u32], ended: bool, log_probabilities: &[f32]) -> Episode {
        Episode {
            prompt: 0,
            tokens: [&[9, 9], completion].concat(),
            prompt_tokens: 2,
            ended,
            slots: crate::ppo::slots(completion.len(), ended, 3),
            log_probabilities: log_probabilities.to_vec(),
        }
    }

    fn params(more: serde_json::Value) -> PpoParams {
        let mut all = serde_json::json!({
            "learning_rate": 1e-4, "per_device_train_batch_size": 2, "rollout_batch_size": 2,
            "total_episodes": 2, "response_length": 3, "kl_coef": 0.1,
        });
        let (Some(all_of), Some(more)) = (all.as_object_mut(), more.as_object()) else {
            panic!("objects")
        };
        all_of.extend(more.clone());
        serde_json::from_value(all).unwrap()
    }

    fn rollout() -> Rollout {
        Rollout {
            episodes: vec![
                episode(&[5, 0], true, &[-1.0, -0.5]),
                episode(&[5, 6, 7], false, &[-2.0, -1.0, -0.25]),
            ],
            reference: vec![vec![-1.5, -0.5], vec![-1.0, -1.0, -1.25]],
            values: vec![vec![0.5, 0.25, 1.0], vec![0.0, 0.5, -0.5]],
            scores: vec![9.0, 1.0],
        }
    }

    #[test]
    fn figures_are_means_over_episodes() {
        let more = serde_json::json!({"reward_clip": 4.0, "missing_eos_penalty": 2.0});
        let found = experience(&rollout(), &params(more), 0.1).figures;
        // KL: (0.5 + 0) and (−1 + 0 + 1); scores: 4 and 1 − 2.
        let expected = RolloutFigures {
            kl: 0.25,
            entropy: (1.5 + 3.25) / 2.0,
            non_score_reward: -0.025,
            scores: 1.5,
            num_eos_tokens: 1.0,
            mean_length: 2.5,
            unique: 1.0,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn tokens_have_advantages_and_slots_have_returns() {
        let found = experience(&rollout(), &params(serde_json::json!({"lam": 1.0})), 0.1);
        let lengths = |index: usize| {
            (
                found.policy[index].advantages.len(),
                found.value[index].returns.len(),
            )
        };
        assert_eq!((lengths(0), lengths(1)), ((2, 3), (3, 3)));
        // λ = γ = 1: returns are the sums of what is still to come.
        let near = |found: &[f32], expected: &[f32]| {
            found
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-6)
        };
        assert!(near(&found.value[0].returns, &[8.95, 9.0, 9.0]));
        assert!(near(&found.value[1].returns, &[1.0, 0.9, 0.9]));
        // What passes through the value model ends where the last slot is read.
        let tokens = |index: usize| found.value[index].unit().sequences[0].len();
        assert_eq!((tokens(0), tokens(1)), (4, 4));
        let all: Vec<f32> = found
            .policy
            .iter()
            .flat_map(|one| one.advantages.clone())
            .collect();
        assert!(all.iter().sum::<f32>().abs() < 1e-5);
    }
}
