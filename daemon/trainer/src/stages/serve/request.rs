//! One request, from its prompt to its last event.

use std::sync::{Mutex, PoisonError};

use begat_schemas::api::{GenerateEvent, GenerateRequest};
use serde_json::{Value, json};

use super::text::safe_prefix;
use crate::Stream;
use crate::contract::StageResult;
use crate::data::TextTokenizer;
use crate::error::Error;
use crate::generate::{Completion, Finish, GenerateOptions, Sampling, generate};
use crate::model::Model;

/// Most completions of one request.
const COMPLETIONS_MAX: u32 = 256;

/// A request, ready to run.
pub(super) struct Work<'a> {
    request: &'a GenerateRequest,
    tokenizer: &'a TextTokenizer,
    prompt: Vec<u32>,
    pub threads: usize,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        request: &'a GenerateRequest,
        tokenizer: &'a TextTokenizer,
    ) -> StageResult<Self> {
        let prompt = match (&request.prompt, request.messages.is_empty()) {
            (Some(prompt), true) => tokenizer.encode_start(prompt)?,
            (None, false) => {
                let message = |message: &begat_schemas::api::Message| -> Value {
                    json!({"role": message.role, "content": message.content})
                };
                let messages: Vec<Value> = request.messages.iter().map(message).collect();
                tokenizer.encode(&tokenizer.chat_prompt(&messages)?)?
            }
            (Some(_), false) => return refuse("either `prompt` or `messages`, not both"),
            (None, true) => return refuse("a `prompt` or `messages`"),
        };
        if prompt.is_empty() {
            return refuse("a prompt that is not empty");
        }
        if !(1..=COMPLETIONS_MAX).contains(&request.n) || request.max_new_tokens == 0 {
            return refuse("`n` from 1 to 256 and `max_new_tokens` of at least 1");
        }
        Ok(Self {
            request,
            tokenizer,
            prompt,
            threads: 1,
        })
    }

    /// Generates; `emit` gets the events, `is_cancelled` is asked before each token.
    pub(super) fn run(
        &self,
        model: &Model,
        is_cancelled: &(dyn Fn() -> bool + Sync),
        emit: &(dyn Fn(&GenerateEvent) + Sync),
    ) -> StageResult<()> {
        let request = self.request;
        let options = GenerateOptions {
            sampling: Sampling {
                temperature: request.temperature,
                top_k: request.top_k as usize,
                top_p: request.top_p,
            },
            max_new_tokens: request.max_new_tokens as usize,
            stop_tokens: self.tokenizer.ends(),
            stream: Stream::new(request.seed, "generate", "sample"),
            first_row: 0,
            batch: request.n as usize,
            threads: self.threads,
        };
        let prompts = vec![&self.prompt; request.n as usize];
        // Bytes of each completion that have been given out.
        let given: Vec<Mutex<usize>> = prompts.iter().map(|_| Mutex::new(0)).collect();
        let hook = |index: usize, tokens: &[u32]| {
            is_cancelled() || self.give_out(index, tokens, false, &given[index], emit)
        };
        let completions = generate(model, &prompts, &options, Some(&hook))?;
        if is_cancelled() {
            return Ok(());
        }
        for (index, completion) in completions.iter().enumerate() {
            self.give_out(index, &completion.tokens, true, &given[index], emit);
            emit(&done(index, completion));
        }
        Ok(())
    }

    /// Gives out what is new and certain; says whether a stop text ends the completion.
    fn give_out(
        &self,
        index: usize,
        tokens: &[u32],
        is_final: bool,
        given: &Mutex<usize>,
        emit: &(dyn Fn(&GenerateEvent) + Sync),
    ) -> bool {
        let Ok(text) = self.tokenizer.decode(tokens) else {
            return false;
        };
        let (safe, stopped) = safe_prefix(&text, &self.request.stop, is_final);
        let mut given = given.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(new) = safe.get(*given..).filter(|new| !new.is_empty()) {
            *given = safe.len();
            emit(&GenerateEvent::Text {
                index: index as u32,
                text: new.to_owned(),
            });
        }
        stopped
    }
}

fn done(index: usize, completion: &Completion) -> GenerateEvent {
    let finish_reason = match completion.finish {
        Finish::Length => "length",
        Finish::StopToken | Finish::Hook => "stop",
    };
    GenerateEvent::Done {
        index: index as u32,
        finish_reason: finish_reason.to_owned(),
        tokens: completion.tokens.len() as u32,
    }
}

fn refuse<T>(expected: &str) -> StageResult<T> {
    Err(Error::Invalid(format!("expected {expected}")).into())
}
