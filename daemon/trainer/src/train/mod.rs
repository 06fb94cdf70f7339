//! One training step: losses of whole units in lanes, gradients, clipping, AdamW.
//!
//! A stage brings *units* (token sequences that must be seen together: one text, a preference pair, a ranking) and an
//! [`Objective`], which turns final hidden states into a loss. Everything else is here, once, for all stages.

mod adamw;
mod lanes;
mod schedule;

pub use adamw::AdamW;
pub use schedule::Schedule;

pub(crate) use lanes::share_out;

use crate::{
    error::{Error, Result},
    model::{Compute, Model, Pack},
    shim,
    tensors::Named,
};
use lanes::{CHUNK_TOKENS, CPU_LANES};
use std::ops::Range;
use tch::{Device, Kind, Tensor};

/// Token sequences that are never split over two chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// The sequences, none of them empty.
    pub sequences: Vec<Vec<u32>>,
}

impl Unit {
    /// A unit of one sequence.
    #[must_use]
    pub fn single(sequence: Vec<u32>) -> Self {
        Self {
            sequences: vec![sequence],
        }
    }

    /// How many tokens its sequences have together.
    pub(crate) fn tokens(&self) -> usize {
        self.sequences.iter().map(Vec::len).sum()
    }
}

/// What an objective sees: some neighbouring units of the micro-batch, passed through the model.
#[derive(Debug)]
pub struct Pass<'a> {
    /// The model, for its output matrix or score head.
    pub model: &'a Model,
    /// The units' sequences, end to end.
    pub pack: &'a Pack,
    /// Final hidden states: [tokens of the pack, hidden].
    pub hidden: &'a Tensor,
    /// Which units of the micro-batch these are.
    pub units: Range<usize>,
}

/// A loss and what was measured on the way.
#[derive(Debug)]
pub struct Outcome {
    /// A scalar. The losses of all chunks are added, so each must already carry its weight.
    pub loss: Tensor,
    /// Any number of values (float, one dimension), the same number in each chunk; they are added as well.
    pub values: Tensor,
}

/// Turns hidden states into a loss. Called from several threads, so it holds plain data.
pub trait Objective: Sync {
    /// The loss of these units.
    fn outcome(&self, pass: &Pass) -> Result<Outcome>;

    /// The tokens of the pack, in ascending order, whose hidden states the loss of these units depends on; the hidden
    /// states of others may be zeros.
    fn rows(&self, units: Range<usize>, pack: &Pack) -> Result<Vec<i64>> {
        let _ = units;
        Ok((0..pack.len() as i64).collect())
    }
}

/// The sums over a micro-batch, in a fixed tree; on the device, so that nothing waits for them until they are read.
#[derive(Debug)]
pub struct Measured {
    /// The loss: float64, no dimension.
    pub loss: Tensor,
    /// The objective's values: float64, one dimension.
    pub values: Tensor,
}

/// How to train.
#[derive(Clone, Copy, Debug)]
pub struct TrainerOptions {
    /// The optimizer.
    pub optimizer: AdamW,
    /// Largest norm of the gradient over all parameters; larger ones are scaled down.
    pub max_gradient_norm: f64,
    /// Threads on the CPU. The result does not depend on it.
    pub threads: usize,
    /// Recompute each block in the backward pass instead of keeping its activations. The result does not depend on it.
    pub activation_checkpointing: bool,
    /// The type of activations: `Kind::Float` or `Kind::BFloat16`; parameters and the optimizer stay float32. `Kind::Double` is
    /// for a model [in double](Model::in_double), which is trained like one on a GPU: in one lane, by libtorch's operations.
    pub kind: Kind,
}

impl Default for TrainerOptions {
    fn default() -> Self {
        let optimizer = AdamW::default();
        Self {
            optimizer,
            max_gradient_norm: 1.0,
            threads: 1,
            activation_checkpointing: false,
            kind: Kind::Float,
        }
    }
}

/// A model in training.
#[derive(Debug)]
pub struct Trainer {
    model: Model,
    lanes: Vec<Model>,
    gradients: Vec<Tensor>,
    state: adamw::State,
    options: TrainerOptions,
}

impl Trainer {
    /// Takes the model over; its parameters are updated in place.
    pub fn new(model: Model, options: TrainerOptions) -> Result<Self> {
        let compute = Compute::new(model.device(), options.kind);
        let count = if model.device() == Device::Cpu && options.kind != Kind::Double {
            CPU_LANES
        } else {
            1
        };
        let lanes = (0..count)
            .map(|_| model.replica(compute))
            .collect::<Result<_>>()?;
        let state = adamw::State::new(model.parameters())?;
        let gradients = model
            .parameters()
            .iter()
            .map(|(_, tensor)| Ok(tensor.f_detach()?.f_zeros_like()?));
        Ok(Self {
            gradients: gradients.collect::<Result<_>>()?,
            state,
            lanes,
            model,
            options,
        })
    }

