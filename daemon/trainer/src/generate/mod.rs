//! Generation with a KV cache: greedy or sampled, in batches of mixed lengths.
//!
//! On the CPU in float32 the cached forward pass gives the bits of the full one, because each operation on a token depends
//! on that token's own sequence only (see `model/ops.rs`): the log-probabilities reported here are those that
//! [`crate::loss::log_probabilities`] computes. For the same reason neither the batch nor the number of threads changes
//! a completion.

mod cache;
mod sampling;
#[cfg(test)]
mod tests;

pub use sampling::Sampling;

use crate::{
    error::{Error, Result},
    model::{Model, Pack},
    random::Stream,
    shim, tensors,
    train::share_out,
};
use cache::{Cache, Rows};
use sampling::Chooser;
use tch::Tensor;

/// What to generate.
#[derive(Clone, Debug)]
pub struct GenerateOptions {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Most tokens of a completion. A sequence also ends at the model's last position.
    pub max_new_tokens: usize,
    /// Tokens that end a completion; the one that did is its last token.
    pub stop_tokens: Vec<u32>,
    /// Where the random bits come from: token `t` of prompt `p` uses `stream.bits(first_row + p, t)`.
    pub stream: Stream,
    /// Number of the first prompt, for callers that work in portions.
    pub first_row: u64,
    /// Sequences in the cache at a time.
    pub batch: usize,
    /// Threads on the CPU. The result does not depend on it.
    pub threads: usize,
}

/// Why a completion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// By a stop token.
    StopToken,
    /// By the caller's hook, such as a stop string.
    Hook,
    /// It reached the limit.
    Length,
}

/// A generated completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The new tokens.
    pub tokens: Vec<u32>,
    /// The log-probability of each under softmax(logits / temperature) over the whole vocabulary (temperature 1 if greedy).
    pub log_probabilities: Vec<f32>,
    /// Why it ended.
    pub finish: Finish,
}

/// Asked after each token with the prompt's number and the completion so far; `true` ends the completion.
pub type Hook<'a> = &'a (dyn Fn(usize, &[u32]) -> bool + Sync);

/// Completions of one prompt, which is passed through the model once for all of them.
#[derive(Clone, Debug)]
pub struct Group<P> {
    /// What they all continue.
    pub prompt: P,
    /// One number for each completion: its token `t` uses `stream.bits(row, t)`.
    pub rows: Vec<u64>,
}

/// Completes every prompt; results come in the prompts' order.
pub fn generate<P: AsRef<[u32]> + Sync>(
    model: &Model,
    prompts: &[P],
    options: &GenerateOptions,
    hook: Option<Hook>,
) -> Result<Vec<Completion>> {
    let numbered = prompts.iter().zip(options.first_row..);
    let groups: Vec<Group<&[u32]>> = numbered
        .map(|(prompt, row)| Group {
            prompt: prompt.as_ref(),
            rows: vec![row],
        })
        .collect();
    Ok(generate_groups(model, &groups, options, hook)?.concat())
}

