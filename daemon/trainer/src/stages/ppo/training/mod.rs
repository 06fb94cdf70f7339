//! The loop over rollouts: figures, checkpoints and stopping.

mod checks;

use std::collections::BTreeMap;
use std::time::Instant;

use begat_schemas::{EventBody, Metric, PpoParams};
use serde::{Deserialize, Serialize};

use super::experience::{Experience, RolloutFigures, experience};
use super::figures::{self, UpdateFigures};
use super::learner::{Learner, Rates};
use super::models::Inputs;
use super::policy::{Policy, generates_exactly};
use super::prompts::Prompts;
use super::rollout::{Rollout, Sampler};
use super::value::{shift, value_model};
use crate::contract::{Checkpoint, CheckpointWriter, Companion, Snapshot, StageError, StageResult};
use crate::data::{SideFiles, TextTokenizer};
use crate::model::Model;
use crate::ppo::adapted;
use crate::stages::Context;
use crate::stages::phases::Phases;
use crate::stages::scoring::RewardModel;
use crate::stages::training::trainer_options;
use crate::train::Trainer;
use crate::{Stream, tensors};

/// The value model's folder in a checkpoint.
const VALUE: &str = "value";

/// What a checkpoint holds besides tensors. Floats stand as their bits: JSON need not give back the last one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Position {
    rollouts: u64,
    policy_updates: u64,
    tokens: u64,
    kl_coef_bits: u64,
}

impl Position {
    fn kl_coef(&self) -> f64 {
        f64::from_bits(self.kl_coef_bits)
    }
}

/// The stage between its first and its last rollout.
pub(super) struct Training<'a> {
    context: &'a Context<'a>,
    params: &'a PpoParams,
    reference: Model,
    reward_model: RewardModel,
    prompts: Prompts,
    tokenizer: TextTokenizer,
    files: SideFiles,
    sampler: Sampler<'a>,
    learner: Learner<'a>,
    minibatches: Stream,
    checkpoints: CheckpointWriter,
    /// The step whose checkpoint is written, or will be.
    saved: u64,
    position: Position,
    latest: BTreeMap<String, f64>,
    began: (Instant, u64),
}

/// The models to begin or to go on with.
struct Start {
    policy: Policy,
    value: Trainer,
    step: u64,
    position: Position,
    latest: BTreeMap<String, f64>,
}

impl Start {
    /// The reference as policy, and the reward model as value model.
    fn fresh(context: &Context<'_>, params: &PpoParams, inputs: &Inputs) -> StageResult<Self> {
        let options = trainer_options(context, &params.optimization);
        Ok(Self {
            policy: Policy::reference(&inputs.reference, options)?,
            value: Trainer::new(value_model(&inputs.reward_model)?, options)?,
            step: 0,
            position: Position {
                rollouts: 0,
                policy_updates: 0,
                tokens: 0,
                kl_coef_bits: params.kl_coef.to_bits(),
            },
            latest: BTreeMap::new(),
        })
    }

    fn from_checkpoint(
        context: &Context<'_>,
        params: &PpoParams,
        inputs: &Inputs,
        checkpoint: &Checkpoint,
    ) -> StageResult<Self> {
        let options = trainer_options(context, &params.optimization);
        let position: Position = serde_json::from_value(checkpoint.position().clone())
            .map_err(|error| StageError::work(&context.work.checkpoints(), error.to_string()))?;
        let policy = match position.policy_updates {
            0 => Policy::reference(&inputs.reference, options)?,
            updates => Policy::restored(
                checkpoint.model(context.device)?,
                &checkpoint.optimizer(context.device)?,
                updates,
                options,
            )?,
        };
        let (value, optimizer) = checkpoint.companion(VALUE, context.device)?;
        let mut value = Trainer::new(value, options)?;
        value.restore_optimizer(&optimizer, checkpoint.step())?;
        Ok(Self {
            policy,
            value,
            step: checkpoint.step(),
            position,
            latest: checkpoint.metrics().clone(),
        })
    }
}

