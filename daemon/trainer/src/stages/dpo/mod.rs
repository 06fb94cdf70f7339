//! `dpo`: direct preference optimization (Rafailov et al., 2023), with the additions of Llama 3.1.
//!
//! The reference's log-probabilities are computed once, before the first step, and kept in the work folder, so that a
//! resumed training begins where it was; a recipe can also have them computed by a stage of their own.

mod held_out;
mod source;

use std::path::{Path, PathBuf};

use begat_schemas::{Digest, DpoParams, api::DataPurpose};

use super::Context;
use super::preference::{Reading, ReferenceLogps, Wanted, check_filtered, scratch};
use super::reference_logps::compute;
use super::scoring::{check_head, check_same_tokenizer};
use super::sft::{check_fit, start};
use super::training::{HeldOut, Plan, kind_of, train};
use crate::contract::{At, StageResult};
use crate::data::{ComparisonFile, Limits, TextTokenizer};
use crate::loss::dpo::DpoOptions;
use crate::model::{Head, Model, ModelConfig};
use crate::tensors;
use held_out::HeldOutPreferences;
use source::Pairs;

pub(super) fn run(context: &Context<'_>, params: &DpoParams) -> StageResult<()> {
    super::refuse_dropout(&params.optimization)?;
    let folder = context.input("model")?;
    let config = ModelConfig::load(&folder)?;
    check_head("model", &config, Head::LanguageModel)?;
    let tokenizer = TextTokenizer::load(&folder)?;
    check_fit(&config, &tokenizer, params.max_length)?;
    let reading = Reading {
        context,
        tokenizer: &tokenizer,
        purpose: DataPurpose::Dpo,
        limits: limits(params),
    };
    let file = reading.to_train("dataset")?;
    check_filtered(context, &file, params.strengths.as_ref())?;
    let validation = reading.validation("dataset")?;
    let mut reference = Reference {
        context,
        params,
        folder: reference_folder(context, &tokenizer, &folder)?,
        model: None,
    };
    let logps = reference.of_dataset(&file)?;
    let held_out: Option<Box<dyn HeldOut>> = match validation {
        None => None,
        Some(file) => {
            let logps = reference.kept(&file, "validation")?;
            Some(Box::new(HeldOutPreferences::new(file, logps, params)))
        }
    };
    drop(reference);
    let files = tokenizer.side_files()?;
    let model = train(
        context,
        Plan {
            model: Box::new(|| start(context, &folder, &tokenizer)),
            source: Box::new(Pairs::new(file, logps, params, context.random("order"))),
            held_out,
            optimization: &params.optimization,
            tokenizer: &tokenizer,
            files: files.clone(),
        },
    )?;
    context.write_model(&model, &files)
}

fn limits(params: &DpoParams) -> Limits {
    Limits {
        max_length: params.max_length as usize,
        truncate_prompt: params.truncate_prompt,
    }
}

fn options(params: &DpoParams) -> DpoOptions {
    DpoOptions {
        beta: params.beta,
        label_smoothing: params.label_smoothing,
        sft_loss_weight: params.sft_loss_weight,
    }
}

/// The input `reference`, whose tokens must be the model's; else the model that training begins with.
fn reference_folder(
    context: &Context<'_>,
    tokenizer: &TextTokenizer,
    model: &Path,
) -> StageResult<PathBuf> {
    let Some(folder) = context.optional_input("reference")? else {
        return Ok(model.to_owned());
    };
    check_head(
        "reference",
        &ModelConfig::load(&folder)?,
        Head::LanguageModel,
    )?;
    let own = TextTokenizer::load(&folder)?;
    check_same_tokenizer(("model", tokenizer), ("reference", &own))?;
    Ok(folder)
}

/// The reference, loaded when it is needed.
struct Reference<'a> {
    context: &'a Context<'a>,
    params: &'a DpoParams,
    folder: PathBuf,
    /// The model in the number format of the training, and the digest of its parameters.
    model: Option<(Model, Digest)>,
}

impl Reference<'_> {
    /// Those of the input `reference_logps`, which must be of this dataset and reference; else computed here.
    fn of_dataset(&mut self, file: &ComparisonFile) -> StageResult<ReferenceLogps> {
        match self.context.optional_input("reference_logps")? {
            Some(folder) => {
                let wanted = self.wanted(file)?;
                ReferenceLogps::load(&folder, &wanted)
            }
            None => self.kept(file, "train"),
        }
    }

    /// Those that an earlier life of this attempt left in the work folder, or new ones, which are left there.
    fn kept(&mut self, file: &ComparisonFile, name: &str) -> StageResult<ReferenceLogps> {
        let folder = scratch(self.context, &format!("reference_logps-{name}"))?;
        std::fs::create_dir_all(&folder).at(&folder)?;
        let wanted = self.wanted(file)?;
        // What was cut short or is of something else is of no use.
        if let Ok(found) = ReferenceLogps::load(&folder, &wanted) {
            return Ok(found);
        }
        let batch = self.params.optimization.per_device_train_batch_size as usize * 2;
        let (model, _) = self.model()?;
        let model = model.share()?;
        let mask = self.params.mask_format_tokens;
        let found = compute(self.context, &model, file, mask, batch, |_| ())?;
        found.save(&folder, file, &wanted)?;
        Ok(found)
    }

    fn wanted(&mut self, file: &ComparisonFile) -> StageResult<Wanted> {
        let params = self.params;
        let digest = self.model()?.1;
        let (mask, dtype) = (params.mask_format_tokens, params.optimization.dtype);
        Ok(Wanted::new(file, limits(params), mask, dtype, digest))
    }

    fn model(&mut self) -> StageResult<&(Model, Digest)> {
        let found = match self.model.take() {
            Some(found) => found,
            None => {
                let model = Model::load(&self.folder, self.context.device)?;
                let digest = Digest::from(tensors::digest(model.parameters())?);
                let kind = kind_of(self.params.optimization.dtype);
                (model.in_kind(kind)?, digest)
            }
        };
        Ok(self.model.insert(found))
    }
}
