//! Rows as training samples: tokens, and which of them are to be learned.
//!
//! A row is one of `{prompt, completion}`, `{messages}` or `{text}`; prompts and completions may be texts or lists of
//! messages. Pieces are tokenized one by one, so that a completion's tokens are those that generation would have to give
//! after the prompt's.

use serde_json::Value;

use super::rows::kind;
use super::{Row, TextTokenizer};
use crate::contract::StageResult;

/// A row as tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sample {
    /// The tokens, end of text included.
    pub tokens: Vec<u32>,
    /// For each token, whether the loss counts it.
    pub learned: Vec<bool>,
}

/// A row as something to complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompted {
    /// The prompt, for people.
    pub prompt: String,
    /// What the model is given.
    pub tokens: Vec<u32>,
    /// The completion in the dataset.
    pub reference: Option<String>,
}

/// Turns rows into samples.
#[derive(Debug, Clone, Copy)]
pub struct SampleReader<'a> {
    /// The tokenizer.
    pub tokenizer: &'a TextTokenizer,
    /// Whether only completions and assistants' turns are learned.
    pub completion_only: bool,
}

impl Sample {
    fn push(&mut self, tokens: &[u32], learned: bool) {
        self.tokens.extend_from_slice(tokens);
        self.learned.extend(tokens.iter().map(|_| learned));
    }

    /// What the model is given and, for each position, the token that it should give next, or [`crate::loss::IGNORE`].
    pub fn shifted(&self) -> (Vec<u32>, Vec<i64>) {
        let inputs = self.tokens[..self.tokens.len().saturating_sub(1)].to_vec();
        let next = self.tokens.iter().zip(&self.learned).skip(1);
        let target = |(&token, &learned): (&u32, &bool)| {
            if learned {
                i64::from(token)
            } else {
                crate::loss::IGNORE
            }
        };
        (inputs, next.map(target).collect())
    }

    /// Cuts the end off; says whether there was more than `length`.
    pub fn truncate(&mut self, length: usize) -> bool {
        let too_long = self.tokens.len() > length;
        self.tokens.truncate(length);
        self.learned.truncate(length);
        too_long
    }

    /// Number of tokens that the loss counts; the first of a sequence is never predicted.
    pub fn learned_count(&self) -> usize {
        self.learned
            .iter()
            .skip(1)
            .filter(|&&learned| learned)
            .count()
    }
}

