//! Sampling in portions, and cutting completions at stop texts.

use begat_schemas::SamplingParams;

use super::Policy;
use crate::Stream;
use crate::contract::StageResult;
use crate::data::TextTokenizer;
use crate::generate::{Completion, Finish, GenerateOptions, Group, Sampling, generate_groups};
use crate::model::Model;
use crate::stages::Context;

/// Batches that each thread completes before progress is reported: within a portion no thread waits for another.
const BATCHES_IN_PORTION: usize = 4;

/// How completions are drawn.
#[derive(Debug, Clone)]
pub(crate) struct How {
    pub sampling: Sampling,
    /// Longest completion, in tokens.
    pub max_new_tokens: u32,
    /// Texts that end a completion where they begin to appear.
    pub stop: Vec<String>,
    /// Sequences at a time.
    pub batch: u32,
}

impl From<&SamplingParams> for How {
    fn from(params: &SamplingParams) -> Self {
        Self {
            sampling: Sampling {
                temperature: params.temperature,
                top_k: params.top_k as usize,
                top_p: params.top_p,
            },
            max_new_tokens: params.max_new_tokens,
            stop: params.stop.clone(),
            batch: params.per_device_eval_batch_size,
        }
    }
}

/// How samples were drawn, in a line of a card.
pub(crate) fn described(count: u32, params: &SamplingParams, seed: u64) -> String {
    format!(
        "{count} samples of each prompt, seed {seed}, temperature {}, top_k {}, top_p {}, at most {} tokens, cut at {:?}",
        params.temperature, params.top_k, params.top_p, params.max_new_tokens, params.stop
    )
}

/// What came after a prompt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// Without stop text and special tokens.
    pub text: String,
    /// Whether the model ended it, by end-of-text or a stop text.
    pub ended: bool,
    /// Whether it was a stop text.
    pub stopped: bool,
    /// The tokens generated, the one that ended it included.
    pub tokens: Vec<u32>,
}

impl Sample {
    /// A completion that does not come from a model.
    pub(crate) fn constant(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            ended: true,
            stopped: false,
            tokens: Vec::new(),
        }
    }
}

/// The number in the random stream of the `k`-th sample of a row's prompt.
pub(crate) fn stream_row(row: u64, k: u32) -> u64 {
    row << 32 | u64::from(k)
}

/// Draws completions.
#[derive(Debug)]
pub(crate) struct Sampler<'a> {
    model: &'a Model,
    tokenizer: &'a TextTokenizer,
    how: How,
    stream: Stream,
    threads: usize,
}

impl<'a> Sampler<'a> {
    pub(crate) fn new(context: &Context<'_>, policy: &'a Policy, how: How) -> Self {
        Self {
            model: &policy.model,
            tokenizer: &policy.tokenizer,
            how,
            stream: context.random("sample"),
            threads: context.threads,
        }
    }

    /// Completions of each group's prompt, as it is; `progress` is shown each portion when it is done.
    pub(crate) fn sample(
        &self,
        groups: &[Group<Vec<u32>>],
        mut progress: impl FnMut(&[Vec<Sample>]) -> StageResult<()>,
    ) -> StageResult<Vec<Vec<Sample>>> {
        let batch = self.how.batch as usize;
        let rows = groups.iter().map(|group| group.rows.len()).max();
        let at_once = batch * self.threads.max(1) * BATCHES_IN_PORTION;
        let portion = (at_once / rows.unwrap_or(1).max(1)).max(1);
        let options = GenerateOptions {
            sampling: self.how.sampling,
            max_new_tokens: self.how.max_new_tokens as usize,
            stop_tokens: self.tokenizer.ends(),
            stream: self.stream,
            first_row: 0,
            batch,
            threads: self.threads,
        };
        let (tokenizer, stops) = (self.tokenizer, &self.how.stop[..]);
        let hook = |_: usize, tokens: &[u32]| has_stop(tokenizer, stops, tokens);
        let mut all = Vec::with_capacity(groups.len());
        for groups in groups.chunks(portion) {
            let before = all.len();
            for completions in generate_groups(self.model, groups, &options, Some(&hook))? {
                let samples = completions.into_iter().map(|one| self.cut(one));
                all.push(samples.collect::<StageResult<_>>()?);
            }
            progress(&all[before..])?;
        }
        Ok(all)
    }

    fn cut(&self, completion: Completion) -> StageResult<Sample> {
        let text = self.tokenizer.decode(&completion.tokens)?;
        let stops: Vec<&str> = self.how.stop.iter().map(String::as_str).collect();
        let cut = begat_demo::gold::cut_at_stop(&text, &stops);
        Ok(Sample {
            text: cut.text.to_owned(),
            ended: cut.stopped || completion.finish == Finish::StopToken,
            stopped: cut.stopped,
            tokens: completion.tokens,
        })
    }
}

fn has_stop(tokenizer: &TextTokenizer, stops: &[String], tokens: &[u32]) -> bool {
    let contains = |text: String| stops.iter().any(|stop| text.contains(stop.as_str()));
    !stops.is_empty() && tokenizer.decode(tokens).is_ok_and(contains)
}
