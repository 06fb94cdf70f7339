//! The one training loop: schedule, accumulation, figures, checkpoints, held-out evaluation, and stopping.
//!
//! A stage brings a model and a [`Source`] of batches. The position in the data is the step alone, so a checkpoint holds
//! no iterator and a resumed training sees what an undisturbed one would.

mod divergence;
mod epochs;
mod held_out;
mod objective;
mod reading;
mod sample;
mod schedule;
mod source;

use std::collections::BTreeMap;
use std::time::Instant;

use begat_schemas::{Dtype, EventBody, Metric, OptimizationParams};
use serde::{Deserialize, Serialize};

use super::Context;
use super::phases::Phases;
use crate::contract::{Checkpoint, CheckpointWriter, Snapshot, StageError, StageResult};
use crate::data::{SideFiles, TextTokenizer};
use crate::model::Model;
use crate::train::{AdamW, Measured, Trainer, TrainerOptions};
use crate::{Device, Kind, device, tensors};
use divergence::Divergence;
use reading::{Figures, Reading};

pub(crate) use epochs::Epochs;
pub(crate) use held_out::judge;
pub(crate) use objective::next_token;
pub(crate) use schedule::LearningRate;
pub(crate) use source::{
    HeldOut, MicroBatch, NamedFigures, Sequence, Sequences, Source, StepBatch, listed,
};

/// What a stage brings.
pub(crate) struct Plan<'a> {
    /// Makes the model that training begins with; not called when it goes on from a checkpoint.
    pub model: Box<dyn FnOnce() -> StageResult<Model> + 'a>,
    /// The batches.
    pub source: Box<dyn Source + 'a>,
    /// What the model is judged on during training and at its end.
    pub held_out: Option<Box<dyn HeldOut + 'a>>,
    /// How weights are updated.
    pub optimization: &'a OptimizationParams,
    /// Decodes what is sampled on the way.
    pub tokenizer: &'a TextTokenizer,
    /// The files that go into a model's folder besides the model.
    pub files: SideFiles,
}

/// What a checkpoint holds besides tensors.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Position {
    tokens: u64,
    samples: u64,
    divergence: Divergence,
}

/// Trains to the end and gives the model.
pub(crate) fn train(context: &Context<'_>, plan: Plan<'_>) -> StageResult<Model> {
    let mut training = Training::begin(context, plan)?;
    training.progress();
    while training.step < training.total {
        training.one_step()?;
    }
    training.finish()?;
    Ok(training.trainer.into_model())
}

struct Training<'a> {
    context: &'a Context<'a>,
    trainer: Trainer,
    source: Box<dyn Source + 'a>,
    held_out: Option<Box<dyn HeldOut + 'a>>,
    optimization: &'a OptimizationParams,
    tokenizer: &'a TextTokenizer,
    files: SideFiles,
    rate: LearningRate,
    checkpoints: CheckpointWriter,
    step: u64,
    total: u64,
    position: Position,
    readings: Vec<Reading>,
    latest: BTreeMap<String, f64>,
    /// When the last interval began, and the tokens consumed by then.
    measured_from: (Instant, u64),
    phases: Phases,
}

impl<'a> Training<'a> {
    fn begin(context: &'a Context<'a>, plan: Plan<'a>) -> StageResult<Self> {
        let checkpoint = match context.job.resume_from {
            Some(step) if step > 0 => Some(Checkpoint::open(context.work, step)?),
            _ => None,
        };
        let step = checkpoint.as_ref().map_or(0, Checkpoint::step);
        let model = match &checkpoint {
            Some(checkpoint) => checkpoint.model(context.device)?,
            None => (plan.model)()?,
        };
        let mut trainer = Trainer::new(model, trainer_options(context, plan.optimization))?;
        let mut position = Position::default();
        let mut latest = BTreeMap::new();
        if let Some(checkpoint) = &checkpoint {
            trainer.restore_optimizer(&checkpoint.optimizer(context.device)?, step)?;
            position = serde_json::from_value(checkpoint.position().clone()).map_err(|error| {
                StageError::work(&context.work.checkpoints(), error.to_string())
            })?;
            latest = checkpoint.metrics().clone();
        }
        let keep = &context.job.execution.keep;
        let sink = context.journal.sink();
        let total = plan.source.total_steps();
        Ok(Self {
            checkpoints: CheckpointWriter::start(context.work, step, keep, sink)?,
            rate: LearningRate::new(plan.optimization, total),
            source: plan.source,
            held_out: plan.held_out,
            optimization: plan.optimization,
            tokenizer: plan.tokenizer,
            files: plan.files,
            readings: Vec::new(),
            phases: Phases::default(),
            measured_from: (Instant::now(), position.tokens),
            context,
            trainer,
            step,
            total,
            position,
            latest,
        })
    }

