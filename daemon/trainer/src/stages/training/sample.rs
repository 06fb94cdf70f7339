//! A completion on the way, so that a person sees what a model can say already.

use begat_schemas::EventBody;

use super::source::Sequences;
use crate::Stream;
use crate::contract::StageResult;
use crate::data::TextTokenizer;
use crate::generate::{GenerateOptions, Sampling, generate};
use crate::model::Model;

const TOKENS: usize = 48;

/// Samples a completion of the `number`-th held-out sequence: of its prompt, or of its first half if it has none.
pub(super) fn sample(
    model: &Model,
    tokenizer: &TextTokenizer,
    held_out: &dyn Sequences,
    step: u64,
    number: usize,
    stream: Stream,
) -> StageResult<EventBody> {
    let (tokens, targets) = held_out.sequence(number % held_out.count());
    let first = targets.iter().position(|&target| target >= 0).unwrap_or(0);
    let end = if first == 0 {
        tokens.len().div_ceil(2)
    } else {
        first + 1
    };
    let prompt = &tokens[..end.min(tokens.len())];
    let options = GenerateOptions {
        sampling: Sampling::at(1.0),
        max_new_tokens: TOKENS,
        stop_tokens: tokenizer.ends(),
        stream,
        first_row: step,
        batch: 1,
        threads: 1,
    };
    let completed = generate(model, &[prompt], &options, None)?;
    let completion = completed.first().map_or(&[][..], |one| &one.tokens);
    Ok(EventBody::Sample {
        step,
        prompt: tokenizer.decode(prompt)?,
        completion: tokenizer.decode(completion)?,
        score: None,
    })
}
