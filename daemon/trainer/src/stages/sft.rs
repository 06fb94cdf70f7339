//! `sft`: supervised fine-tuning on completions, conversations or texts.

use begat_schemas::{BadValue, SftParams};

use super::Context;
use super::training::{
    Epochs, HeldOut, NamedFigures, Plan, Sequence, Sequences, Source, StepBatch, listed,
    next_token, train,
};
use crate::Stream;
use crate::contract::{StageError, StageResult};
use crate::data::{Rows, SampleFile, SampleReader, Split, TextTokenizer, packed};
use crate::model::{Model, ModelConfig};

pub(super) fn run(context: &Context<'_>, params: &SftParams) -> StageResult<()> {
    super::refuse_dropout(&params.optimization)?;
    let folder = context.input("model")?;
    let config = ModelConfig::load(&folder)?;
    let tokenizer = TextTokenizer::load(&folder)?;
    check_fit(&config, &tokenizer, params.max_length)?;
    let dataset = context.input("dataset")?;
    let mut rows = vec![Rows::to_train("dataset", &dataset)?];
    if context.has_input("more") {
        rows.push(Rows::to_train("more", &context.input("more")?)?);
    }
    let samples = tokenized(context, params, &rows, &tokenizer, "train")?;
    let validation = Rows::find("dataset", &dataset, Split::Validation)?;
    let held_out: Option<Box<dyn HeldOut>> = if validation.has_rows()? {
        let rows = [validation];
        let file = tokenized(context, params, &rows, &tokenizer, "validation")?;
        Some(Box::new(file))
    } else {
        None
    };
    let files = tokenizer.side_files()?;
    let model = train(
        context,
        Plan {
            model: Box::new(|| start(context, &folder, &tokenizer)),
            source: Box::new(Dataset::new(samples, params, context.random("order"))),
            held_out,
            optimization: &params.optimization,
            tokenizer: &tokenizer,
            files: files.clone(),
        },
    )?;
    context.write_model(&model, &files)
}

/// The model to begin with; a configuration that names no special tokens gets the tokenizer's.
pub(super) fn start(
    context: &Context<'_>,
    folder: &std::path::Path,
    tokenizer: &TextTokenizer,
) -> StageResult<Model> {
    let mut model = Model::load(folder, context.device)?;
    let config = model.config();
    let end = i64::from(tokenizer.end_of_text());
    let beginning = config.bos_token_id.or(tokenizer.beginning().map(i64::from));
    let padding = config.pad_token_id.unwrap_or(tokenizer.padding().into());
    model.set_special_tokens(beginning, Some(end), Some(padding));
    Ok(model)
}

/// Whether the model has a place for each token and each position.
pub(super) fn check_fit(
    config: &ModelConfig,
    tokenizer: &TextTokenizer,
    max_length: u32,
) -> StageResult<()> {
    let context_length = config.max_position_embeddings;
    if i64::from(max_length) > context_length {
        return Err(BadValue::new(
            "max_length",
            format!("at most the model's context of {context_length} tokens"),
            max_length,
        )
        .into());
    }
    let vocabulary = tokenizer.vocabulary_size();
    if vocabulary as i64 > config.vocab_size {
        return Err(StageError::dataset(
            "model",
            format!(
                "its tokenizer has {vocabulary} tokens, but its vocab_size is {}",
                config.vocab_size
            ),
        ));
    }
    Ok(())
}

fn tokenized(
    context: &Context<'_>,
    params: &SftParams,
    rows: &[Rows],
    tokenizer: &TextTokenizer,
    name: &str,
) -> StageResult<SampleFile> {
    let path = context.work.scratch()?.join(format!("{name}.samples"));
    let reader = SampleReader {
        tokenizer,
        completion_only: params.completion_only_loss,
    };
    let file = SampleFile::of_several(&path, rows, reader, params.max_length as usize)?;
    let report = file.report();
    let level = if report.truncated + report.dropped > 0 {
        "warn"
    } else {
        "info"
    };
    context.log(
        level,
        format!(
            "{name}: {} rows, {} of them cut at {} tokens, {} dropped because nothing to learn remains",
            report.rows, report.truncated, params.max_length, report.dropped
        ),
    );
    Ok(file)
}

impl Sequences for SampleFile {
    fn count(&self) -> usize {
        self.len()
    }

    fn sequence(&self, index: usize) -> Sequence {
        self.sample(index).shifted()
    }
}

/// Units of samples.
struct Dataset {
    samples: SampleFile,
    /// The samples that share a sequence.
    units: Vec<Vec<usize>>,
    epochs: Epochs,
    micro_batch: usize,
}

impl Dataset {
    fn new(samples: SampleFile, params: &SftParams, random: Stream) -> Self {
        let lengths = samples.lengths();
        let units: Vec<Vec<usize>> = if params.packing {
            packed(&lengths, params.max_length as usize)
        } else {
            (0..samples.len()).map(|sample| vec![sample]).collect()
        };
        let of_unit = |unit: &Vec<usize>| unit.iter().map(|&sample| lengths[sample]).sum();
        let lengths = params
            .group_by_length
            .then(|| units.iter().map(of_unit).collect());
        let optimization = &params.optimization;
        let micro_batch = optimization.per_device_train_batch_size as usize;
        let per_step = micro_batch * optimization.gradient_accumulation_steps as usize;
        let epochs = params.num_train_epochs;
        Self {
            epochs: Epochs::new(units.len(), per_step, epochs, lengths, random),
            samples,
            units,
            micro_batch,
        }
    }
}

impl Source for Dataset {
    fn total_steps(&self) -> u64 {
        self.epochs.total_steps()
    }

    fn batch(&mut self, step: u64) -> StageResult<StepBatch> {
        let chosen = self.epochs.of_step(step);
        let unit = |unit: &usize| {
            let samples = self.units[*unit].iter();
            samples
                .map(|&sample| self.samples.sequence(sample))
                .collect()
        };
        let micro_batches = chosen
            .chunks(self.micro_batch)
            .map(|chosen| chosen.iter().map(unit).collect());
        let rows = chosen
            .iter()
            .map(|&unit| self.units[unit].len() as u64)
            .sum();
        Ok(next_token(micro_batches.collect(), rows, true))
    }

    fn describe(&mut self, step: u64) -> String {
        let units = self.epochs.of_step(step);
        let samples = units.iter().flat_map(|&unit| &self.units[unit]);
        listed(samples.map(|&sample| self.samples.place(sample)))
    }

    fn epoch(&self, steps: u64) -> f64 {
        self.epochs.seen(steps)
    }

    fn figures(&self, _: f64, values: &[f64]) -> NamedFigures {
        ["entropy", "mean_token_accuracy"]
            .into_iter()
            .zip(values.iter().copied())
            .collect()
    }
}