impl<'a> Training<'a> {
    pub(super) fn begin(
        context: &'a Context<'a>,
        params: &'a PpoParams,
        inputs: Inputs,
    ) -> StageResult<Self> {
        let start = match context.job.resume_from {
            Some(step) if step > 0 => {
                let checkpoint = Checkpoint::open(context.work, step)?;
                Start::from_checkpoint(context, params, &inputs, &checkpoint)?
            }
            _ => Start::fresh(context, params, &inputs)?,
        };
        let keep = &context.job.execution.keep;
        let sink = context.journal.sink();
        let per_rollout = updates_per_rollout(params);
        let value_only = u64::from(params.value_only_rollouts);
        let rates = Rates::new(
            params,
            params.rollouts() * per_rollout,
            (params.rollouts() - value_only) * per_rollout,
        );
        Ok(Self {
            checkpoints: CheckpointWriter::start(context.work, start.step, keep, sink)?,
            saved: start.step,
            sampler: Sampler {
                params,
                stop_tokens: inputs.tokenizer.ends(),
                stream: context.random("rollout"),
                threads: context.threads,
                kind: trainer_options(context, &params.optimization).kind,
            },
            learner: Learner {
                params,
                policy: start.policy,
                value: start.value,
                shift: shift(inputs.reward_model.normalization()),
                pretraining: inputs.pretraining,
                rates,
                phases: Phases::default(),
            },
            minibatches: context.random("minibatch"),
            files: inputs.tokenizer.side_files()?,
            tokenizer: inputs.tokenizer,
            reference: inputs.reference,
            reward_model: inputs.reward_model,
            prompts: inputs.prompts,
            position: start.position,
            latest: start.latest,
            began: (Instant::now(), start.position.rollouts),
            context,
            params,
        })
    }

    /// Trains to the end and gives the policy; whatever ends it early, the last good checkpoint is on the disk.
    pub(super) fn run(mut self) -> StageResult<Model> {
        let result = self.rollouts();
        let began = Instant::now();
        let written = self.checkpoints.finish();
        self.learner.phases.add("checkpoint", began);
        self.write_seconds(BTreeMap::new());
        result.and(written)?;
        self.learner.policy.into_model()
    }

    fn rollouts(&mut self) -> StageResult<()> {
        self.progress();
        while self.position.rollouts < self.params.rollouts() {
            self.one_rollout()?;
        }
        Ok(())
    }

    /// Updates done: the step that events and checkpoints carry.
    fn step(&self) -> u64 {
        self.learner.value.step()
    }

    fn one_rollout(&mut self) -> StageResult<()> {
        let rollout = self.sample()?;
        let kl_coef = self.position.kl_coef();
        let experience = experience(&rollout, self.params, kl_coef);
        self.check(&rollout, &experience, kl_coef)?;
        self.stop_before_updates()?;
        let updates = self.learn(&rollout, &experience)?;
        self.position.rollouts += 1;
        self.position.policy_updates = self.learner.policy.step();
        let lengths = rollout.episodes.iter().map(|one| one.tokens.len() as u64);
        self.position.tokens += lengths.sum::<u64>();
        self.adapt(&experience.figures);
        self.write_down(&experience.figures, kl_coef, &updates);
        self.report(&rollout)
    }

    /// Completes prompts and asks the other models about the completions.
    fn sample(&mut self) -> StageResult<Rollout> {
        let size = u64::from(self.params.rollout_batch_size);
        let first = self.position.rollouts * size;
        let chosen = self.prompts.of_episodes(first..first + size);
        let prompts: Vec<(usize, &[u32])> = chosen
            .into_iter()
            .map(|prompt| (prompt, self.prompts.tokens(prompt)))
            .collect();
        let then = Instant::now();
        let policy = &self.learner.policy;
        let episodes = self.sampler.episodes(policy.model(), &prompts, first)?;
        self.learner.phases.add("rollout", then);
        let then = Instant::now();
        // Before they part, policy and reference are one, and so are their bits.
        let reference = if policy.has_parted() || !generates_exactly(policy.model()) {
            self.sampler.log_probabilities(&self.reference, &episodes)?
        } else {
            let own = episodes.iter().map(|one| one.log_probabilities.clone());
            own.collect()
        };
        let value = self.learner.value.model();
        let values = self.sampler.values(value, self.learner.shift, &episodes)?;
        let scores = self.sampler.scores(&self.reward_model, &episodes)?;
        self.learner.phases.add("scoring", then);
        Ok(Rollout {
            episodes,
            reference,
            values,
            scores,
        })
    }

