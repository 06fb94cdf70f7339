//! PPO-ptx: pretraining texts beside each minibatch (Ouyang et al., 2022, eq. 2).
//!
//! The paper adds γ·E[log π(x)] to what is maximised. Here γ = `ptx_coef` weighs the mean cross-entropy over the tokens of
//! the texts of an update, as a pretraining stage would have it.

use begat_schemas::PpoParams;

use crate::Stream;
use crate::contract::StageResult;
use crate::data::{Rows, SampleFile, SampleReader, TextTokenizer};
use crate::error::Result;
use crate::model::ModelConfig;
use crate::stages::Context;
use crate::stages::training::{MicroBatch, Sequences, next_token};
use crate::train::{Objective, Outcome, Pass};

/// The texts.
pub(super) struct Pretraining {
    texts: SampleFile,
    order: Stream,
    per_update: usize,
    micro_batch: usize,
    weight: f64,
}

impl Pretraining {
    pub(super) fn read(
        context: &Context<'_>,
        params: &PpoParams,
        tokenizer: &TextTokenizer,
        config: &ModelConfig,
    ) -> StageResult<Self> {
        let rows = Rows::to_train("pretraining", &context.input("pretraining")?)?;
        let reader = SampleReader {
            tokenizer,
            completion_only: false,
        };
        let path = context.work.scratch()?.join("pretraining.samples");
        let longest = config.max_position_embeddings as usize;
        let texts = SampleFile::build(&path, &rows, reader, longest)?;
        let report = texts.report();
        context.log("info", format!(
            "pretraining: {} texts, {} of them cut at {longest} tokens, {} dropped because nothing to learn remains",
            report.rows, report.truncated, report.dropped
        ));
        Ok(Self {
            texts,
            order: context.random("pretraining"),
            per_update: params.ptx_batch_size as usize,
            micro_batch: params.optimization.per_device_train_batch_size as usize,
            weight: params.ptx_coef,
        })
    }

    /// The texts of the policy's `update`, counted from 0: all of them once before any comes again.
    fn chosen(&self, update: u64) -> Vec<usize> {
        let count = self.texts.len();
        let first = update * self.per_update as u64;
        let mut order = (u64::MAX, Vec::new());
        (first..first + self.per_update as u64)
            .map(|index| {
                let epoch = index / count as u64;
                if order.0 != epoch {
                    order = (epoch, self.order.permutation(epoch, count));
                }
                order.1[(index % count as u64) as usize]
            })
            .collect()
    }

    /// The weighted loss on the texts of an update.
    pub(super) fn micro_batches(&self, update: u64) -> Vec<MicroBatch> {
        let chosen = self.chosen(update);
        let unit = |text: &usize| vec![self.texts.sequence(*text)];
        let micro_batches = chosen
            .chunks(self.micro_batch)
            .map(|texts| texts.iter().map(unit).collect());
        let batch = next_token(micro_batches.collect(), chosen.len() as u64, false);
        let weighted = batch.micro_batches.into_iter().map(|micro| MicroBatch {
            units: micro.units,
            objective: Box::new(Weighted {
                inner: micro.objective,
                weight: self.weight,
            }),
        });
        weighted.collect()
    }

    pub(super) fn weight(&self) -> f64 {
        self.weight
    }
}

/// Another objective's loss times a number.
struct Weighted {
    inner: Box<dyn Objective>,
    weight: f64,
}

impl Objective for Weighted {
    fn outcome(&self, pass: &Pass) -> Result<Outcome> {
        let Outcome { loss, values } = self.inner.outcome(pass)?;
        let loss = loss.f_mul_scalar(self.weight)?;
        Ok(Outcome { loss, values })
    }
}
