//! What begat finds for a case, by the library that the stages use.

mod dpo;
mod generation;
mod ppo_rollout;
mod ppo_update;
mod reward;
mod sft;

use begat_trainer::{
    AdamW, Device, Error, Kind, Model, Pack, Result, Tensor, Trainer, TrainerOptions, device,
    tensors,
};
use serde::Deserialize;
use std::path::Path;

/// Tensors by name.
pub type Outputs = Vec<(String, Tensor)>;

/// A case, by its `kind`.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Case {
    Reward(reward::Case),
    Dpo(dpo::Case),
    Sft(sft::Case),
    PpoRollout(ppo_rollout::Case),
    PpoUpdate(ppo_update::Case),
    Generate(generation::Case),
}

/// What begat computes of the case in this folder.
pub fn compute(folder: &Path) -> Result<Outputs> {
    device::open("cpu", false)?;
    let invalid = |error: &dyn std::fmt::Display| {
        Error::Invalid(format!("{}/case.json: {error}", folder.display()))
    };
    let text = std::fs::read(folder.join("case.json")).map_err(|error| invalid(&error))?;
    match serde_json::from_slice(&text).map_err(|error| invalid(&error))? {
        Case::Reward(case) => case.compute(folder),
        Case::Dpo(case) => case.compute(folder),
        Case::Sft(case) => case.compute(folder),
        Case::PpoRollout(case) => case.compute(folder),
        Case::PpoUpdate(case) => case.compute(folder),
        Case::Generate(case) => case.compute(folder),
    }
}

fn load(folder: &Path, name: &str) -> Result<Model> {
    Model::load(&folder.join(name), Device::Cpu)
}

/// The other side's results, some of which are inputs of a case: what it computed before.
struct Theirs(tensors::Named);

impl Theirs {
    fn load(folder: &Path) -> Result<Self> {
        tensors::load(&folder.join("theirs.safetensors"), Device::Cpu).map(Self)
    }

    /// A tensor's values, cut into rows of these lengths.
    fn rows(&self, name: &str, lengths: &[usize]) -> Result<Vec<Vec<f32>>> {
        let found = self.0.iter().find(|(found, _)| found == name);
        let (_, tensor) = found.ok_or_else(|| {
            Error::Invalid(format!("theirs.safetensors lacks the tensor `{name}`"))
        })?;
        let values = tensors::floats(tensor)?;
        let expected: usize = lengths.iter().sum();
        if values.len() != expected {
            let count = values.len();
            return Err(Error::Invalid(format!(
                "`{name}` has {count} values; expected {expected}"
            )));
        }
        let mut rest = values.as_slice();
        let mut row = |&length: &usize| {
            let (row, behind) = rest.split_at(length);
            rest = behind;
            row.to_vec()
        };
        Ok(lengths.iter().map(&mut row).collect())
    }
}

/// A trainer for losses and gradients alone: nothing is clipped.
fn trainer(model: Model) -> Result<Trainer> {
    let options = TrainerOptions {
        optimizer: AdamW::default(),
        max_gradient_norm: f64::INFINITY,
        kind: Kind::Float,
        ..TrainerOptions::default()
    };
    Trainer::new(model, options)
}

/// The gradients of what was accumulated, each with `prefix` before its name.
fn gradients(trainer: &mut Trainer, prefix: &str) -> Result<Outputs> {
    let _norm = trainer.update(0.0)?;
    let gradients = trainer.gradients();
    Ok(gradients
        .map(|(name, gradient)| (format!("{prefix}gradient.{name}"), gradient.copy()))
        .collect())
}

fn output(name: &str, value: impl Into<Tensor>) -> (String, Tensor) {
    (name.to_owned(), value.into())
}

fn numbers(name: &str, values: &[f64]) -> (String, Tensor) {
    (name.to_owned(), Tensor::from_slice(values))
}

/// The scalar outputs of some measured values.
fn named<'a>(names: &'a [&str], values: &'a [f64]) -> impl Iterator<Item = (String, Tensor)> + 'a {
    let pairs = names.iter().zip(values);
    pairs.map(|(name, value)| output(name, *value))
}

fn pack(sequences: &[Vec<u32>]) -> Result<Pack> {
    Pack::new(sequences, Device::Cpu)
}

/// The values of a float tensor in float64.
fn doubles(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(Vec::<f64>::try_from(
        &tensor.f_detach()?.f_to_kind(Kind::Double)?,
    )?)
}