    /// Stops where the last rollout ended, if somebody asks for it before this one changed anything.
    fn stop_before_updates(&mut self) -> StageResult<()> {
        if !self.context.stop.is_set() {
            return Ok(());
        }
        self.interrupt()
    }

    fn interrupt(&mut self) -> StageResult<()> {
        let step = self.step();
        if self.saved != step {
            let snapshot = self.snapshot()?;
            self.checkpoints.submit_last(snapshot)?;
        }
        Err(StageError::Interrupted { step })
    }

    /// All updates of a rollout; each epoch takes its episodes in an order of its own.
    fn learn(
        &mut self,
        rollout: &Rollout,
        experience: &Experience,
    ) -> StageResult<Vec<UpdateFigures>> {
        let with_policy = self.position.rollouts >= u64::from(self.params.value_only_rollouts);
        let epochs = u64::from(self.params.num_ppo_epochs);
        let mut updates = Vec::new();
        for epoch in 0..epochs {
            let number = self.position.rollouts * epochs + epoch;
            let order = self.minibatches.permutation(number, rollout.episodes.len());
            for chosen in order.chunks(self.params.minibatch_size() as usize) {
                let figures = self.learner.update(experience, chosen, with_policy)?;
                let step = self.step();
                (self.context.hooks.after_update)(step, self.learner.policy.model());
                self.write_update(step, &figures);
                if !(figures.loss.is_finite() && figures.norm.is_finite()) {
                    let (loss, norm) = (figures.loss, figures.norm);
                    return Err(StageError::Broken {
                        step,
                        what: format!("the loss is {loss} and the gradient norm {norm}"),
                        batch: self.places(chosen.iter().map(|&one| &rollout.episodes[one])),
                    });
                }
                updates.push(figures);
            }
        }
        Ok(updates)
    }

    fn adapt(&mut self, figures: &RolloutFigures) {
        if let Some(adaptive) = &self.params.adaptive_kl {
            let episodes = f64::from(self.params.rollout_batch_size);
            let (target, horizon) = (adaptive.target, adaptive.horizon);
            let next = adapted(
                self.position.kl_coef(),
                figures.kl,
                target,
                horizon,
                episodes,
            );
            self.position.kl_coef_bits = next.to_bits();
        }
    }

    fn write_update(&self, step: u64, figures: &UpdateFigures) {
        let mut values = vec![("loss", figures.loss), ("grad_norm", figures.norm)];
        values.extend(
            figures
                .policy
                .map(|policy| ("val/ratio_not_one", policy.not_one)),
        );
        self.emit(step, &values, Some(figures.fingerprint()));
    }

    fn write_down(&mut self, rollout: &RolloutFigures, kl_coef: f64, updates: &[UpdateFigures]) {
        let step = self.step();
        let episodes = self.position.rollouts * u64::from(self.params.rollout_batch_size);
        let mut values = figures::of_rollout(rollout, kl_coef);
        values.extend(figures::of_updates(updates));
        let rates = self.learner.rates;
        values.push(("lr", rates.policy(self.learner.policy.step())));
        values.push(("value_lr", rates.value(step)));
        values.push(("episode", episodes as f64));
        let finite = values.iter().filter(|(_, value)| value.is_finite());
        self.latest
            .extend(finite.map(|(name, value)| ((*name).to_owned(), *value)));
        self.emit(step, &values, None);
    }

