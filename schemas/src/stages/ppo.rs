//! `ppo`: proximal policy optimization against a reward model (Ouyang et al., 2022).

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sampling::check_drawing;
use super::{
    ArtifactType, BadValue, InputSpec, KindSpec, OptimizationParams, Params, above_zero,
    at_least_one, in_range,
};

/// How the divergence of the policy from the reference is estimated from a sampled token (Schulman, 2020).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KlEstimator {
    /// The log-ratio: no bias, much variance.
    #[default]
    K1,
    /// (ratio − 1) − log-ratio: no bias, less variance, never negative.
    K3,
}

/// A controller that moves the weight of the divergence towards a target (Ziegler et al., 2019).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveKl {
    /// The divergence to hold, in nats a sequence.
    pub target: f64,
    /// Episodes over which the weight moves: the fewer, the faster.
    pub horizon: f64,
}

/// Parameters of `ppo`; the names are `trl.experimental.ppo.PPOConfig`'s of TRL 1.12, the last with PPO.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PpoParams {
    /// Completions sampled in the whole stage.
    pub total_episodes: u64,
    /// Completions of one rollout.
    pub rollout_batch_size: u32,
    /// Passes over each rollout.
    #[serde(default = "four")]
    pub num_ppo_epochs: u32,
    /// How weights are updated; a minibatch is `per_device_train_batch_size` × `gradient_accumulation_steps` episodes.
    #[serde(flatten)]
    pub optimization: OptimizationParams,
    /// Peak learning rate of the value model; the policy's if absent.
    #[serde(default)]
    pub value_learning_rate: Option<f64>,
    /// Rollouts at the start that train the value model alone.
    #[serde(default)]
    pub value_only_rollouts: u32,
    /// Longest completion, in tokens.
    #[serde(default = "response_length")]
    pub response_length: u32,
    /// Divides the logits, in sampling and in every log-probability.
    #[serde(default = "one")]
    pub temperature: f64,
    /// Number of likeliest tokens to sample from; 0 means all.
    #[serde(default)]
    pub top_k: u32,
    /// Probability mass of likeliest tokens to sample from.
    #[serde(default = "one")]
    pub top_p: f64,
    /// Weight of the divergence from the reference in the reward; where an adaptive one starts.
    #[serde(default = "kl_coef")]
    pub kl_coef: f64,
    /// How the divergence is estimated.
    #[serde(default)]
    pub kl_estimator: KlEstimator,
    /// Moves `kl_coef` towards a target; it stays fixed if absent.
    #[serde(default)]
    pub adaptive_kl: Option<AdaptiveKl>,
    /// Discount of later rewards.
    #[serde(default = "one")]
    pub gamma: f64,
    /// λ of the generalised advantage estimate.
    #[serde(default = "lam")]
    pub lam: f64,
    /// How far the policy's ratio counts from 1.
    #[serde(default = "fifth")]
    pub cliprange: f64,
    /// How far a value counts from that of the rollout.
    #[serde(default = "fifth")]
    pub cliprange_value: f64,
    /// Weight of the value loss.
    #[serde(default = "tenth")]
    pub vf_coef: f64,
    /// Whether rewards are scaled to variance 1, their mean kept.
    #[serde(default)]
    pub whiten_rewards: bool,
    /// What a completion without an end token loses in score.
    #[serde(default)]
    pub missing_eos_penalty: Option<f64>,
    /// Largest magnitude of a standardised score; a greater one is cut down to it.
    #[serde(default)]
    pub reward_clip: Option<f64>,
    /// Weight of the pretraining loss (PPO-ptx); InstructGPT: 27.8.
    #[serde(default)]
    pub ptx_coef: f64,
    /// Pretraining sequences beside each minibatch.
    #[serde(default)]
    pub ptx_batch_size: u32,
    /// The divergence from the reference, in nats a sequence, at which the stage fails and keeps its last checkpoint.
    #[serde(default = "max_kl")]
    pub max_kl: f64,
}

const fn four() -> u32 {
    4
}

const fn response_length() -> u32 {
    53
}

const fn one() -> f64 {
    1.0
}

const fn kl_coef() -> f64 {
    0.05
}

const fn lam() -> f64 {
    0.95
}

const fn fifth() -> f64 {
    0.2
}

const fn tenth() -> f64 {
    0.1
}

const fn max_kl() -> f64 {
    50.0
}

impl Params for PpoParams {
    const SPEC: KindSpec = KindSpec {
        name: "ppo",
        revision: 1,
        seeded: true,
        inputs: Some(&[
            InputSpec::required("policy", ArtifactType::Model),
            InputSpec::required("reward_model", ArtifactType::RewardModel),
            InputSpec::required("prompts", ArtifactType::Dataset),
            InputSpec::optional("pretraining", ArtifactType::Dataset),
        ]),
        outputs: &[("model", ArtifactType::Model)],
    };

