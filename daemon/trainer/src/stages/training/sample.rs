//! A completion on the way, so that a person sees what a model can say already.

use begat_schemas::EventBody;

use crate::Stream;
use crate::contract::StageResult;
use crate::data::TextTokenizer;
use crate::generate::{GenerateOptions, Sampling, generate};
use crate::model::Model;

const TOKENS: usize = 48;

/// Samples a completion of a prompt.
pub(super) fn sample(
    model: &Model,
    tokenizer: &TextTokenizer,
    prompt: &[u32],
    step: u64,
    stream: Stream,
) -> StageResult<EventBody> {
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
