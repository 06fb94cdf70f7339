//! Completing prompts in portions, and cutting completions at stop texts.

use begat_schemas::EvaluateParams;

use super::Context;
use crate::contract::{StageError, StageResult};
use crate::data::{Prompted, TextTokenizer};
use crate::generate::{Completion, Finish, GenerateOptions, Sampling, generate};
use crate::model::Model;

/// What came after a prompt.
#[derive(Debug, Clone)]
pub(super) struct Completed {
    /// Without stop text and special tokens.
    pub text: String,
    /// Whether the model ended it, by end-of-text or a stop text.
    pub ended: bool,
    /// Tokens generated.
    pub tokens: usize,
}

impl Completed {
    /// A completion that does not come from a model.
    pub(super) fn constant(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            ended: true,
            tokens: 0,
        }
    }
}

/// Prompts with what is to be done with them.
pub(super) struct Completer<'a> {
    context: &'a Context<'a>,
    params: &'a EvaluateParams,
    model: &'a Model,
    tokenizer: &'a TextTokenizer,
    prompts: Vec<Vec<u32>>,
    cut: u64,
}

impl<'a> Completer<'a> {
    pub(super) fn new(
        context: &'a Context<'a>,
        params: &'a EvaluateParams,
        model: &'a Model,
        tokenizer: &'a TextTokenizer,
        prompted: &[Prompted],
    ) -> StageResult<Self> {
        let positions = model.config().max_position_embeddings as usize;
        let room = positions.saturating_sub(params.max_new_tokens as usize);
        if room == 0 {
            let expected = format!("less than the model's context of {positions} tokens");
            let error =
                begat_schemas::BadValue::new("max_new_tokens", expected, params.max_new_tokens);
            return Err(StageError::Parameter(error));
        }
        let mut cut = 0;
        let mut prompts = Vec::new();
        for prompted in prompted {
            let tokens = &prompted.tokens;
            // The end of a prompt is what its completion continues.
            cut += u64::from(tokens.len() > room);
            let kept = tokens[tokens.len().saturating_sub(room)..].to_vec();
            prompts.push(if kept.is_empty() {
                vec![tokenizer.end_of_text()]
            } else {
                kept
            });
        }
        Ok(Self {
            context,
            params,
            model,
            tokenizer,
            prompts,
            cut,
        })
    }

    /// How many prompts lost their beginning because the model's context is too short.
    pub(super) fn prompts_cut(&self) -> u64 {
        self.cut
    }

    pub(super) fn sampled(
        &self,
        progress: impl FnMut(usize) -> StageResult<()>,
    ) -> StageResult<Vec<Completed>> {
        let sampling = Sampling {
            temperature: self.params.temperature,
            top_k: self.params.top_k as usize,
            top_p: self.params.top_p,
        };
        self.complete(sampling, progress)
    }

    pub(super) fn greedy(
        &self,
        progress: impl FnMut(usize) -> StageResult<()>,
    ) -> StageResult<Vec<Completed>> {
        self.complete(Sampling::GREEDY, progress)
    }

    fn complete(
        &self,
        sampling: Sampling,
        mut progress: impl FnMut(usize) -> StageResult<()>,
    ) -> StageResult<Vec<Completed>> {
        let batch = self.params.per_device_eval_batch_size as usize;
        let portion = batch * self.context.threads.max(1);
        let mut all = Vec::new();
        for prompts in self.prompts.chunks(portion) {
            let options = GenerateOptions {
                sampling,
                max_new_tokens: self.params.max_new_tokens as usize,
                stop_tokens: self.tokenizer.ends(),
                stream: self.context.random("sample"),
                first_row: all.len() as u64,
                batch,
                threads: self.context.threads,
            };
            let (tokenizer, stops) = (self.tokenizer, &self.params.stop);
            let hook = |_: usize, tokens: &[u32]| has_stop(tokenizer, stops, tokens);
            for completion in generate(self.model, prompts, &options, Some(&hook))? {
                all.push(self.completed(&completion)?);
            }
            progress(prompts.len())?;
        }
        Ok(all)
    }

    fn completed(&self, completion: &Completion) -> StageResult<Completed> {
        let text = self.tokenizer.decode(&completion.tokens)?;
        let stops: Vec<&str> = self.params.stop.iter().map(String::as_str).collect();
        let cut = begat_demo::gold::cut_at_stop(&text, &stops);
        Ok(Completed {
            text: cut.text.to_owned(),
            ended: cut.stopped || completion.finish == Finish::StopToken,
            tokens: completion.tokens.len(),
        })
    }
}

fn has_stop(tokenizer: &TextTokenizer, stops: &[String], tokens: &[u32]) -> bool {
    let contains = |text: String| stops.iter().any(|stop| text.contains(stop.as_str()));
    !stops.is_empty() && tokenizer.decode(tokens).is_ok_and(contains)
}