    fn check(&self) -> Result<(), BadValue> {
        self.optimization.check()?;
        self.check_dropout()?;
        self.check_batches()?;
        self.check_sampling()?;
        self.check_reward()?;
        self.check_losses()?;
        self.check_ptx()
    }

    fn check_inputs(&self, given: &BTreeSet<&str>) -> Result<(), BadValue> {
        let mixed = self.ptx_coef > 0.0;
        if mixed == given.contains("pretraining") {
            return Ok(());
        }
        Err(BadValue::unmatched(
            "pretraining",
            mixed,
            "`ptx_coef` above 0",
        ))
    }
}

impl PpoParams {
    /// Episodes whose gradients make one update.
    pub fn minibatch_size(&self) -> u64 {
        u64::from(self.optimization.per_device_train_batch_size)
            * u64::from(self.optimization.gradient_accumulation_steps)
    }

    /// Rollouts of the whole stage.
    pub fn rollouts(&self) -> u64 {
        self.total_episodes / u64::from(self.rollout_batch_size)
    }

    fn check_dropout(&self) -> Result<(), BadValue> {
        if self.optimization.dropout == 0.0 {
            return Ok(());
        }
        Err(BadValue::new(
            "dropout",
            "0: with dropout the policy's ratio would not be 1 before its first update",
            self.optimization.dropout,
        ))
    }

    fn check_batches(&self) -> Result<(), BadValue> {
        let rollout = u64::from(self.rollout_batch_size);
        at_least_one("rollout_batch_size", rollout)?;
        at_least_one("num_ppo_epochs", self.num_ppo_epochs.into())?;
        let minibatch = self.minibatch_size();
        if !rollout.is_multiple_of(minibatch) {
            let expected = format!(
                "a multiple of the minibatch of {minibatch} episodes (per_device_train_batch_size × \
                 gradient_accumulation_steps)"
            );
            return Err(BadValue::new("rollout_batch_size", expected, rollout));
        }
        if self.total_episodes == 0 || !self.total_episodes.is_multiple_of(rollout) {
            let expected = format!("a multiple of rollout_batch_size = {rollout}");
            return Err(BadValue::new(
                "total_episodes",
                expected,
                self.total_episodes,
            ));
        }
        let rollouts = self.rollouts();
        if u64::from(self.value_only_rollouts) >= rollouts {
            let expected = format!(
                "fewer than the {rollouts} rollouts there are, or the policy would never be trained"
            );
            return Err(BadValue::new(
                "value_only_rollouts",
                expected,
                self.value_only_rollouts,
            ));
        }
        Ok(())
    }

    fn check_sampling(&self) -> Result<(), BadValue> {
        at_least_one("response_length", self.response_length.into())?;
        check_drawing(self.temperature, self.top_p)
    }

    fn check_reward(&self) -> Result<(), BadValue> {
        in_range("kl_coef", self.kl_coef, 0.0, 1e3)?;
        if let Some(adaptive) = &self.adaptive_kl {
            above_zero("target", adaptive.target).map_err(|error| error.below("adaptive_kl"))?;
            above_zero("horizon", adaptive.horizon).map_err(|error| error.below("adaptive_kl"))?;
            if self.kl_coef == 0.0 {
                return Err(BadValue::new(
                    "kl_coef",
                    "a number above 0, since `adaptive_kl` multiplies it",
                    self.kl_coef,
                ));
            }
        }
        if let Some(penalty) = self.missing_eos_penalty {
            in_range("missing_eos_penalty", penalty, 0.0, 1e6)?;
        }
        if let Some(clip) = self.reward_clip {
            above_zero("reward_clip", clip)?;
        }
        above_zero("max_kl", self.max_kl)
    }

    fn check_losses(&self) -> Result<(), BadValue> {
        if let Some(rate) = self.value_learning_rate {
            above_zero("value_learning_rate", rate)?;
        }
        in_range("gamma", self.gamma, 0.0, 1.0)?;
        in_range("lam", self.lam, 0.0, 1.0)?;
        above_zero("cliprange", self.cliprange)?;
        above_zero("cliprange_value", self.cliprange_value)?;
        in_range("vf_coef", self.vf_coef, 0.0, 1e6)
    }