    fn one_step(&mut self) -> StageResult<()> {
        self.step += 1;
        let began = Instant::now();
        let batch = self.source.batch(self.step)?;
        self.phases.add("data", began);
        let learning_rate = self.rate.at(self.step);
        let began = Instant::now();
        let measured = self.accumulate(&batch)?;
        self.phases.add("forward_backward", began);
        let began = Instant::now();
        let norm = self.trainer.update(learning_rate)?;
        self.phases.add("optimizer", began);
        (self.context.hooks.after_update)(self.step, self.trainer.model());
        self.position.tokens += batch.tokens;
        self.position.samples += batch.samples;
        self.readings.push(Reading {
            step: self.step,
            learning_rate,
            tokens: self.position.tokens,
            measured,
            norm,
        });
        self.report()
    }

    fn accumulate(&mut self, batch: &StepBatch) -> StageResult<Measured> {
        let mut sum: Option<Measured> = None;
        for MicroBatch { units, objective } in &batch.micro_batches {
            let one = self.trainer.accumulate(units, objective.as_ref())?;
            sum = Some(match sum {
                None => one,
                Some(sum) => Measured {
                    loss: sum.loss.f_add(&one.loss)?,
                    values: sum.values.f_add(&one.values)?,
                },
            });
        }
        sum.ok_or_else(|| StageError::dataset("dataset", format!("step {} has no rows", self.step)))
    }

    /// What is due after a step.
    fn report(&mut self) -> StageResult<()> {
        let execution = &self.context.job.execution;
        let is_last = self.step == self.total;
        let step = self.step;
        let due = |every: u64| every > 0 && step.is_multiple_of(every);
        let (log, save) = (
            due(execution.logging_steps) || is_last,
            due(execution.save_steps),
        );
        let judge = due(execution.eval_steps) || is_last;
        let stop = self.context.stop.is_set() && !is_last;
        // On a GPU a reading waits for all work before it, so several are read at once.
        if log || save || judge || stop || self.context.device == Device::Cpu {
            let began = Instant::now();
            self.read()?;
            self.phases.add("forward_backward", began);
        }
        if log {
            self.progress();
            self.speed();
        }
        if judge {
            self.judge()?;
        }
        if due(execution.sample_steps) {
            self.sample(self.step / execution.sample_steps)?;
        }
        if stop {
            return self.interrupt();
        }
        if save {
            let began = Instant::now();
            let snapshot = self.snapshot()?;
            self.checkpoints.submit(snapshot)?;
            self.phases.add("checkpoint", began);
        }
        Ok(())
    }

    fn progress(&self) {
        self.context.journal.emit(EventBody::Progress {
            step: self.step,
            of: self.total,
            tokens: self.position.tokens,
            samples: self.position.samples,
        });
    }

    /// How fast the last interval was, and where its seconds went; the only figures that are others each time.
    fn speed(&mut self) {
        let now = (Instant::now(), self.position.tokens);
        let (then, tokens) = std::mem::replace(&mut self.measured_from, now);
        let seconds = then.elapsed().as_secs_f64();
        if seconds > 0.0 {
            let rate = (now.1 - tokens) as f64 / seconds;
            let mut values = self.phases.take();
            values.insert("tokens_per_second".to_owned(), Metric(rate));
            self.emit(values);
        }
    }

    fn emit(&self, values: BTreeMap<String, Metric>) {
        self.context.journal.emit(EventBody::Metrics {
            step: self.step,
            values,
            fingerprint: None,
        });
    }

    /// Waits for the last checkpoints.
    fn finish(&mut self) -> StageResult<()> {
        let began = Instant::now();
        self.checkpoints.finish()?;
        self.phases.add("checkpoint", began);
        let spent = self.phases.take();
        self.emit(spent);
        Ok(())
    }

