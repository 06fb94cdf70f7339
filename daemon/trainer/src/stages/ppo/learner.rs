//! One update of policy and value model on a minibatch of episodes.

use std::time::Instant;

use begat_schemas::{OptimizationParams, PpoParams};

use super::experience::Experience;
use super::figures::UpdateFigures;
use super::policy::Policy;
use super::pretraining::Pretraining;
use crate::contract::StageResult;
use crate::error::{Error, Result};
use crate::ppo::{PolicyFigures, PolicyLoss, ValueFigures, ValueLoss};
use crate::stages::phases::Phases;
use crate::stages::training::LearningRate;
use crate::train::{Measured, Objective, Trainer, Unit};

/// Both models in training.
///
/// Each has an optimizer, a schedule and a gradient clip of its own, where TRL has one for both. The policy's schedule
/// counts the policy's own updates, so that updates of the value model alone do not use up its warm-up.
pub(super) struct Learner<'a> {
    pub params: &'a PpoParams,
    pub policy: Policy,
    pub value: Trainer,
    /// Added to each score of the value model.
    pub shift: f64,
    pub pretraining: Option<Pretraining>,
    pub rates: Rates,
    /// Where the seconds go, those of rollouts too.
    pub phases: Phases,
}

/// The learning rates of all updates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    policy: LearningRate,
    value: LearningRate,
}

impl Rates {
    /// `total` updates of the value model, of which the policy takes part in the last `policy_total`.
    pub(super) fn new(params: &PpoParams, total: u64, policy_total: u64) -> Self {
        let own = &params.optimization;
        let value = OptimizationParams {
            learning_rate: params.value_learning_rate.unwrap_or(own.learning_rate),
            ..own.clone()
        };
        Self {
            policy: LearningRate::new(own, policy_total),
            value: LearningRate::new(&value, total),
        }
    }

    /// Of the policy's update, counted from 1; 0 before the first.
    pub(super) fn policy(&self, update: u64) -> f64 {
        match update {
            0 => 0.0,
            _ => self.policy.at(update),
        }
    }

    pub(super) fn value(&self, update: u64) -> f64 {
        self.value.at(update)
    }
}

impl Learner<'_> {
    /// Updates both models, or the value model alone, on the chosen episodes.
    pub(super) fn update(
        &mut self,
        experience: &Experience,
        chosen: &[usize],
        with_policy: bool,
    ) -> StageResult<UpdateFigures> {
        let mut figures = UpdateFigures::default();
        let mut squared_norm = 0.0;
        if with_policy {
            let (policy, ptx, norm) = self.update_policy(experience, chosen)?;
            (figures.policy, figures.ptx) = (Some(policy), ptx);
            let weight = self.pretraining.as_ref().map_or(0.0, Pretraining::weight);
            figures.loss += policy.loss + weight * ptx.unwrap_or(0.0);
            squared_norm += norm * norm;
        }
        let (value, norm) = self.update_value(experience, chosen)?;
        figures.value = value;
        figures.loss += self.params.vf_coef * value.loss;
        figures.norm = (squared_norm + norm * norm).sqrt();
        Ok(figures)
    }

    fn micro_batch(&self) -> usize {
        self.params.optimization.per_device_train_batch_size as usize
    }

    fn update_policy(
        &mut self,
        experience: &Experience,
        chosen: &[usize],
    ) -> StageResult<(PolicyFigures, Option<f64>, f64)> {
        let episodes: Vec<_> = chosen
            .iter()
            .map(|&index| &experience.policy[index])
            .collect();
        let tokens: usize = episodes.iter().map(|one| one.advantages.len()).sum();
        let micro_batch = self.micro_batch();
        let step = self.policy.step();
        let trainer = self.policy.trainer()?;
        let began = Instant::now();
        let mut sum = Sum::default();
        for episodes in episodes.chunks(micro_batch) {
            let objective = PolicyLoss {
                episodes: episodes.iter().map(|&one| one.clone()).collect(),
                cliprange: self.params.cliprange,
                temperature: self.params.temperature,
                scale: 1.0 / tokens.max(1) as f64,
            };
            let units: Vec<Unit> = episodes.iter().map(|one| one.unit()).collect();
            sum.add(trainer, &units, &objective)?;
        }
        let figures = PolicyFigures::from_values(&sum.values).ok_or_else(no_values)?;
        let mut ptx = None;
        if let Some(pretraining) = &self.pretraining {
            let mut sum = Sum::default();
            for micro in pretraining.micro_batches(step) {
                sum.add(trainer, &micro.units, micro.objective.as_ref())?;
            }
            ptx = Some(sum.loss / pretraining.weight());
        }
        self.phases.add("forward_backward", began);
        let began = Instant::now();
        let norm = trainer.update(self.rates.policy(step + 1))?;
        let norm = f64::try_from(&norm)?;
        self.phases.add("optimizer", began);
        Ok((figures, ptx, norm))
    }

    fn update_value(
        &mut self,
        experience: &Experience,
        chosen: &[usize],
    ) -> StageResult<(ValueFigures, f64)> {
        let episodes: Vec<_> = chosen
            .iter()
            .map(|&index| &experience.value[index])
            .collect();
        let slots: usize = episodes.iter().map(|one| one.returns.len()).sum();
        let began = Instant::now();
        let mut sum = Sum::default();
        for episodes in episodes.chunks(self.micro_batch()) {
            let objective = ValueLoss {
                episodes: episodes.iter().map(|&one| one.clone()).collect(),
                cliprange: self.params.cliprange_value,
                shift: self.shift,
                coefficient: self.params.vf_coef,
                scale: 1.0 / slots.max(1) as f64,
            };
            let units: Vec<Unit> = episodes.iter().map(|one| one.unit()).collect();
            sum.add(&mut self.value, &units, &objective)?;
        }
        let figures = ValueFigures::from_values(&sum.values).ok_or_else(no_values)?;
        let rate = self.rates.value(self.value.step() + 1);
        self.phases.add("forward_backward", began);
        let began = Instant::now();
        let norm = f64::try_from(&self.value.update(rate)?)?;
        self.phases.add("optimizer", began);
        Ok((figures, norm))
    }
}

fn no_values() -> Error {
    Error::Invalid("an objective of PPO measured another number of values".into())
}

/// The sums over an update's micro-batches, in their order.
#[derive(Default)]
struct Sum {
    loss: f64,
    values: Vec<f64>,
}

impl Sum {
    fn add(
        &mut self,
        trainer: &mut Trainer,
        units: &[Unit],
        objective: &dyn Objective,
    ) -> Result<()> {
        let Measured { loss, values } = trainer.accumulate(units, objective)?;
        let values = Vec::<f64>::try_from(&values.f_to_device(crate::Device::Cpu)?)?;
        self.loss += f64::try_from(&loss)?;
        self.values.resize(values.len(), 0.0);
        self.values
            .iter_mut()
            .zip(values)
            .for_each(|(sum, value)| *sum += value);
        Ok(())
    }
}
