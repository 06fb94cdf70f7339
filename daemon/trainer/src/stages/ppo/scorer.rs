//! The reward model: whole texts to standardised scores.

use std::path::Path;

use serde::Deserialize;

use super::passes::{Sequences, pass};
use crate::contract::{At, StageError, StageResult};
use crate::error::Result;
use crate::model::{Head, Model};
use crate::stages::Context;
use crate::{Tensor, tensors};

const NORMALIZATION: &str = "reward_normalization.json";

/// What makes raw scores comparable: demonstrations have mean 0 and standard deviation 1 after it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Normalization {
    pub mean: f64,
    pub std: f64,
}

impl Normalization {
    /// That of a reward model's folder; a model from elsewhere has none, and its scores stay as they are.
    fn load(folder: &Path) -> StageResult<Self> {
        let path = folder.join(NORMALIZATION);
        if !path.is_file() {
            return Ok(Self {
                mean: 0.0,
                std: 1.0,
            });
        }
        let text = std::fs::read(&path).at(&path)?;
        let found: Self = serde_json::from_slice(&text)
            .map_err(|error| StageError::work(&path, error.to_string()))?;
        if found.mean.is_finite() && found.std.is_finite() && found.std > 0.0 {
            return Ok(found);
        }
        let problem = "expected a finite `mean` and a `std` above 0";
        Err(StageError::work(&path, problem))
    }

    fn apply(self, raw: f64) -> f64 {
        (raw - self.mean) / self.std
    }

    /// What is left to add once a score head is divided by `std`.
    pub(super) fn shift(self) -> f64 {
        -self.mean / self.std
    }
}

/// A reward model with its normalization.
#[derive(Debug)]
pub(super) struct Scorer {
    model: Model,
    normalization: Normalization,
}

impl Scorer {
    pub(super) fn load(folder: &Path, context: &Context<'_>) -> StageResult<Self> {
        let model = Model::load(folder, context.device)?;
        if model.config().head != Head::Score {
            return Err(StageError::work(
                folder,
                "a model that gives text; expected a reward model with one score",
            ));
        }
        Ok(Self {
            model,
            normalization: Normalization::load(folder)?,
        })
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    pub(super) fn normalization(&self) -> Normalization {
        self.normalization
    }

    /// The standardised score of each text, read at its last token.
    pub(super) fn scores(&self, texts: &Sequences, threads: usize) -> Result<Vec<f64>> {
        let raw = pass(&self.model, texts, threads, |model, chunk| {
            let last = Tensor::f_from_slice(&chunk.pack.last_tokens())?;
            let rows = last.f_to_device(model.device())?;
            let scores = model.scores(&chunk.hidden.f_index_select(0, &rows)?)?;
            let scores = tensors::floats(&scores)?;
            Ok(scores.into_iter().map(|score| vec![score]).collect())
        })?;
        let each = raw.concat().into_iter();
        Ok(each
            .map(|score| self.normalization.apply(f64::from(score)))
            .collect())
    }

    /// The model that values begin with: this one, on the scale of standardised scores.
    pub(super) fn value_model(&self) -> Result<Model> {
        let model = self.model.duplicate()?;
        let _guard = tch::no_grad_guard();
        for (name, tensor) in model.parameters() {
            if name == "score.weight" {
                let mut tensor = tensor.shallow_clone();
                let _ = tensor.f_div_scalar_(self.normalization.std)?;
            }
        }
        Ok(model)
    }
}
