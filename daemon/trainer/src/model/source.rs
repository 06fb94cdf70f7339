//! Hands a model's parameters to its network, and what copies of a model share besides: rotary tables and packed matrices.

use super::{
    ModelConfig,
    ops::{Compute, Linear, Rotary},
};
use crate::{
    error::{Error, Result},
    shim,
};
use std::collections::HashMap;
use tch::Tensor;

/// What is computed once for all copies of a model.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Matrices by their parameter's name, in the order in which the CPU kernel reads them; for models that do not change.
    packed: Option<HashMap<String, Tensor>>,
    rotary: Option<Rotary>,
}

impl Shared {
    /// The same tables and packed matrices, for another copy.
    pub(super) fn share(&self) -> Self {
        let packed = self.packed.as_ref().map(|packed| {
            let entries = packed.iter();
            entries
                .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
                .collect()
        });
        Self {
            packed,
            rotary: self.rotary.as_ref().map(Rotary::share),
        }
    }

    /// The same tables without packed matrices, for a copy whose parameters change.
    pub(super) fn tables(&self) -> Self {
        Self {
            packed: None,
            ..self.share()
        }
    }

    /// The same tables, and matrices that will be packed.
    pub(super) fn packing(&self) -> Self {
        Self {
            packed: Some(HashMap::new()),
            ..self.share()
        }
    }
}

/// Parameters by name.
pub(super) struct Source<'a> {
    by_name: HashMap<&'a str, &'a Tensor>,
    shared: Shared,
    compute: Compute,
}

impl<'a> Source<'a> {
    pub(super) fn new(
        parameters: &'a [(String, Tensor)],
        shared: Shared,
        compute: Compute,
    ) -> Self {
        let named = parameters.iter();
        Self {
            by_name: named
                .map(|(name, tensor)| (name.as_str(), tensor))
                .collect(),
            shared,
            compute,
        }
    }

    /// A parameter.
    pub(super) fn get(&self, name: &str) -> Result<Tensor> {
        let tensor = self
            .by_name
            .get(name)
            .ok_or_else(|| Error::Invalid(format!("parameter `{name}` is missing")))?;
        Ok(tensor.shallow_clone())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// A matrix whose rows are outputs, without bias.
    pub(super) fn linear(&mut self, name: &str) -> Result<Linear> {
        let packed = self.packed(name, true)?;
        Ok(Linear::new(self.get(name)?, None, true, packed))
    }

    /// A matrix whose rows are inputs, with a bias.
    pub(super) fn conv1d(&mut self, name: &str) -> Result<Linear> {
        let weight = format!("{name}.weight");
        let packed = self.packed(&weight, false)?;
        let bias = self.get(&format!("{name}.bias"))?;
        Ok(Linear::new(self.get(&weight)?, Some(bias), false, packed))
    }

    fn packed(&mut self, name: &str, by_output: bool) -> Result<Option<Tensor>> {
        let weight = self.get(name)?;
        let Some(packed) = &mut self.shared.packed else {
            return Ok(None);
        };
        if !self.compute.has_kernels() {
            return Ok(None);
        }
        if !packed.contains_key(name) {
            packed.insert(name.to_owned(), shim::pack(&weight, by_output)?);
        }
        Ok(packed.get(name).map(Tensor::shallow_clone))
    }

    pub(super) fn rotary(&mut self, config: &ModelConfig) -> Result<Rotary> {
        if self.shared.rotary.is_none() {
            self.shared.rotary = Some(Rotary::new(
                config.max_position_embeddings,
                config.head_dim,
                config.rope_theta,
                self.compute.device,
            )?);
        }
        let rotary = self.shared.rotary.as_ref().map(Rotary::share);
        Ok(rotary.expect("it was made above"))
    }

    pub(super) fn into_shared(self) -> Shared {
        self.shared
    }
}
