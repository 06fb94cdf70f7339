//! `model_average`: the mean of several checkpoints' weights, as Llama 3.1 takes it after each of its stages (§4.1.5).
//!
//! Each number is a weighted sum in float64, in the order of the inputs' names, rounded once. A tied output matrix is one
//! parameter and stays tied. Of reward models the shift and the scale are averaged with the same weights: the averaged
//! network scores about as the mean of their raw scores does, whose demonstrations lie about there. Where they must lie
//! there exactly, the figures of demonstrations have to be taken anew, which needs a dataset that this stage does not have.

use std::path::PathBuf;

use begat_schemas::{AverageOf, ModelAverageParams};

use super::Context;
use super::scoring::{NORMALIZATION, Normalization, check_head, check_same_tokenizer};
use crate::contract::{OutputFolder, StageError, StageResult};
use crate::data::TextTokenizer;
use crate::error::Result;
use crate::model::{Head, Model, ModelConfig};
use crate::{Kind, Tensor};

pub(super) fn run(context: &Context<'_>, params: &ModelAverageParams) -> StageResult<()> {
    let inputs = inputs(context, params)?;
    check_alike(params, &inputs)?;
    let mut sum: Option<Model> = None;
    let mut normalization = Normalization {
        mean: 0.0,
        std: 0.0,
    };
    let mut totals: Vec<Tensor> = Vec::new();
    for (number, input) in inputs.iter().enumerate() {
        let model = Model::load(&input.folder, context.device)?;
        add(&mut totals, &model, input.weight)?;
        let own = Normalization::load(&input.folder)?;
        normalization.mean += input.weight * own.mean;
        normalization.std += input.weight * own.std;
        // The first gives the configuration and is overwritten.
        sum.get_or_insert(model);
        progress(context, number as u64 + 1, inputs.len() as u64)?;
    }
    let model = sum.ok_or_else(|| StageError::work(context.work.root(), "no inputs"))?;
    overwrite(&model, &totals)?;
    write(context, params, &inputs[0], &model, normalization)
}

struct Input {
    name: String,
    folder: PathBuf,
    config: ModelConfig,
    tokenizer: TextTokenizer,
    /// Its part of the sum of all weights.
    weight: f64,
}

/// The inputs in the order of their names.
fn inputs(context: &Context<'_>, params: &ModelAverageParams) -> StageResult<Vec<Input>> {
    let names = context.job.derivation.inputs.keys();
    let weight = |name: &_| params.weights.get(name).copied().unwrap_or(1.0);
    let total: f64 = names.clone().map(weight).sum();
    names
        .map(|name| {
            let folder = context.input(name.as_str())?;
            Ok(Input {
                config: ModelConfig::load(&folder)?,
                tokenizer: TextTokenizer::load(&folder)?,
                weight: weight(name) / total,
                name: name.to_string(),
                folder,
            })
        })
        .collect()
}

/// One shape, one kind of head, one tokenizer.
fn check_alike(params: &ModelAverageParams, inputs: &[Input]) -> StageResult<()> {
    let needed = match params.of {
        AverageOf::Model => Head::LanguageModel,
        AverageOf::RewardModel => Head::Score,
    };
    let Some((first, others)) = inputs.split_first() else {
        return Ok(());
    };
    check_head(&first.name, &first.config, needed)?;
    for other in others {
        check_head(&other.name, &other.config, needed)?;
        check_same_tokenizer(
            (&first.name, &first.tokenizer),
            (&other.name, &other.tokenizer),
        )?;
        if let Some(problem) = difference(first, other) {
            return Err(StageError::input(&other.name, problem));
        }
    }
    Ok(())
}

/// The first parameter whose shape differs, else the configurations if they ask for other arithmetic.
fn difference(first: &Input, other: &Input) -> Option<String> {
    let (expected, found) = (first.config.shapes(), other.config.shapes());
    for (name, shape) in &expected {
        match found.iter().find(|(own, _)| own == name) {
            None => {
                return Some(format!(
                    "it has no tensor `{name}`, but `{}` has",
                    first.name
                ));
            }
            Some((_, own)) if own != shape => {
                return Some(format!(
                    "its tensor `{name}` has the shape {own:?}, but that of `{}` has {shape:?}",
                    first.name
                ));
            }
            Some(_) => {}
        }
    }
    if let Some((name, _)) = found.iter().find(|one| !expected.contains(one)) {
        return Some(format!(
            "it has a tensor `{name}`, but `{}` has none",
            first.name
        ));
    }
    // How a fresh model would be filled changes nothing here.
    let own = ModelConfig {
        initializer_range: first.config.initializer_range,
        ..other.config.clone()
    };
    let differs = own != first.config;
    differs.then(|| {
        format!(
            "its config.json asks for other arithmetic or special tokens than that of `{}`",
            first.name
        )
    })
}

/// Adds weight × parameter, in float64.
fn add(totals: &mut Vec<Tensor>, model: &Model, weight: f64) -> Result<()> {
    let _guard = tch::no_grad_guard();
    for (number, (_, tensor)) in model.parameters().iter().enumerate() {
        let part = tensor.f_to_kind(Kind::Double)?.f_mul_scalar(weight)?;
        match totals.get_mut(number) {
            Some(total) => *total = total.f_add(&part)?,
            None => totals.push(part),
        }
    }
    Ok(())
}

fn overwrite(model: &Model, totals: &[Tensor]) -> Result<()> {
    let _guard = tch::no_grad_guard();
    for ((_, tensor), total) in model.parameters().iter().zip(totals) {
        tensor.f_detach()?.f_copy_(&total.f_to_kind(Kind::Float)?)?;
    }
    Ok(())
}

fn progress(context: &Context<'_>, step: u64, of: u64) -> StageResult<()> {
    context.journal.emit(begat_schemas::EventBody::Progress {
        step,
        of,
        tokens: 0,
        samples: 0,
    });
    context.check_stop()
}

fn write(
    context: &Context<'_>,
    params: &ModelAverageParams,
    first: &Input,
    model: &Model,
    normalization: Normalization,
) -> StageResult<()> {
    let output = OutputFolder::begin(context.work, &params.artifact().to_string())?;
    model.save(output.path())?;
    for (name, bytes) in first.tokenizer.side_files()?.iter() {
        output.write(name, bytes)?;
    }
    if params.of == AverageOf::RewardModel {
        output.write(NORMALIZATION, &normalization.to_bytes())?;
    }
    output.publish()
}
