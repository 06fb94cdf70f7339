//! AdamW with decoupled weight decay on matrices only, its state held as plain named tensors.

use crate::{
    error::{Error, Result},
    shim,
    tensors::Named,
};
use tch::{Device, Kind, Tensor};

/// AdamW's settings but the learning rate, which changes with the step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled decay of matrices (parameters with two dimensions); norms and biases have none.
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.95,
            epsilon: 1e-8,
            weight_decay: 0.1,
        }
    }
}

/// The moments of every parameter.
#[derive(Debug)]
pub(crate) struct State {
    names: Vec<String>,
    first: Vec<Tensor>,
    second: Vec<Tensor>,
    /// What `_fused_adamw_` counts in; a scalar per parameter, all equal.
    steps: Vec<Tensor>,
    step: u64,
}

impl State {
    pub(crate) fn new(parameters: &[(String, Tensor)]) -> Result<Self> {
        let zeros = || {
            parameters
                .iter()
                .map(|(_, tensor)| Ok(tensor.f_detach()?.f_zeros_like()?))
                .collect::<Result<_>>()
        };
        let scalar = |tensor: &Tensor| {
            Ok(Tensor::f_zeros(
                [] as [i64; 0],
                (Kind::Float, tensor.device()),
            )?)
        };
        Ok(Self {
            names: parameters.iter().map(|(name, _)| name.clone()).collect(),
            first: zeros()?,
            second: zeros()?,
            steps: parameters
                .iter()
                .map(|(_, tensor)| scalar(tensor))
                .collect::<Result<_>>()?,
            step: 0,
        })
    }

    /// How many updates were made.
    pub(crate) fn step(&self) -> u64 {
        self.step
    }

    /// One update of all parameters.
    pub(crate) fn update(
        &mut self,
        parameters: &[(String, Tensor)],
        gradients: &[Tensor],
        rate: f64,
        options: AdamW,
    ) -> Result<()> {
        self.step += 1;
        for counter in &mut self.steps {
            let _ = counter.f_fill_(self.step as f64)?;
        }
        for (is_matrix, weight_decay) in [(true, options.weight_decay), (false, 0.0)] {
            let chosen: Vec<usize> = (0..parameters.len())
                .filter(|&i| (parameters[i].1.dim() >= 2) == is_matrix)
                .collect();
            if chosen.is_empty() {
                continue;
            }
            let pick = |list: &'_ [Tensor]| {
                chosen
                    .iter()
                    .map(|&i| list[i].shallow_clone())
                    .collect::<Vec<_>>()
            };
            let values: Vec<Tensor> = chosen
                .iter()
                .map(|&i| parameters[i].1.shallow_clone())
                .collect();
            let lists = [
                values,
                pick(gradients),
                pick(&self.first),
                pick(&self.second),
                pick(&self.steps),
            ];
            let [values, slopes, first, second, steps] = lists
                .each_ref()
                .map(|list| list.iter().collect::<Vec<&Tensor>>());
            let AdamW {
                beta1,
                beta2,
                epsilon,
                ..
            } = options;
            let options = shim::AdamW {
                learning_rate: rate,
                beta1,
                beta2,
                weight_decay,
                epsilon,
            };
            shim::adamw_step(&values, &slopes, (&first, &second), &steps, options)?;
        }
        Ok(())
    }

    /// The moments by name, for a checkpoint.
    pub(crate) fn named(&self) -> Named {
        let with = |tensors: &[Tensor], suffix: &str| -> Named {
            let named = self.names.iter().zip(tensors);
            named
                .map(|(name, tensor)| (format!("{name}.{suffix}"), tensor.shallow_clone()))
                .collect()
        };
        let mut all = with(&self.first, "exp_avg");
        all.extend(with(&self.second, "exp_avg_sq"));
        all
    }

    /// Takes over the moments of a checkpoint made after `step` updates.
    pub(crate) fn restore(
        &mut self,
        named: &[(String, Tensor)],
        step: u64,
        device: Device,
    ) -> Result<()> {
        for (wanted, target) in self.named() {
            let found = named
                .iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, tensor)| tensor);
            let found = found
                .filter(|tensor| tensor.size() == target.size())
                .ok_or_else(|| {
                    Error::Invalid(format!(
                        "the optimizer state lacks `{wanted}` of shape {:?}",
                        target.size()
                    ))
                })?;
            let mut target = target;
            target.f_copy_(&found.f_to_device(device)?)?;
        }
        self.step = step;
        Ok(())
    }
}