    /// The model as it is now.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Gives the model back.
    #[must_use]
    pub fn into_model(self) -> Model {
        self.model
    }

    /// How many updates were made.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.state.step()
    }

    /// The gradients of the last update, after clipping.
    pub fn gradients(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.model
            .parameters()
            .iter()
            .map(|(name, _)| name.as_str())
            .zip(&self.gradients)
    }

    /// The optimizer's tensors, by name.
    #[must_use]
    pub fn optimizer_state(&self) -> Named {
        self.state.named()
    }

    /// Takes over the optimizer's tensors of a checkpoint made after `step` updates.
    pub fn restore_optimizer(&mut self, state: &[(String, Tensor)], step: u64) -> Result<()> {
        self.state.restore(state, step, self.model.device())
    }

    /// Adds the gradients of one micro-batch to those collected since the last update.
    pub fn accumulate(&mut self, units: &[Unit], objective: &dyn Objective) -> Result<Measured> {
        if units.is_empty() {
            return Err(Error::Invalid(
                "a micro-batch needs at least one unit".into(),
            ));
        }
        let tokens: Vec<usize> = units.iter().map(Unit::tokens).collect();
        let most = if self.lanes.len() > 1 {
            CHUNK_TOKENS
        } else {
            usize::MAX
        };
        let chunks = lanes::plan(&tokens, self.lanes.len(), most);
        let keep = !self.options.activation_checkpointing;
        let outcomes = share_out(&mut self.lanes, self.options.threads, |lane, model| {
            run_lane(model, units, &chunks[lane], objective, keep)
        })?;
        tree(outcomes.into_iter().flatten().collect())
    }

    /// Clips what was collected, updates the parameters and starts anew. Returns the norm before clipping, on the device.
    ///
    /// On the CPU, a norm that is not finite leaves the parameters as they were.
    pub fn update(&mut self, learning_rate: f64) -> Result<Tensor> {
        let norm = if self.lanes.len() > 1 {
            self.combine()?
        } else {
            self.collect()?
        };
        if self.model.device() == Device::Cpu && !f64::try_from(&norm)?.is_finite() {
            return Ok(norm);
        }
        // torch's clip_grad_norm_: min(1, max / (norm + 1e-6)), on the device.
        let coefficient = (norm
            .f_add_scalar(1e-6)?
            .f_reciprocal()?
            .f_mul_scalar(self.options.max_gradient_norm)?)
        .f_clamp_max(1.0)?;
        for gradient in &mut self.gradients {
            let _ = gradient.f_mul_(&coefficient.f_to_kind(gradient.f_kind()?)?)?;
        }
        self.state.update(
            self.model.parameters(),
            &self.gradients,
            learning_rate,
            self.options.optimizer,
        )?;
        Ok(norm)
    }

    /// Several lanes: their gradients in a tree, and the norm in a tree over blocks and parameters.
    fn combine(&mut self) -> Result<Tensor> {
        let with_parts = self
            .gradients
            .iter()
            .enumerate()
            .map(|(number, into)| Ok((into.shallow_clone(), parts_of(&self.lanes, number)?)));
        let mut items = with_parts.collect::<Result<Vec<(Tensor, Vec<Option<Tensor>>)>>>()?;
        let squares = share_out(&mut items, self.options.threads, |_, (into, parts)| {
            shim::combine_gradients(&parts.iter().map(Option::as_ref).collect::<Vec<_>>(), into)
        })?;
        Ok(Tensor::from(tree_of(&squares).sqrt()))
    }

    /// One lane: its gradients as they are.
    fn collect(&mut self) -> Result<Tensor> {
        for (number, target) in self.gradients.iter_mut().enumerate() {
            match shim::take_gradient(&self.lanes[0].parameters()[number].1)? {
                Some(gradient) => *target = gradient,
                None => drop(target.f_zero_()?),
            }
        }
        shim::foreach_norm(&self.gradients.iter().collect::<Vec<_>>())
    }
}

fn parts_of(lanes: &[Model], parameter: usize) -> Result<Vec<Option<Tensor>>> {
    lanes
        .iter()
        .map(|lane| shim::take_gradient(&lane.parameters()[parameter].1))
        .collect()
}

/// One lane's chunks in order; `None` if it has none.
fn run_lane(
    model: &Model,
    units: &[Unit],
    chunks: &[Range<usize>],
    objective: &dyn Objective,
    keep: bool,
) -> Result<Option<Measured>> {
    let mut total: Option<Measured> = None;
    for chunk in chunks {
        let sequences: Vec<&[u32]> = units[chunk.clone()]
            .iter()
            .flat_map(|unit| unit.sequences.iter().map(Vec::as_slice))
            .collect();
        let pack = Pack::new(&sequences, model.device())?;
        let run = if keep { run_chunk } else { run_chunk_apart };
        let Outcome { loss, values } = run(model, &pack, chunk.clone(), objective)?;
        let one = Measured {
            loss: detached(&loss)?,
            values: detached(&values)?,
        };
        total = Some(match total {
            None => one,
            Some(sum) => sum.plus(&one)?,
        });
    }
    Ok(total)
}

