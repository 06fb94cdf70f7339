//! A rollout: completions of some prompts, with what reference, value model and reward model say of them.
//!
//! Where TRL pads prompts on the left so that all completions begin in one column, here sequences of any lengths lie end to
//! end (`Pack`) and each has its own rows in the KV cache: every token has the positions and the keys that it would have in
//! a left-padded batch with masked padding and shifted position ids, and no padding is computed.
//!
//! Log-probabilities are of the whole distribution softmax(logits / temperature), also where top-k or top-p cut what is
//! sampled from, as in TRL. On the processor in float32 generation gives them with the bits of the trainer's own forward
//! pass; elsewhere they are computed again by that pass.

use begat_schemas::PpoParams;

use super::policy::{as_trained, generates_exactly};
use crate::Stream;
use crate::contract::StageResult;
use crate::error::Result;
use crate::generate::{Completion, Finish, GenerateOptions, Sampling, generate};
use crate::loss::{IGNORE, log_probabilities};
use crate::model::{Model, Pack};
use crate::ppo::slots;
use crate::stages::batches::in_batches;
use crate::stages::scoring::{RewardModel, raw_scores};
use crate::{Kind, Tensor, tensors};

/// Sequences in one KV cache.
const CACHE_SEQUENCES: usize = 128;
/// Sequences in one forward pass without gradients. It changes no bit on the processor; elsewhere it may, so it is fixed.
const PASS_SEQUENCES: usize = 16;

/// A prompt with its completion.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Episode {
    /// Which of the prompts.
    pub prompt: usize,
    /// Prompt and completion.
    pub tokens: Vec<u32>,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Whether an end token ended it; it is the last token then.
    pub ended: bool,
    /// Slots for rewards and values: see [`slots`].
    pub slots: usize,
    /// log π of each completion token.
    pub log_probabilities: Vec<f32>,
}

impl Episode {
    pub(super) fn completion(&self) -> &[u32] {
        &self.tokens[self.prompt_tokens..]
    }

    /// What predicts the completion: all but the last token.
    fn predicting(&self) -> &[u32] {
        &self.tokens[..self.tokens.len() - 1]
    }

    /// What is read in the slots.
    fn valued(&self) -> &[u32] {
        &self.tokens[..self.prompt_tokens - 1 + self.slots]
    }
}

/// Episodes and what was said of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rollout {
    pub episodes: Vec<Episode>,
    /// log π_ref of each completion token.
    pub reference: Vec<Vec<f32>>,
    /// The value of each slot.
    pub values: Vec<Vec<f32>>,
    /// The standardised score of each episode.
    pub scores: Vec<f64>,
}

/// How completions are sampled.
pub(super) struct Sampler<'a> {
    pub params: &'a PpoParams,
    pub stop_tokens: Vec<u32>,
    pub stream: Stream,
    pub threads: usize,
    /// The type of activations in training.
    pub kind: Kind,
}

