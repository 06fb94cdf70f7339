//! The value model: the reward model, on the scale of standardised scores.
//!
//! A score head has no bias, so of the reward model's normalisation (score − mean) / std the division goes into the head,
//! where training finds it, and −mean / std is added to every score. Values then begin where rewards are; a value model on
//! the raw scale begins with a loss that is many times as large.

use crate::error::Result;
use crate::model::Model;
use crate::stages::scoring::{Normalization, RewardModel};

/// The model that values begin with, of its own storage.
pub(super) fn value_model(reward_model: &RewardModel) -> Result<Model> {
    let model = reward_model.model().duplicate()?;
    let _guard = tch::no_grad_guard();
    for (name, tensor) in model.parameters() {
        if name == "score.weight" {
            let mut tensor = tensor.shallow_clone();
            let _ = tensor.f_div_scalar_(reward_model.normalization().std)?;
        }
    }
    Ok(model)
}

/// What is added to each score of the value model.
pub(super) fn shift(normalization: Normalization) -> f64 {
    -normalization.mean / normalization.std
}
