//! The reward of every sample, and what the best of k of them would be worth.

use begat_schemas::RejectionSamplingParams;

use crate::contract::StageResult;
use crate::stages::report::Findings;
use crate::stages::sampling::{BestOf, Drawn, Policy, Prompt, Sample, answer_tokens, best_of};
use crate::stages::scoring::RewardModel;
use crate::stages::statistics::{Interval, mean};
use crate::stages::{Context, gold};

/// Rewards of each prompt's samples, and what the rule says of them if it is asked.
#[derive(Debug)]
pub(super) struct Scored {
    pub rewards: Vec<Vec<f64>>,
    /// Nothing where there is no rule or no reference.
    pub gold: Vec<Option<Vec<f64>>>,
    /// What chooses: the reward, and below all of them samples that say nothing.
    pub chosen_by: Vec<Vec<f64>>,
}

impl Scored {
    pub(super) fn new(
        context: &Context<'_>,
        params: &RejectionSamplingParams,
        policy: &Policy,
        reward_model: &RewardModel,
        drawn: &Drawn,
    ) -> StageResult<Self> {
        let mut answers = Vec::new();
        for (prompt, samples) in drawn.prompts.iter().zip(&drawn.samples) {
            for sample in samples {
                let tokens = answer_tokens(&policy.tokenizer, &prompt.given, &sample.text)?;
                answers.push((&prompt.tokens[..], tokens));
            }
        }
        let answers: Vec<(&[u32], &[u32])> = answers
            .iter()
            .map(|(prompt, answer)| (*prompt, answer.as_slice()))
            .collect();
        let batch = params.sampling.per_device_eval_batch_size as usize;
        let mut all = reward_model
            .scores(&answers, batch, context.threads)?
            .into_iter();
        let of_prompt = |samples: &Vec<Sample>| all.by_ref().take(samples.len()).collect();
        let rewards: Vec<Vec<f64>> = drawn.samples.iter().map(of_prompt).collect();
        let pairs = drawn.samples.iter().zip(&rewards);
        let chosen_by = pairs
            .map(|(samples, rewards)| chosen_by(samples, rewards))
            .collect();
        let pairs = drawn.prompts.iter().zip(&drawn.samples);
        let gold = pairs
            .map(|(prompt, samples)| gold_of(params, prompt, samples))
            .collect();
        Ok(Self {
            rewards,
            gold,
            chosen_by,
        })
    }

    /// Means over prompts: the best, the mean and the worst reward, and the gain by K.
    pub(super) fn measure(&self, findings: &mut Findings) {
        let each =
            |of: &dyn Fn(&[f64]) -> f64| mean(self.rewards.iter().map(|rewards| of(rewards)));
        findings.put(
            "reward_best",
            each(&|all| all.iter().copied().fold(f64::MIN, f64::max)),
        );
        findings.put("reward_mean", each(&|all| mean(all.iter().copied())));
        findings.put(
            "reward_worst",
            each(&|all| all.iter().copied().fold(f64::MAX, f64::min)),
        );
        let rewards: Vec<(usize, &[f64])> =
            self.rewards.iter().map(Vec::as_slice).enumerate().collect();
        self.gain(findings, "reward", &rewards);
        let gold = self.gold.iter().enumerate();
        let gold: Vec<(usize, &[f64])> = gold
            .filter_map(|(prompt, gold)| Some((prompt, gold.as_deref()?)))
            .collect();
        if gold.is_empty() {
            return;
        }
        self.gain(findings, "gold_score", &gold);
        let oracle = |(_, gold): &(usize, &[f64])| gold.iter().copied().fold(0.0, f64::max);
        findings.put("gold_score_oracle", mean(gold.iter().map(oracle)));
    }