impl Sampler<'_> {
    /// Completes the prompts; `first` is the number of the first episode.
    pub(super) fn episodes(
        &self,
        policy: &Model,
        prompts: &[(usize, &[u32])],
        first: u64,
    ) -> StageResult<Vec<Episode>> {
        let model = as_trained(policy, self.kind)?;
        let options = GenerateOptions {
            sampling: Sampling {
                temperature: self.params.temperature,
                top_k: self.params.top_k as usize,
                top_p: self.params.top_p,
            },
            max_new_tokens: self.params.response_length as usize,
            stop_tokens: self.stop_tokens.clone(),
            stream: self.stream,
            first_row: first,
            batch: CACHE_SEQUENCES,
            threads: self.threads,
        };
        let tokens: Vec<&[u32]> = prompts.iter().map(|(_, tokens)| *tokens).collect();
        let completions = generate(&model, &tokens, &options, None)?;
        let pairs = prompts.iter().zip(completions);
        let mut episodes: Vec<Episode> = pairs
            .map(|((prompt, tokens), completion)| self.episode(*prompt, tokens, completion))
            .collect();
        if !generates_exactly(&model) {
            let again = self.completion_log_probabilities(&model, &episodes)?;
            for (episode, values) in episodes.iter_mut().zip(again) {
                episode.log_probabilities = values;
            }
        }
        Ok(episodes)
    }

    fn episode(&self, prompt: usize, tokens: &[u32], completion: Completion) -> Episode {
        let ended = completion.finish == Finish::StopToken;
        let length = self.params.response_length as usize;
        Episode {
            prompt,
            prompt_tokens: tokens.len(),
            ended,
            slots: slots(completion.tokens.len(), ended, length),
            tokens: [tokens, &completion.tokens].concat(),
            log_probabilities: completion.log_probabilities,
        }
    }

    /// log p of the completions' tokens under another model.
    pub(super) fn log_probabilities(
        &self,
        model: &Model,
        episodes: &[Episode],
    ) -> StageResult<Vec<Vec<f32>>> {
        self.completion_log_probabilities(&as_trained(model, self.kind)?, episodes)
    }

    fn completion_log_probabilities(
        &self,
        model: &Model,
        episodes: &[Episode],
    ) -> StageResult<Vec<Vec<f32>>> {
        let temperature = self.params.temperature;
        self.rows(
            model,
            episodes,
            Episode::predicting,
            |model, hidden, episodes| {
                let targets: Vec<i64> = episodes.iter().flat_map(targets).collect();
                Ok(log_probabilities(model, hidden, &targets, temperature, false)?.values)
            },
        )
    }

    /// The value of each slot: the score of the text so far, on the scale of standardised scores.
    pub(super) fn values(
        &self,
        model: &Model,
        shift: f64,
        episodes: &[Episode],
    ) -> StageResult<Vec<Vec<f32>>> {
        let model = as_trained(model, self.kind)?;
        self.rows(&model, episodes, Episode::valued, |model, hidden, _| {
            Ok(model.scores(hidden)?.f_add_scalar(shift)?)
        })
    }

    /// Passes a part of each episode through a model and reads one number of each token from its prompt's last one on.
    fn rows(
        &self,
        model: &Model,
        episodes: &[Episode],
        part: fn(&Episode) -> &[u32],
        read: impl Fn(&Model, &Tensor, &[Episode]) -> Result<Tensor> + Sync,
    ) -> StageResult<Vec<Vec<f32>>> {
        let batch = PASS_SEQUENCES;
        in_batches(
            model,
            episodes.len(),
            batch,
            self.threads,
            |model, range| {
                let episodes = &episodes[range];
                let texts: Vec<&[u32]> = episodes.iter().map(part).collect();
                let pack = Pack::new(&texts, model.device())?;
                let ends = pack.offsets().windows(2).zip(episodes);
                let wanted = ends.map(|(ends, one)| ends[0] + one.prompt_tokens - 1..ends[1]);
                let wanted: Vec<_> = wanted.collect();
                let rows: Vec<i64> = wanted
                    .iter()
                    .cloned()
                    .flatten()
                    .map(|row| row as i64)
                    .collect();
                let hidden = model.hidden_at(&pack, &rows)?;
                let found = tensors::floats(&read(model, &hidden, episodes)?)?;
                Ok(wanted
                    .into_iter()
                    .map(|range| found[range].to_vec())
                    .collect())
            },
        )
    }

    /// The standardised score of each episode, read at its last token.
    pub(super) fn scores(
        &self,
        reward_model: &RewardModel,
        episodes: &[Episode],
    ) -> StageResult<Vec<f64>> {
        let (model, batch) = (reward_model.model(), PASS_SEQUENCES);
        let tokens = |index: usize| episodes[index].tokens.clone();
        let raw = raw_scores(model, episodes.len(), batch, self.threads, tokens)?;
        let normalization = reward_model.normalization();
        Ok(raw
            .into_iter()
            .map(|score| normalization.standardised(score))
            .collect())
    }
}

fn targets(episode: &Episode) -> impl Iterator<Item = i64> + '_ {
    let next = episode.tokens.iter().enumerate().skip(1);
    next.map(|(place, &token)| {
        if place < episode.prompt_tokens {
            IGNORE
        } else {
            i64::from(token)
        }
    })
}