fn detached(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.f_detach()?.f_to_kind(Kind::Double)?)
}

fn run_chunk(
    model: &Model,
    pack: &Pack,
    units: Range<usize>,
    objective: &dyn Objective,
) -> Result<Outcome> {
    let hidden = model.hidden_at(pack, &objective.rows(units.clone(), pack)?)?;
    let outcome = objective.outcome(&Pass {
        model,
        pack,
        hidden: &hidden,
        units,
    })?;
    outcome.loss.f_backward()?;
    Ok(outcome)
}

/// [`run_chunk_checkpointed`] with the gradients of earlier chunks standing aside: it collects a tied matrix in two parts,
/// which a plain backward pass adds to each other before it adds them to what is there.
fn run_chunk_apart(
    model: &Model,
    pack: &Pack,
    units: Range<usize>,
    objective: &dyn Objective,
) -> Result<Outcome> {
    let leaves = || model.parameters().iter().map(|(_, leaf)| leaf);
    let earlier: Vec<Option<Tensor>> = leaves().map(shim::take_gradient).collect::<Result<_>>()?;
    let outcome = run_chunk_checkpointed(model, pack, units, objective)?;
    for (leaf, earlier) in leaves().zip(earlier) {
        if let Some(earlier) = earlier {
            let _ = leaf.f_grad()?.f_add_(&earlier)?;
        }
    }
    Ok(outcome)
}

/// Keeps only the input of each block, and passes through each block once more on the way back.
fn run_chunk_checkpointed(
    model: &Model,
    pack: &Pack,
    units: Range<usize>,
    objective: &dyn Objective,
) -> Result<Outcome> {
    model.check(pack)?;
    let count = model.layer_count();
    let mut inputs = Vec::with_capacity(count + 1);
    {
        let _guard = tch::no_grad_guard();
        inputs.push(model.embed(pack.tokens(), pack.positions())?);
        for layer in 0..count {
            inputs.push(block(model, layer, &inputs[layer], pack)?);
        }
    }
    let last = inputs
        .pop()
        .ok_or_else(|| Error::Invalid("a model without blocks".into()))?
        .f_set_requires_grad(true)?;
    let outcome = objective.outcome(&Pass {
        model,
        pack,
        hidden: &model.final_norm(&last)?,
        units,
    })?;
    outcome.loss.f_backward()?;
    let mut slope = last.f_grad()?;
    for layer in (0..count).rev() {
        let input = inputs
            .pop()
            .ok_or_else(|| Error::Invalid("a block without input".into()))?
            .f_set_requires_grad(true)?;
        push_back(&block(model, layer, &input, pack)?, &slope)?;
        slope = input.f_grad()?;
    }
    push_back(&model.embed(pack.tokens(), pack.positions())?, &slope)?;
    Ok(outcome)
}

fn block(model: &Model, layer: usize, input: &Tensor, pack: &Pack) -> Result<Tensor> {
    model.layer(layer, input, pack.positions(), &mut |qkv| qkv.attend(pack))
}

/// Backward from `output` with the given gradient: that of Σ output·slope, which is exactly the slope.
fn push_back(output: &Tensor, slope: &Tensor) -> Result<()> {
    Ok(output.f_mul(slope)?.f_sum(output.kind())?.f_backward()?)
}

impl Measured {
    fn plus(&self, other: &Self) -> Result<Self> {
        if self.values.size() != other.values.size() {
            let (one, two) = (self.values.size(), other.values.size());
            return Err(Error::Invalid(format!(
                "the objective measured {one:?} values in one chunk and {two:?} in another"
            )));
        }
        Ok(Self {
            loss: self.loss.f_add(&other.loss)?,
            values: self.values.f_add(&other.values)?,
        })
    }
}

/// Adds neighbours until one is left.
fn tree(mut parts: Vec<Measured>) -> Result<Measured> {
    while parts.len() > 1 {
        let mut next = Vec::with_capacity(parts.len().div_ceil(2));
        let mut rest = parts.into_iter();
        while let Some(first) = rest.next() {
            next.push(match rest.next() {
                Some(second) => first.plus(&second)?,
                None => first,
            });
        }
        parts = next;
    }
    parts
        .pop()
        .ok_or_else(|| Error::Invalid("no lane had any work".into()))
}

fn tree_of(values: &[f64]) -> f64 {
    match values {
        [] => 0.0,
        [one] => *one,
        _ => tree_of(&values[..values.len() / 2]) + tree_of(&values[values.len() / 2..]),
    }
}

#[cfg(test)]
mod tests;
