//! A small model, and a check of gradients by differences.

use crate::model::{Compute, Model, ModelConfig, Pack};
use crate::train::{Objective, Pass};
use crate::{Device, Kind, Unit, device};

/// A fresh Llama of 32 dimensions and 40 tokens.
pub(super) fn model() -> Model {
    device::open("cpu", true).unwrap();
    let config = ModelConfig::llama(40, 32, 2, 4, 2);
    Model::initialise(&config, 3, Device::Cpu).unwrap()
}

/// Units of some sequences each, with tokens that tell them apart.
pub(super) fn units(sequences: &[usize]) -> Vec<Unit> {
    let mut next = 0u32;
    let mut sequence = || {
        next += 1;
        let length = 3 + next * 5 % 7;
        (0..length).map(|i| (next * 11 + i * 7) % 40).collect()
    };
    sequences
        .iter()
        .map(|&count| Unit {
            sequences: (0..count).map(|_| sequence()).collect(),
        })
        .collect()
}

fn loss(model: &Model, units: &[Unit], objective: &dyn Objective) -> crate::Tensor {
    let sequences: Vec<&Vec<u32>> = units.iter().flat_map(|unit| &unit.sequences).collect();
    let pack = Pack::new(&sequences, Device::Cpu).unwrap();
    let hidden = model.hidden(&pack).unwrap();
    let pass = Pass {
        model,
        pack: &pack,
        hidden: &hidden,
        units: 0..units.len(),
    };
    objective.outcome(&pass).unwrap().loss
}

/// Compares the gradient of some values of each named parameter with (L(x + h) − L(x − h)) / 2h.
pub(super) fn check_gradient(
    model: &Model,
    units: &[Unit],
    objective: &dyn Objective,
    parameters: &[&str],
) {
    let leaf = model
        .replica(Compute::new(Device::Cpu, Kind::Float))
        .unwrap();
    loss(&leaf, units, objective).backward();
    for name in parameters {
        let find = |model: &Model| {
            let found = model.parameters().iter().find(|(found, _)| found == name);
            found.unwrap().1.shallow_clone()
        };
        let gradient = find(&leaf).grad().view([-1]);
        let values = find(model).detach().view([-1]);
        for index in [3i64, 17, 29] {
            let nudged = |by: f64| {
                let _ = values.narrow(0, index, 1).f_add_scalar_(by).unwrap();
                let found = f64::try_from(loss(model, units, objective)).unwrap();
                let _ = values.narrow(0, index, 1).f_add_scalar_(-by).unwrap();
                found
            };
            let h = 4e-3;
            let slope = (nudged(h) - nudged(-h)) / (2.0 * h);
            let found = gradient.double_value(&[index]);
            assert!(
                (found - slope).abs() <= 2e-2 * slope.abs() + 2e-4,
                "{name}[{index}]: {found} against {slope}"
            );
        }
    }
}