/// The first episode whose score or value is no number.
pub(super) fn not_a_number(rollout: &Rollout) -> Option<(&Episode, String)> {
    let wrong = |(episode, score): &(usize, &f64)| {
        if !score.is_finite() {
            return Some(format!("its reward is {score}"));
        }
        let all = rollout.values[*episode].iter();
        let bad = all.copied().find(|value| !value.is_finite());
        bad.map(|value| format!("its value is {value}"))
    };
    rollout
        .scores
        .iter()
        .enumerate()
        .find_map(|pair| wrong(&pair).map(|what| (&rollout.episodes[pair.0], what)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ppo::{PolicyEpisode, PolicyFigures, PolicyLoss};
    use crate::stages::ppo::policy::Policy;
    use crate::train::{TrainerOptions, Unit};
    use crate::{Device, ModelConfig, device};

    fn shapes() -> Vec<ModelConfig> {
        let mut demo = ModelConfig::llama(512, 64, 2, 4, 2);
        (demo.intermediate_size, demo.tie_word_embeddings) = (176, true);
        let mut odd = ModelConfig::llama(101, 48, 2, 6, 3);
        odd.intermediate_size = 83;
        vec![
            ModelConfig::gpt2(512, 64, 2, 4, 256),
            demo,
            odd,
            ModelConfig::gpt2(99, 24, 2, 3, 300),
        ]
    }

    fn policy(config: &ModelConfig) -> Model {
        device::open("cpu", true).unwrap();
        // Larger weights than a fresh model's, so that the distributions are not flat.
        let config = ModelConfig {
            initializer_range: 0.2,
            ..config.clone()
        };
        Model::initialise(&config, 1, Device::Cpu).unwrap()
    }

    fn params(temperature: f64, top_k: u32, top_p: f64) -> PpoParams {
        serde_json::from_value(serde_json::json!({
            "learning_rate": 1e-2, "per_device_train_batch_size": 2, "rollout_batch_size": 2,
            "total_episodes": 2, "response_length": 40, "temperature": temperature, "top_k": top_k,
            "top_p": top_p,
        }))
        .unwrap()
    }

    fn sampled(model: &Model, params: &PpoParams, threads: usize) -> Vec<Episode> {
        let sampler = Sampler {
            params,
            // One token in thirty ends a text, so that some do and some do not.
            stop_tokens: (0..model.config().vocab_size as u32).step_by(30).collect(),
            stream: Stream::new(3, "ppo", "rollout"),
            threads,
            kind: Kind::Float,
        };
        let vocabulary = model.config().vocab_size as u64;
        let stream = Stream::new(5, "test", "prompts");
        let lengths = [17, 1, 40, 3, 64, 5, 33, 2, 9, 26];
        let prompts: Vec<Vec<u32>> = (0u64..)
            .zip(lengths)
            .map(|(row, length)| {
                (0..length)
                    .map(|t| stream.below(row, t, vocabulary) as u32)
                    .collect()
            })
            .collect();
        let prompts: Vec<(usize, &[u32])> = prompts.iter().map(Vec::as_slice).enumerate().collect();
        sampler.episodes(model, &prompts, 100).unwrap()
    }

    fn learned(episodes: &[Episode]) -> Vec<PolicyEpisode> {
        let learned = episodes.iter().map(|one| PolicyEpisode {
            tokens: one.tokens.clone(),
            prompt: one.prompt_tokens,
            log_probabilities: one.log_probabilities.clone(),
            advantages: vec![1.0; one.completion().len()],
        });
        learned.collect()
    }

    /// The figures of each micro-batch, without an update between them.
    fn figures(
        policy: &mut Policy,
        params: &PpoParams,
        episodes: &[PolicyEpisode],
        micro_batch: usize,
    ) -> Vec<PolicyFigures> {
        let each = episodes.chunks(micro_batch).map(|episodes| {
            let tokens: usize = episodes.iter().map(|one| one.advantages.len()).sum();
            let objective = PolicyLoss {
                episodes: episodes.to_vec(),
                cliprange: 0.2,
                temperature: params.temperature,
                scale: 1.0 / tokens as f64,
            };
            let units: Vec<Unit> = episodes.iter().map(PolicyEpisode::unit).collect();
            let measured = policy
                .trainer()
                .unwrap()
                .accumulate(&units, &objective)
                .unwrap();
            let values = Vec::<f64>::try_from(&measured.values).unwrap();
            PolicyFigures::from_values(&values).unwrap()
        });
        each.collect()
    }

    #[test]
    fn before_the_first_update_every_ratio_is_exactly_1() {
        for config in shapes() {
            let model = policy(&config);
            for (temperature, top_k, top_p) in [(1.0, 0, 1.0), (0.7, 0, 1.0), (1.3, 20, 0.9)] {
                let params = params(temperature, top_k, top_p);
                let episodes = sampled(&model, &params, 2);
                let ended = episodes.iter().filter(|one| one.ended).count();
                assert!(ended > 0);
                let episodes = learned(&episodes);
                for (threads, micro_batch) in [(1, 1), (2, 3), (4, 10)] {
                    let options = TrainerOptions {
                        threads,
                        ..TrainerOptions::default()
                    };
                    let mut policy = Policy::reference(&model, options).unwrap();
                    for found in figures(&mut policy, &params, &episodes, micro_batch) {
                        // A squared log-ratio of exactly 0: the log-probabilities have the same bits.
                        let exact = (found.not_one, found.approximate_kl);
                        assert_eq!(exact, (0.0, 0.0), "{:?}", config.architecture);
                        assert!((found.ratio - 1.0).abs() < 1e-12 && found.entropy > 0.1);
                        assert!((found.loss + 1.0).abs() < 1e-12);
                    }
                }
            }
        }
    }

    #[test]
    fn after_an_update_ratios_differ_and_a_new_rollout_is_exact_again() {
        let model = policy(&shapes()[1]);
        let params = params(1.0, 0, 1.0);
        let mut policy = Policy::reference(&model, TrainerOptions::default()).unwrap();
        let episodes = learned(&sampled(policy.model(), &params, 1));
        figures(&mut policy, &params, &episodes, 10);
        let _norm = policy.trainer().unwrap().update(1e-2).unwrap();
        let found = figures(&mut policy, &params, &episodes, 10)[0];
        assert!(found.not_one > 10.0 && found.approximate_kl > 0.0);
        let _norm = policy.trainer().unwrap().update(1e-2).unwrap();
        let episodes = learned(&sampled(policy.model(), &params, 1));
        let found = figures(&mut policy, &params, &episodes, 4);
        assert!(
            found
                .iter()
                .all(|one| (one.not_one, one.approximate_kl) == (0.0, 0.0))
        );
    }

    #[test]
    fn log_probabilities_computed_again_are_those_of_generation() {
        for config in shapes() {
            let model = policy(&config);
            let params = params(0.8, 0, 1.0);
            let one = sampled(&model, &params, 1);
            assert_eq!(sampled(&model, &params, 3), one);
            for threads in [1, 4] {
                let sampler = Sampler {
                    params: &params,
                    stop_tokens: vec![],
                    stream: Stream::new(3, "ppo", "rollout"),
                    threads,
                    kind: Kind::Float,
                };
                let again = sampler.log_probabilities(&model, &one).unwrap();
                for (episode, again) in one.iter().zip(again) {
                    assert_eq!(episode.log_probabilities, again);
                }
            }
        }
    }

    #[test]
    fn in_bfloat16_log_probabilities_are_those_of_the_trainers_pass() {
        let model = policy(&shapes()[1]);
        let params = params(1.0, 0, 1.0);
        let sampler = Sampler {
            params: &params,
            stop_tokens: vec![0],
            stream: Stream::new(3, "ppo", "rollout"),
            threads: 2,
            kind: Kind::BFloat16,
        };
        let prompt = [5u32, 6, 7];
        let episodes = sampler
            .episodes(&model, &[(0, &prompt), (1, &prompt)], 0)
            .unwrap();
        let options = TrainerOptions {
            kind: Kind::BFloat16,
            ..TrainerOptions::default()
        };
        let mut policy = Policy::reference(&model, options).unwrap();
        let found = figures(&mut policy, &params, &learned(&episodes), 2)[0];
        assert!((found.ratio - 1.0).abs() < 1e-2, "{}", found.ratio);
    }

    #[test]
    fn values_are_the_scores_of_the_text_so_far() {
        let model = policy(&shapes()[0]);
        let params = params(1.0, 0, 1.0);
        let episodes = sampled(&model, &params, 1);
        let value = model.into_score_model(7).unwrap();
        let sampler = Sampler {
            params: &params,
            stop_tokens: vec![],
            stream: Stream::new(3, "ppo", "rollout"),
            threads: 2,
            kind: Kind::Float,
        };
        let values = sampler.values(&value, 0.5, &episodes).unwrap();
        for (episode, values) in episodes.iter().zip(values) {
            assert_eq!(values.len(), episode.slots);
            for (slot, found) in values.iter().enumerate() {
                let text = &episode.tokens[..episode.prompt_tokens + slot];
                let pack = crate::Pack::new(&[text], Device::Cpu).unwrap();
                let scores = value.scores(&value.hidden(&pack).unwrap()).unwrap();
                let last = tensors::floats(&scores).unwrap()[text.len() - 1];
                assert_eq!(last + 0.5, *found);
            }
        }
    }
}