impl SampleReader<'_> {
    /// The sample of a row.
    pub fn sample(&self, row: &Row) -> StageResult<Sample> {
        row.must_be_a_lesson()?;
        if row.has("prompt") || row.has("completion") {
            self.with_completion(row)
        } else if row.has("messages") {
            self.conversation(&messages(row, "messages")?)
        } else if row.has("text") {
            let tokens = self.tokenizer.encode_start(row.text("text")?)?;
            let mut sample = Sample::default();
            sample.push(&tokens, true);
            self.end(&mut sample);
            Ok(sample)
        } else {
            Err(row.error(format!(
                "expected `prompt` and `completion`, `messages`, or `text`; it has {}",
                row.field_names()
            )))
        }
    }

    fn with_completion(&self, row: &Row) -> StageResult<Sample> {
        if row.get("prompt").is_some_and(Value::is_array) {
            return self.with_completing_messages(row);
        }
        let mut sample = Sample::default();
        let prompt = self.tokenizer.encode_start(row.text("prompt")?)?;
        let completion = self.tokenizer.encode(row.text("completion")?)?;
        sample.push(&prompt, !self.completion_only);
        sample.push(&completion, true);
        self.end_of(row, &mut sample)?;
        Ok(sample)
    }

    fn with_completing_messages(&self, row: &Row) -> StageResult<Sample> {
        let prompt = messages(row, "prompt")?;
        let completion = messages(row, "completion")?;
        let from = prompt.len();
        let mut all = prompt;
        all.extend(completion);
        // What the prompt's assistants say is no completion.
        let mut sample = Sample::default();
        let before = self.tokenizer.chat_prompt(&all[..from])?;
        let turns = self.tokenizer.chat_turns(&all)?;
        let mut position = 0;
        for turn in turns {
            let tokens = self.tokenizer.encode(&turn.text)?;
            let completes = position >= before.len();
            position += turn.text.len();
            sample.push(
                &tokens,
                !self.completion_only || (turn.learned && completes),
            );
        }
        self.end_of(row, &mut sample)?;
        Ok(sample)
    }

    fn conversation(&self, messages: &[Value]) -> StageResult<Sample> {
        let turns = self.tokenizer.chat_turns(messages)?;
        let ends_learned = turns.last().is_some_and(|turn| turn.learned);
        let mut sample = Sample::default();
        for turn in turns {
            let tokens = self.tokenizer.encode(&turn.text)?;
            sample.push(&tokens, turn.learned || !self.completion_only);
        }
        if ends_learned || !self.completion_only {
            self.end(&mut sample);
        }
        Ok(sample)
    }

    /// Ends the sample, unless its row says that its completion has no end to be learned (`append_end`: false).
    fn end_of(&self, row: &Row, sample: &mut Sample) -> StageResult<()> {
        match row.get("append_end") {
            None | Some(Value::Bool(true)) => self.end(sample),
            Some(Value::Bool(false)) => {}
            Some(other) => {
                let found = kind(other);
                return Err(row.error(format!(
                    "field `append_end`: expected true or false, found {found}"
                )));
            }
        }
        Ok(())
    }

    fn end(&self, sample: &mut Sample) {
        let end = self.tokenizer.end_of_text();
        if sample.tokens.last() != Some(&end) {
            sample.push(&[end], true);
        }
    }

    /// What a row gives to complete; `None` if it has no prompt.
    pub fn prompted(&self, row: &Row) -> StageResult<Option<Prompted>> {
        match row.get("prompt") {
            None => Ok(None),
            Some(Value::Array(_)) => {
                let prompt = self.tokenizer.chat_prompt(&messages(row, "prompt")?)?;
                Ok(Some(Prompted {
                    tokens: self.tokenizer.encode(&prompt)?,
                    prompt,
                    reference: reference(row)?,
                }))
            }
            Some(_) => {
                let prompt = row.text("prompt")?.to_owned();
                Ok(Some(Prompted {
                    tokens: self.tokenizer.encode_start(&prompt)?,
                    prompt,
                    reference: reference(row)?,
                }))
            }
        }
    }
}

fn reference(row: &Row) -> StageResult<Option<String>> {
    match row.get("completion") {
        None => Ok(None),
        Some(Value::Array(_)) => {
            let messages = messages(row, "completion")?;
            let text = messages.first().and_then(|one| one["content"].as_str());
            Ok(text.map(str::to_owned))
        }
        Some(_) => row.text("completion").map(|text| Some(text.to_owned())),
    }
}

/// A field that holds messages, each with a role and a content.
fn messages(row: &Row, field: &str) -> StageResult<Vec<Value>> {
    let wrong = |problem: String| row.error(format!("field `{field}`: {problem}"));
    let list = match row.get(field) {
        Some(Value::Array(list)) if !list.is_empty() => list,
        Some(Value::Array(_)) => {
            return Err(wrong(
                "expected at least one message, found none".to_owned(),
            ));
        }
        Some(other) => {
            return Err(wrong(format!(
                "expected a list of messages, found {}",
                kind(other)
            )));
        }
        None => return Err(row.error(format!("no field `{field}`; it has {}", row.field_names()))),
    };
    for (index, message) in list.iter().enumerate() {
        for key in ["role", "content"] {
            if !message.get(key).is_some_and(Value::is_string) {
                return Err(wrong(format!(
                    "message {}: expected a text as `{key}`",
                    index + 1
                )));
            }
        }
    }
    Ok(list.clone())
}
