//! Cross-entropy and accuracy on data that is not trained on.

use super::source::{HeldOut, NamedFigures, Sequences};
use crate::contract::StageResult;
use crate::error::Result;
use crate::loss::log_probabilities;
use crate::model::{Model, Pack};
use crate::stages::batches::in_batches;
use crate::tensors;

/// Sums over the tokens that count.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Judgement {
    /// Σ −log p.
    pub negative_log_likelihood: f64,
    /// How often the likeliest token was the right one.
    pub correct: f64,
    /// Tokens.
    pub tokens: u64,
}

impl Judgement {
    /// Mean cross-entropy in nats.
    pub(crate) fn loss(&self) -> f64 {
        self.negative_log_likelihood / self.tokens.max(1) as f64
    }

    /// Part of the tokens that were the likeliest.
    pub(crate) fn accuracy(&self) -> f64 {
        self.correct / self.tokens.max(1) as f64
    }

    fn plus(self, other: Self) -> Self {
        Self {
            negative_log_likelihood: self.negative_log_likelihood + other.negative_log_likelihood,
            correct: self.correct + other.correct,
            tokens: self.tokens + other.tokens,
        }
    }
}

impl<S: Sequences> HeldOut for S {
    fn judge(&self, model: &Model, batch: usize, threads: usize) -> StageResult<NamedFigures> {
        let found = judge(model, self, batch, threads)?;
        Ok(vec![
            ("eval_loss", found.loss()),
            ("eval_mean_token_accuracy", found.accuracy()),
            ("eval_num_tokens", found.tokens as f64),
        ])
    }

    /// A sequence's prompt, or its first half if it has none.
    fn prompt(&self, number: usize) -> Option<Vec<u32>> {
        let (mut tokens, targets) = self.sequence(number % self.count());
        let first = targets.iter().position(|&target| target >= 0).unwrap_or(0);
        let end = match first {
            0 => tokens.len().div_ceil(2),
            _ => first + 1,
        };
        tokens.truncate(end);
        Some(tokens)
    }
}

/// Judges the model on all sequences. Neither `batch` nor `threads` changes a bit of the result.
pub(crate) fn judge(
    model: &Model,
    sequences: &dyn Sequences,
    batch: usize,
    threads: usize,
) -> StageResult<Judgement> {
    let count = sequences.count();
    let found = in_batches(model, count, batch, threads, |model, range| {
        judge_batch(model, sequences, range)
    })?;
    // Sequence by sequence in their own order, whoever judged them.
    Ok(found
        .into_iter()
        .fold(Judgement::default(), Judgement::plus))
}

fn judge_batch(
    model: &Model,
    sequences: &dyn Sequences,
    range: std::ops::Range<usize>,
) -> Result<Vec<Judgement>> {
    let (inputs, targets): (Vec<Vec<u32>>, Vec<Vec<i64>>) =
        range.map(|index| sequences.sequence(index)).unzip();
    let pack = Pack::new(&inputs, model.device())?;
    let hidden = model.hidden(&pack)?;
    let found = log_probabilities(model, &hidden, &targets.concat(), 1.0, true)?;
    let values = tensors::floats(&found.values)?;
    let correct = tensors::floats(&found.correct)?;
    let mut start = 0;
    let mut results = Vec::new();
    for targets in &targets {
        let rows = start..start + targets.len();
        start = rows.end;
        let sum = |rows: &[f32]| rows.iter().map(|&value| f64::from(value)).sum::<f64>();
        results.push(Judgement {
            negative_log_likelihood: -sum(&values[rows.clone()]),
            correct: sum(&correct[rows]),
            tokens: targets.iter().filter(|&&target| target >= 0).count() as u64,
        });
    }
    Ok(results)
}