    fn emit(&self, step: u64, values: &[(&str, f64)], fingerprint: Option<String>) {
        let named = values.iter();
        self.context.journal.emit(EventBody::Metrics {
            step,
            values: named
                .map(|(name, value)| ((*name).to_owned(), Metric(*value)))
                .collect(),
            fingerprint,
        });
    }

    fn progress(&self) {
        let per_rollout = updates_per_rollout(self.params);
        self.context.journal.emit(EventBody::Progress {
            step: self.step(),
            of: self.params.rollouts() * per_rollout,
            tokens: self.position.tokens,
            samples: self.position.rollouts * u64::from(self.params.rollout_batch_size),
        });
    }

    /// What is due after a rollout: the intervals of the job count rollouts here.
    fn report(&mut self, rollout: &Rollout) -> StageResult<()> {
        let execution = &self.context.job.execution;
        let done = self.position.rollouts;
        let due = |every: u64| every > 0 && done.is_multiple_of(every);
        self.progress();
        self.speed();
        if due(execution.sample_steps) {
            self.show(rollout)?;
        }
        let is_last = done == self.params.rollouts();
        let stops = self.context.stop.is_set() && !is_last;
        let saves = due(execution.save_steps);
        if stops || saves || is_last {
            let began = Instant::now();
            self.check_drift(rollout)?;
            self.learner.phases.add("scoring", began);
        }
        if stops {
            return self.interrupt();
        }
        if saves {
            let began = Instant::now();
            let snapshot = self.snapshot()?;
            if self.checkpoints.submit(snapshot)? {
                self.saved = self.step();
            }
            self.learner.phases.add("checkpoint", began);
        }
        Ok(())
    }

    /// Episodes a second of this process, and where the seconds of its last rollout went; the only figures that are others
    /// each time.
    fn speed(&mut self) {
        let (then, before) = self.began;
        let seconds = then.elapsed().as_secs_f64();
        let rollouts = self.position.rollouts - before;
        let episodes = rollouts as f64 * f64::from(self.params.rollout_batch_size);
        if seconds > 0.0 {
            let rate = Metric(episodes / seconds);
            self.write_seconds(BTreeMap::from([("eps".to_owned(), rate)]));
        }
    }

    /// Writes down where the seconds went since this was last done, and `values` beside.
    fn write_seconds(&mut self, mut values: BTreeMap<String, Metric>) {
        values.extend(self.learner.phases.take());
        self.context.journal.emit(EventBody::Metrics {
            step: self.step(),
            values,
            fingerprint: None,
        });
    }

    /// The first episode, for a person.
    fn show(&self, rollout: &Rollout) -> StageResult<()> {
        let (Some(episode), Some(score)) = (rollout.episodes.first(), rollout.scores.first())
        else {
            return Ok(());
        };
        self.context.journal.emit(EventBody::Sample {
            step: self.step(),
            prompt: self.tokenizer.decode(self.prompts.tokens(episode.prompt))?,
            completion: self.tokenizer.decode(episode.completion())?,
            score: Some(*score),
        });
        Ok(())
    }

    fn snapshot(&self) -> StageResult<Snapshot> {
        let (policy, value) = (self.learner.policy.model(), self.learner.value.model());
        let position = serde_json::to_value(self.position).map_err(|error| {
            StageError::work(&self.context.work.checkpoints(), error.to_string())
        })?;
        Ok(Snapshot {
            step: self.step(),
            config: policy.config().clone(),
            model: tensors::snapshot(policy.parameters())?,
            optimizer: tensors::snapshot(&self.learner.policy.optimizer_state())?,
            metrics: self.latest.clone(),
            position,
            files: self.files.clone(),
            companions: vec![Companion {
                name: VALUE,
                config: value.config().clone(),
                model: tensors::snapshot(value.parameters())?,
                optimizer: tensors::snapshot(&self.learner.value.optimizer_state())?,
            }],
        })
    }
}

fn updates_per_rollout(params: &PpoParams) -> u64 {
    let minibatches = u64::from(params.rollout_batch_size) / params.minibatch_size();
    minibatches * u64::from(params.num_ppo_epochs)
}