    /// `NAME_best_of_K` for K = 1, 2, 4 … and all: what the sample that the reward chooses among K is expected to have; and
    /// `NAME_gain_of_K`, its difference from one sample's, with a 95 % interval over prompts.
    fn gain(&self, findings: &mut Findings, name: &str, values: &[(usize, &[f64])]) {
        let most = values
            .iter()
            .map(|(_, values)| values.len())
            .min()
            .unwrap_or(0);
        let expected = |k: usize| -> Vec<f64> {
            let of_prompt = |(prompt, values): &(usize, &[f64])| {
                let pairs = self.chosen_by[*prompt].iter().zip(*values);
                let samples: Vec<BestOf> = pairs
                    .map(|(&chosen_by, &value)| BestOf { chosen_by, value })
                    .collect();
                best_of(&samples, k)
            };
            values.iter().map(of_prompt).collect()
        };
        if most == 0 {
            return;
        }
        let one = expected(1);
        for k in steps(most) {
            let best = expected(k);
            findings.put(format!("{name}_best_of_{k}"), mean(best.iter().copied()));
            if k > 1 {
                let gain = Interval::of_difference(&best, &one);
                findings.put_interval(&format!("{name}_gain_of_{k}"), gain);
            }
        }
    }
}

/// 1, 2, 4 … up to and including `most`.
fn steps(most: usize) -> Vec<usize> {
    let doubling = std::iter::successors(Some(1), |k| Some(k * 2)).take_while(|&k| k < most);
    doubling.chain([most]).collect()
}

fn chosen_by(samples: &[Sample], rewards: &[f64]) -> Vec<f64> {
    let choose = |(sample, &reward): (&Sample, &f64)| {
        if sample.text.trim().is_empty() {
            f64::NEG_INFINITY
        } else {
            reward
        }
    };
    samples.iter().zip(rewards).map(choose).collect()
}

fn gold_of(
    params: &RejectionSamplingParams,
    prompt: &Prompt,
    samples: &[Sample],
) -> Option<Vec<f64>> {
    let rule = params.gold?;
    let score =
        |sample| gold::score(rule, prompt.reference.as_deref(), sample).map(|gold| gold.score);
    samples.iter().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k_doubles_up_to_all() {
        assert_eq!(steps(1), [1]);
        assert_eq!(steps(2), [1, 2]);
        assert_eq!(steps(8), [1, 2, 4, 8]);
        assert_eq!(steps(6), [1, 2, 4, 6]);
    }

    /// A reward that follows the rule with noise: what is kept rises with K, and ends at what was chosen.
    #[test]
    fn what_is_kept_rises_with_k() {
        let stream = crate::Stream::new(3, "test", "gain");
        let gold = |prompt: u64| {
            (0..8)
                .map(|k| stream.uniform(prompt, k))
                .collect::<Vec<f64>>()
        };
        let noise = |prompt: u64, k: usize| stream.uniform(prompt, 100 + k as u64);
        let gold: Vec<Vec<f64>> = (0..200).map(gold).collect();
        let rewards: Vec<Vec<f64>> = (0..)
            .zip(&gold)
            .map(|(prompt, all)| {
                all.iter()
                    .enumerate()
                    .map(|(k, gold)| gold + noise(prompt, k))
                    .collect()
            })
            .collect();
        let scored = Scored {
            chosen_by: rewards.clone(),
            rewards,
            gold: gold.into_iter().map(Some).collect(),
        };
        let mut findings = Findings::default();
        scored.measure(&mut findings);
        let found = |name: &str| findings.metrics()[name].0;
        let curve = [1, 2, 4, 8].map(|k| found(&format!("gold_score_best_of_{k}")));
        assert!(
            curve.is_sorted_by(|one, next| one + 0.02 < *next),
            "{curve:?}"
        );
        assert!(found("gold_score_gain_of_8_low") > 0.1);
        assert!(found("gold_score_oracle") > curve[3]);
        assert_eq!(found("reward_best_of_8"), found("reward_best"));
        assert!((found("reward_best_of_1") - found("reward_mean")).abs() < 1e-12);
    }
}