    fn check_ptx(&self) -> Result<(), BadValue> {
        in_range("ptx_coef", self.ptx_coef, 0.0, 1e6)?;
        if (self.ptx_coef > 0.0) == (self.ptx_batch_size > 0) {
            return Ok(());
        }
        let expected = if self.ptx_coef > 0.0 {
            "at least 1, since `ptx_coef` is above 0"
        } else {
            "0, since `ptx_coef` is 0"
        };
        Err(BadValue::new(
            "ptx_batch_size",
            expected,
            self.ptx_batch_size,
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::checking::Good;
    use super::*;
    use crate::{StageKind, StageParams};

    fn good() -> Good {
        Good {
            kind: StageKind::Ppo,
            params: json!({
                "total_episodes": 128,
                "rollout_batch_size": 32,
                "per_device_train_batch_size": 4,
                "gradient_accumulation_steps": 2,
                "learning_rate": 1e-4,
            }),
        }
    }

    #[test]
    fn defaults_are_those_of_trl() {
        let StageParams::Ppo(params) = good().with(&json!({})).unwrap() else {
            unreachable!("these are parameters of ppo");
        };
        assert_eq!((params.num_ppo_epochs, params.response_length), (4, 53));
        assert_eq!(
            (params.kl_coef, params.kl_estimator),
            (0.05, KlEstimator::K1)
        );
        assert_eq!((params.gamma, params.lam, params.vf_coef), (1.0, 0.95, 0.1));
        assert_eq!((params.cliprange, params.cliprange_value), (0.2, 0.2));
        assert_eq!((params.minibatch_size(), params.rollouts()), (8, 4));
    }

    #[test]
    fn batches_fit_into_each_other() {
        let good = good();
        good.check(
            json!({"rollout_batch_size": 36}),
            "rollout_batch_size: expected a multiple of the minibatch of 8 episodes (per_device_train_batch_size × \
             gradient_accumulation_steps), found 36",
        );
        good.check(
            json!({"rollout_batch_size": 0}),
            "rollout_batch_size: expected at least 1, found 0",
        );
        for episodes in [0, 100] {
            good.check(
                json!({"total_episodes": episodes}),
                &format!("total_episodes: expected a multiple of rollout_batch_size = 32, found {episodes}"),
            );
        }
        good.check(json!({"value_only_rollouts": 3}), "good");
        good.check(
            json!({"value_only_rollouts": 4}),
            "value_only_rollouts: expected fewer than the 4 rollouts there are, or the policy would never be trained, \
             found 4",
        );
    }

    #[test]
    fn dropout_would_move_the_ratio() {
        good().check(
            json!({"dropout": 0.1}),
            "dropout: expected 0: with dropout the policy's ratio would not be 1 before its first update, found 0.1",
        );
    }

    #[test]
    fn the_reward_s_terms() {
        let good = good();
        good.check(
            json!({"adaptive_kl": {"target": 6, "horizon": 10000}}),
            "good",
        );
        good.check(
            json!({"adaptive_kl": {"target": 6}}),
            "adaptive_kl.horizon: expected a value, found nothing",
        );
        good.check(
            json!({"adaptive_kl": {"target": 0, "horizon": 1}}),
            "adaptive_kl.target: expected a number above 0, found 0",
        );
        good.check(
            json!({"adaptive_kl": {"target": 6, "horizon": 1}, "kl_coef": 0}),
            "kl_coef: expected a number above 0, since `adaptive_kl` multiplies it, found 0",
        );
        good.check(json!({"kl_coef": 0}), "good");
        good.check(
            json!({"kl_estimator": "k2"}),
            "kl_estimator: expected `k1` or `k3`, found unknown variant `k2`",
        );
        good.check(
            json!({"reward_clip": 0}),
            "reward_clip: expected a number above 0, found 0",
        );
        good.check(
            json!({"missing_eos_penalty": -2}),
            "missing_eos_penalty: expected a number from 0 to 1000000, found -2",
        );
        good.check(
            json!({"max_kl": 0}),
            "max_kl: expected a number above 0, found 0",
        );
    }

    #[test]
    fn the_losses_terms() {
        let good = good();
        good.check(
            json!({"gamma": 1.1}),
            "gamma: expected a number from 0 to 1, found 1.1",
        );
        good.check(
            json!({"lam": -0.1}),
            "lam: expected a number from 0 to 1, found -0.1",
        );
        good.check(
            json!({"cliprange": 0}),
            "cliprange: expected a number above 0, found 0",
        );
        good.check(
            json!({"value_learning_rate": 0}),
            "value_learning_rate: expected a number above 0, found 0",
        );
    }

    #[test]
    fn the_pretraining_mix_has_texts_and_a_batch() {
        let good = good();
        good.check(
            json!({"ptx_coef": 1}),
            "ptx_batch_size: expected at least 1, since `ptx_coef` is above 0, found 0",
        );
        good.check(
            json!({"ptx_batch_size": 8}),
            "ptx_batch_size: expected 0, since `ptx_coef` is 0, found 8",
        );
        let mixed = json!({"ptx_coef": 1, "ptx_batch_size": 8});
        good.check_inputs(mixed.clone(), &["policy", "pretraining"], "good");
        good.check_inputs(
            mixed,
            &["policy"],
            "inputs.pretraining: expected an input, since `ptx_coef` above 0 needs it, found nothing",
        );
        good.check_inputs(
            json!({}),
            &["policy", "pretraining"],
            "inputs.pretraining: expected no such input, since only `ptx_coef` above 0 reads it, found one",
        );
    }
}