    /// Reads the figures of the steps since the last reading, writes them down, and judges them.
    fn read(&mut self) -> StageResult<()> {
        let readings = std::mem::take(&mut self.readings);
        for (reading, figures) in readings.iter().zip(reading::read(&readings)?) {
            self.write_down(reading, &figures);
            let warmed_up = reading.step > self.rate.warmup_steps();
            let wrong = self
                .position
                .divergence
                .check(figures.loss, figures.norm, warmed_up);
            if let Some(what) = wrong {
                return Err(StageError::Broken {
                    step: reading.step,
                    what,
                    batch: self.source.describe(reading.step),
                });
            }
        }
        Ok(())
    }

    fn write_down(&mut self, reading: &Reading, figures: &Figures) {
        let mut values = vec![
            ("loss", figures.loss),
            ("grad_norm", figures.norm),
            ("learning_rate", reading.learning_rate),
            ("epoch", self.source.epoch(reading.step)),
            ("num_tokens", reading.tokens as f64),
        ];
        values.extend(self.source.figures(figures.loss, &figures.values));
        self.metrics(reading.step, &values, Some(figures.fingerprint()));
    }

    fn metrics(&mut self, step: u64, values: &[(&str, f64)], fingerprint: Option<String>) {
        let named = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value));
        self.latest
            .extend(named.clone().filter(|(_, value)| value.is_finite()));
        self.context.journal.emit(EventBody::Metrics {
            step,
            values: named.map(|(name, value)| (name, Metric(value))).collect(),
            fingerprint,
        });
    }

    fn judge(&mut self) -> StageResult<()> {
        let Some(held_out) = &self.held_out else {
            return Ok(());
        };
        let batch = self.optimization.per_device_train_batch_size as usize;
        let values = held_out.judge(self.trainer.model(), batch, self.context.threads)?;
        self.metrics(self.step, &values, None);
        Ok(())
    }

    fn sample(&self, number: u64) -> StageResult<()> {
        let prompt = self.held_out.as_ref();
        if let Some(prompt) = prompt.and_then(|rows| rows.prompt(number as usize - 1)) {
            let (model, stream) = (self.trainer.model(), self.context.random("sample"));
            let event = sample::sample(model, self.tokenizer, &prompt, self.step, stream)?;
            self.context.journal.emit(event);
        }
        Ok(())
    }

    fn snapshot(&self) -> StageResult<Snapshot> {
        let model = self.trainer.model();
        let position = serde_json::to_value(&self.position).map_err(|error| {
            StageError::work(&self.context.work.checkpoints(), error.to_string())
        })?;
        Ok(Snapshot {
            step: self.step,
            config: model.config().clone(),
            model: tensors::snapshot(model.parameters())?,
            optimizer: tensors::snapshot(&self.trainer.optimizer_state())?,
            metrics: self.latest.clone(),
            position,
            files: self.files.clone(),
            companions: Vec::new(),
        })
    }

    fn interrupt(&mut self) -> StageResult<()> {
        let snapshot = self.snapshot()?;
        self.checkpoints.submit_last(snapshot)?;
        Err(StageError::Interrupted { step: self.step })
    }
}

/// A number format as libtorch calls it.
pub(crate) fn kind_of(dtype: Dtype) -> Kind {
    match dtype {
        Dtype::Float32 => Kind::Float,
        Dtype::Bfloat16 => Kind::BFloat16,
    }
}

/// How a stage's parameters and its execution make a trainer.
pub(crate) fn trainer_options(
    context: &Context<'_>,
    params: &OptimizationParams,
) -> TrainerOptions {
    let kind = kind_of(params.dtype);
    if kind == Kind::BFloat16 && context.device == Device::Cpu && !device::cpu_has_bf16() {
        let message = "this processor has no bfloat16 arithmetic: it is emulated, which is slow";
        context.journal.sink().log("warn", message);
    }
    TrainerOptions {
        optimizer: AdamW {
            beta1: params.adam_beta1,
            beta2: params.adam_beta2,
            epsilon: params.adam_epsilon,
            weight_decay: params.weight_decay,
        },
        max_gradient_norm: params.max_grad_norm,
        threads: context.threads,
        activation_checkpointing: context.job.execution.gradient_checkpointing,
        kind,
    }
}
