//! The policy: one with the reference until its first update, a copy in training from then on.

use crate::Kind;
use crate::contract::StageResult;
use crate::error::Result;
use crate::model::{Compute, Model};
use crate::tensors::Named;
use crate::train::{Trainer, TrainerOptions};

/// The policy.
#[derive(Debug)]
pub(super) struct Policy {
    state: State,
    options: TrainerOptions,
}

#[derive(Debug)]
enum State {
    /// The reference's own storage.
    Reference(Box<Model>),
    Parted(Box<Trainer>),
}

impl Policy {
    /// The policy before its first update: the reference, without a copy of a single weight.
    pub(super) fn reference(reference: &Model, options: TrainerOptions) -> Result<Self> {
        Ok(Self {
            state: State::Reference(Box::new(reference.share()?)),
            options,
        })
    }

    /// A policy that was updated `step` times.
    pub(super) fn restored(
        model: Model,
        optimizer: &Named,
        step: u64,
        options: TrainerOptions,
    ) -> Result<Self> {
        let mut trainer = Trainer::new(model, options)?;
        trainer.restore_optimizer(optimizer, step)?;
        Ok(Self {
            state: State::Parted(Box::new(trainer)),
            options,
        })
    }

    pub(super) fn has_parted(&self) -> bool {
        matches!(self.state, State::Parted(_))
    }

    pub(super) fn model(&self) -> &Model {
        match &self.state {
            State::Reference(model) => model,
            State::Parted(trainer) => trainer.model(),
        }
    }

    /// How many updates were made.
    pub(super) fn step(&self) -> u64 {
        match &self.state {
            State::Reference(_) => 0,
            State::Parted(trainer) => trainer.step(),
        }
    }

    /// What trains it; the first call makes the copy.
    pub(super) fn trainer(&mut self) -> Result<&mut Trainer> {
        if let State::Reference(model) = &self.state {
            let trainer = Trainer::new(model.duplicate()?, self.options)?;
            self.state = State::Parted(Box::new(trainer));
        }
        match &mut self.state {
            State::Parted(trainer) => Ok(trainer),
            State::Reference(_) => Err(crate::Error::Invalid(
                "a policy that was parted is one with its reference".into(),
            )),
        }
    }

    /// The optimizer's tensors; none before the first update.
    pub(super) fn optimizer_state(&self) -> Named {
        match &self.state {
            State::Reference(_) => Named::new(),
            State::Parted(trainer) => trainer.optimizer_state(),
        }
    }

    pub(super) fn into_model(self) -> StageResult<Model> {
        match self.state {
            State::Reference(model) => Ok(*model),
            State::Parted(trainer) => Ok(trainer.into_model()),
        }
    }
}

/// The model as its trainer computes it: over the same storage, with activations of this type.
pub(super) fn as_trained(model: &Model, kind: Kind) -> Result<Model> {
    match kind {
        Kind::Float => model.share(),
        _ => model.replica(Compute::new(model.device(), kind))?.share(),
    }
}

/// Whether generation gives the bits of the full forward pass (`generate`): float32 on the processor's own kernels, which
/// take heads whose width is a multiple of 8.
pub(super) fn generates_exactly(model: &Model) -> bool {
    model.compute().has_kernels() && model.config().head_dim % 8 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, ModelConfig, device};

    fn storage(model: &Model) -> Vec<usize> {
        let all = model.parameters().iter();
        all.map(|(_, tensor)| tensor.data_ptr() as usize).collect()
    }

    #[test]
    fn policy_and_reference_share_every_weight_until_they_part() {
        device::open("cpu", true).unwrap();
        let config = ModelConfig::llama(64, 32, 2, 4, 2);
        let reference = Model::initialise(&config, 1, Device::Cpu).unwrap();
        let mut policy = Policy::reference(&reference, TrainerOptions::default()).unwrap();
        assert!(!policy.has_parted() && policy.optimizer_state().is_empty());
        assert_eq!(storage(policy.model()), storage(&reference));
        let before = crate::tensors::digest(reference.parameters()).unwrap();
        policy.trainer().unwrap();
        assert!(policy.has_parted());
        let (own, theirs) = (storage(policy.model()), storage(&reference));
        assert!(own.iter().zip(&theirs).all(|(a, b)| a != b));
        assert_eq!(
            crate::tensors::digest(policy.model().parameters()).unwrap(),
            before
        );
    }
}
