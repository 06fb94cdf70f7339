//! `reference_logps`: the reference's log-probabilities of preferences, kept for every `dpo` on the same data.
//!
//! It begins anew after a stop: it is one pass without gradients, the shortest stage of a recipe.

use begat_schemas::{Digest, EventBody, ReferenceLogpsParams, api::DataPurpose};

use super::Context;
use super::preference::{Reading, ReferenceLogps, Wanted, at_row};
use super::scoring::check_head;
use super::sft::check_fit;
use super::training::kind_of;
use crate::contract::{OutputFolder, StageResult};
use crate::data::{ComparisonFile, Limits, TextTokenizer};
use crate::model::{Head, Model, ModelConfig};
use crate::tensors;

/// Batches of a thread between two looks at whether to stop.
const BATCHES_AT_ONCE: usize = 8;

pub(super) fn run(context: &Context<'_>, params: &ReferenceLogpsParams) -> StageResult<()> {
    let folder = context.input("model")?;
    let config = ModelConfig::load(&folder)?;
    check_head("model", &config, Head::LanguageModel)?;
    let tokenizer = TextTokenizer::load(&folder)?;
    check_fit(&config, &tokenizer, params.max_length)?;
    let limits = Limits {
        max_length: params.max_length as usize,
        truncate_prompt: params.truncate_prompt,
    };
    let reading = Reading {
        context,
        tokenizer: &tokenizer,
        purpose: DataPurpose::Dpo,
        limits,
    };
    let file = reading.to_train("dataset")?;
    let model = Model::load(&folder, context.device)?;
    let wanted = Wanted::new(
        &file,
        limits,
        params.mask_format_tokens,
        params.dtype,
        Digest::from(tensors::digest(model.parameters())?),
    );
    let model = model.in_kind(kind_of(params.dtype))?;
    let batch = params.per_device_eval_batch_size as usize;
    let mask = params.mask_format_tokens;
    let found = compute(context, &model, &file, mask, batch, |rows| {
        context.journal.emit(EventBody::Progress {
            step: rows as u64,
            of: file.len() as u64,
            tokens: 0,
            samples: rows as u64,
        });
    })?;
    let output = OutputFolder::begin(context.work, "logps")?;
    found.save(output.path(), &file, &wanted)?;
    output.publish()
}

/// Computes those of all rows, and looks now and then whether to stop.
pub(super) fn compute(
    context: &Context<'_>,
    model: &Model,
    file: &ComparisonFile,
    mask_format_tokens: bool,
    batch: usize,
    mut progress: impl FnMut(usize),
) -> StageResult<ReferenceLogps> {
    let portion = batch * context.threads.max(1) * BATCHES_AT_ONCE;
    let mut all = ReferenceLogps::none();
    let mut row = 0;
    while row < file.len() {
        context.check_stop()?;
        let rows = row..(row + portion).min(file.len());
        row = rows.end;
        let how = (batch, context.threads);
        all.extend(ReferenceLogps::of_rows(
            model,
            file,
            rows,
            mask_format_tokens,
            how,
        )?);
        progress(row);
    }
    match all.broken() {
        None => Ok(all),
        Some(row) => Err(at_row(
            file,
            row,
            "the reference's log-probability is no number",
        )),
    }
}
