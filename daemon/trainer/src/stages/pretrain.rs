//! `pretrain`: next-token prediction on documents laid end to end.

use begat_schemas::PretrainParams;

use super::Context;
use super::shape::model_config;
use super::training::{
    HeldOut, NamedFigures, Plan, Sequence, Sequences, Source, StepBatch, listed, next_token, train,
};
use crate::Stream;
use crate::contract::{StageError, StageResult};
use crate::data::{Rows, Split, TextTokenizer, TokenFile};
use crate::model::Model;

pub(super) fn run(context: &Context<'_>, params: &PretrainParams) -> StageResult<()> {
    super::refuse_dropout(&params.optimization)?;
    let tokenizer = TextTokenizer::load(&context.input("tokenizer")?)?;
    let config = model_config(&params.model, &tokenizer);
    config.validate("parameter model")?;
    let corpus = context.input("corpus")?;
    let rows = Rows::to_train("corpus", &corpus)?;
    let length = params.max_length as usize;
    let train_rows = tokenized(context, params, &rows, &tokenizer, "train")?;
    let sequences = Packed::whole(train_rows, length);
    if sequences.count() == 0 {
        let expected = format!(
            "more than max_length = {length} tokens, found {}",
            sequences.file.len()
        );
        return Err(StageError::dataset(
            "corpus",
            format!("expected {expected}"),
        ));
    }
    let validation = Rows::find("corpus", &corpus, Split::Validation)?;
    let held_out: Option<Box<dyn HeldOut>> = if validation.has_rows()? {
        let file = tokenized(context, params, &validation, &tokenizer, "validation")?;
        Some(Box::new(Packed::all(file, length)))
    } else {
        None
    };
    let files = tokenizer.side_files()?;
    let optimization = &params.optimization;
    let model = train(
        context,
        Plan {
            model: Box::new(|| Ok(Model::initialise(&config, context.seed(), context.device)?)),
            source: Box::new(Corpus {
                random: context.random("order"),
                order: (u64::MAX, Vec::new()),
                micro_batch: optimization.per_device_train_batch_size as usize,
                accumulation: optimization.gradient_accumulation_steps as usize,
                max_steps: params.max_steps,
                sequences,
            }),
            held_out,
            optimization,
            tokenizer: &tokenizer,
            files: files.clone(),
        },
    )?;
    context.write_model(&model, &files)
}

fn tokenized(
    context: &Context<'_>,
    params: &PretrainParams,
    rows: &Rows,
    tokenizer: &TextTokenizer,
    name: &str,
) -> StageResult<TokenFile> {
    let path = context.work.scratch()?.join(format!("{name}.tokens"));
    let file = TokenFile::build(&path, rows, &params.dataset_text_field, tokenizer)?;
    context.log("info", format!("{name}: {} tokens", file.len()));
    Ok(file)
}

/// A token file in sequences of one length.
#[derive(Debug)]
struct Packed {
    file: TokenFile,
    length: usize,
    count: usize,
}

impl Packed {
    /// Only sequences of the full length, for training.
    fn whole(file: TokenFile, length: usize) -> Self {
        let count = file.len().saturating_sub(1) / length as u64;
        Self {
            file,
            length,
            count: count as usize,
        }
    }

    /// The last one may be shorter.
    fn all(file: TokenFile, length: usize) -> Self {
        let count = file.len().saturating_sub(1).div_ceil(length as u64);
        Self {
            file,
            length,
            count: count as usize,
        }
    }
}

impl Sequences for Packed {
    fn count(&self) -> usize {
        self.count
    }

    /// The target of the last token is the first of the next sequence.
    fn sequence(&self, index: usize) -> Sequence {
        let start = index as u64 * self.length as u64;
        let left = (self.file.len() - start) as usize;
        let tokens = self.file.tokens(start, left.min(self.length + 1));
        let targets = tokens[1..].iter().map(|&token| i64::from(token)).collect();
        (tokens[..tokens.len() - 1].to_vec(), targets)
    }
}

/// The sequences in an order of their own in each epoch; batches go on from one epoch into the next.
struct Corpus {
    sequences: Packed,
    random: Stream,
    /// An epoch and its order.
    order: (u64, Vec<usize>),
    micro_batch: usize,
    accumulation: usize,
    max_steps: u64,
}

impl Corpus {
    fn sequences_of(&mut self, step: u64) -> Vec<usize> {
        let per_step = (self.micro_batch * self.accumulation) as u64;
        let first = (step - 1) * per_step;
        (first..first + per_step)
            .map(|position| self.at(position))
            .collect()
    }

    fn at(&mut self, position: u64) -> usize {
        let count = self.sequences.count as u64;
        let epoch = position / count;
        if self.order.0 != epoch {
            self.order = (epoch, self.random.permutation(epoch, self.sequences.count));
        }
        self.order.1[(position % count) as usize]
    }
}

impl Source for Corpus {
    fn total_steps(&self) -> u64 {
        self.max_steps
    }

    fn batch(&mut self, step: u64) -> StageResult<StepBatch> {
        let chosen = self.sequences_of(step);
        let micro_batches = chosen.chunks(self.micro_batch).map(|chosen| {
            let units = chosen
                .iter()
                .map(|&index| vec![self.sequences.sequence(index)]);
            units.collect()
        });
        let samples = chosen.len() as u64;
        Ok(next_token(micro_batches.collect(), samples, false))
    }

    fn describe(&mut self, step: u64) -> String {
        let length = self.sequences.length;
        let names = self
            .sequences_of(step)
            .into_iter()
            .map(|index| index.to_string());
        format!(
            "sequences {} of {length} tokens each, counted from 0",
            listed(names)
        )
    }

    fn epoch(&self, steps: u64) -> f64 {
        let consumed = steps * (self.micro_batch * self.accumulation) as u64;
        consumed as f64 / self.sequences.count as f64
    }
    fn figures(&self, loss: f64, _: &[f64]) -> NamedFigures {
        vec![("perplexity", loss.exp())]
    }
}