/// Completes each prompt as often as its group has rows; results come in the groups' and their rows' order, with the bits
/// that [`generate`] gives for each row alone. `options.first_row` is not used, and the hook's number counts completions.
pub fn generate_groups<P: AsRef<[u32]> + Sync>(
    model: &Model,
    groups: &[Group<P>],
    options: &GenerateOptions,
    hook: Option<Hook>,
) -> Result<Vec<Vec<Completion>>> {
    options.sampling.validate()?;
    check_prompts(model, groups)?;
    let threads = if cache::device(model) == tch::Device::Cpu {
        options.threads.max(1)
    } else {
        1
    };
    let count: usize = groups.iter().map(|group| group.rows.len()).sum();
    let portion = options.batch.max(1).min(count.div_ceil(threads).max(1));
    let model = model.packed()?;
    let mut jobs = portions(groups, portion)
        .into_iter()
        .map(|(first, pieces)| {
            Ok(Job {
                model: model.share()?,
                pieces,
                first,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let parts = share_out(&mut jobs, threads, |_, job| {
        let _guard = tch::no_grad_guard();
        Batch::start(job, options)?.run(options, hook)
    })?;
    let mut all = parts.into_iter().flatten();
    let of_group = |group: &Group<P>| all.by_ref().take(group.rows.len()).collect();
    Ok(groups.iter().map(of_group).collect())
}

fn check_prompts<P: AsRef<[u32]>>(model: &Model, groups: &[Group<P>]) -> Result<()> {
    let most = model.config().max_position_embeddings as usize;
    for (number, group) in groups.iter().enumerate() {
        let length = group.prompt.as_ref().len();
        if length == 0 || length >= most {
            return Err(Error::Invalid(format!(
                "prompt {number} has {length} tokens; expected 1 to {}",
                most - 1
            )));
        }
    }
    Ok(())
}

/// Some rows of one group.
struct Piece<'a> {
    prompt: &'a [u32],
    rows: &'a [u64],
}

/// The rows in portions of at most `portion`, each with the number of its first completion; a group is split only where
/// it does not fit into a portion that holds nothing else.
fn portions<P: AsRef<[u32]>>(groups: &[Group<P>], portion: usize) -> Vec<(usize, Vec<Piece<'_>>)> {
    let mut portions: Vec<(usize, Vec<Piece>)> = Vec::new();
    let (mut first, mut filled) = (0, portion);
    for group in groups {
        for rows in group.rows.chunks(portion) {
            if filled + rows.len() > portion {
                portions.push((first, Vec::new()));
                filled = 0;
            }
            if let Some((_, pieces)) = portions.last_mut() {
                let prompt = group.prompt.as_ref();
                pieces.push(Piece { prompt, rows });
            }
            filled += rows.len();
            first += rows.len();
        }
    }
    portions
}

/// What one thread completes together.
struct Job<'a> {
    model: Model,
    pieces: Vec<Piece<'a>>,
    first: usize,
}

/// Sequences that are being completed.
struct Batch<'a> {
    model: &'a Model,
    first: usize,
    cache: Cache,
    /// Each sequence's row in the random stream.
    rows: Vec<u64>,
    /// Rows that go on, by their number in the batch; `lengths` counts prompt and completion.
    active: Vec<usize>,
    lengths: Vec<usize>,
    completions: Vec<Completion>,
    logits: Vec<f32>,
}

impl<'a> Batch<'a> {
    /// Passes each prompt through the model once, and gives every one of its rows what that left behind.
    fn start(job: &'a Job, options: &GenerateOptions) -> Result<Self> {
        let model = &job.model;
        let each = |piece: &Piece| vec![piece.prompt.len(); piece.rows.len()];
        let lengths: Vec<usize> = job.pieces.iter().flat_map(each).collect();
        let longest = lengths
            .iter()
            .max()
            .copied()
            .unwrap_or(0)
            .saturating_add(options.max_new_tokens);
        let cache = Cache::new(
            model,
            lengths.len(),
            longest.min(model.config().max_position_embeddings as usize),
        )?;
        let prompts: Vec<&[u32]> = job.pieces.iter().map(|piece| piece.prompt).collect();
        let pack = Pack::new(&prompts, model.device())?;
        model.check(&pack)?;
        let slots = first_slots(&job.pieces);
        let mut state = model.embed(pack.tokens(), pack.positions())?;
        for layer in 0..model.layer_count() {
            state = model.layer(layer, &state, pack.positions(), &mut |qkv| {
                cache.fill(layer, &qkv, &pack, &slots)
            })?;
        }
        for (piece, &slot) in job.pieces.iter().zip(&slots) {
            cache.repeat(slot, piece.rows.len() as i64 - 1)?;
        }
        let last = Tensor::f_from_slice(&pack.last_tokens())?.f_to_device(model.device())?;
        let empty = Completion {
            tokens: Vec::new(),
            log_probabilities: Vec::new(),
            finish: Finish::Length,
        };
        let mut batch = Self {
            model,
            first: job.first,
            cache,
            rows: job
                .pieces
                .iter()
                .flat_map(|piece| piece.rows)
                .copied()
                .collect(),
            active: (0..lengths.len()).collect(),
            completions: vec![empty; lengths.len()],
            lengths,
            logits: Vec::new(),
        };
        batch.take_logits(&state.f_index_select(0, &last)?)?;
        batch.repeat_logits(&job.pieces);
        Ok(batch)
    }

    /// From a row of logits for each piece to one for each of its rows.
    fn repeat_logits(&mut self, pieces: &[Piece]) {
        let vocabulary = self.model.config().vocab_size as usize;
        let each = self.logits.chunks_exact(vocabulary).zip(pieces);
        let repeated = each.map(|(logits, piece)| logits.repeat(piece.rows.len()));
        self.logits = repeated.collect::<Vec<_>>().concat();
    }

    fn run(mut self, options: &GenerateOptions, hook: Option<Hook>) -> Result<Vec<Completion>> {
        let mut chooser = Chooser::default();
        for position in 0..options.max_new_tokens {
            self.choose(position, options, hook, &mut chooser);
            if self.active.is_empty() || position + 1 == options.max_new_tokens {
                break;
            }
            self.step()?;
        }
        Ok(self.completions)
    }

    /// Chooses a token for each active row, and retires the rows that end with it.
    fn choose(
        &mut self,
        position: usize,
        options: &GenerateOptions,
        hook: Option<Hook>,
        chooser: &mut Chooser,
    ) {
        let vocabulary = self.model.config().vocab_size as usize;
        let inverse = 1.0 / options.sampling.reported_temperature() as f32;
        let most = self.model.config().max_position_embeddings as usize;
        let mut going_on = Vec::with_capacity(self.active.len());
        for (number, &row) in self.active.iter().enumerate() {
            let logits = &self.logits[number * vocabulary..][..vocabulary];
            let number_of_all = self.first + row;
            let bits = options.stream.bits(self.rows[row], position as u64);
            let token = chooser.choose(logits, options.sampling, bits);
            let completion = &mut self.completions[row];
            completion.tokens.push(token);
            completion
                .log_probabilities
                .push(logits[token as usize] * inverse - shim::log_normalizer(logits, inverse));
            self.lengths[row] += 1;
            if options.stop_tokens.contains(&token) {
                completion.finish = Finish::StopToken;
            } else if hook.is_some_and(|hook| hook(number_of_all, &completion.tokens)) {
                completion.finish = Finish::Hook;
            } else if self.lengths[row] < most {
                going_on.push(row);
            }
        }
        self.active = going_on;
    }

    /// Passes the newest token of each active row through the model.
    fn step(&mut self) -> Result<()> {
        let device = self.model.device();
        let newest = |row: &usize| {
            self.completions[*row]
                .tokens
                .last()
                .map_or(0, |&token| i64::from(token))
        };
        let tokens: Vec<i64> = self.active.iter().map(newest).collect();
        let rows = Rows {
            slots: self.active.iter().map(|&row| row as i64).collect(),
            lengths: self
                .active
                .iter()
                .map(|&row| self.lengths[row] as i64)
                .collect(),
        };
        let positions: Vec<i64> = rows.lengths.iter().map(|length| length - 1).collect();
        let positions = Tensor::f_from_slice(&positions)?.f_to_device(device)?;
        let mut state = self.model.embed(
            &Tensor::f_from_slice(&tokens)?.f_to_device(device)?,
            &positions,
        )?;
        for layer in 0..self.model.layer_count() {
            state = self.model.layer(layer, &state, &positions, &mut |qkv| {
                self.cache.step(layer, &qkv, &rows)
            })?;
        }
        self.take_logits(&state)
    }

    fn take_logits(&mut self, state: &Tensor) -> Result<()> {
        let logits = self.model.logits(&self.model.final_norm(state)?)?;
        self.logits = tensors::floats(&logits)?;
        Ok(())
    }
}

/// The slot of each piece's first row.
fn first_slots(pieces: &[Piece]) -> Vec<i64> {
    let mut next = 0;
    let slot = |piece: &Piece| {
        let slot = next;
        next += piece.rows.len() as i64;
        slot
    };
    pieces.iter().map(slot).collect()
}
