//! Rows with answers to one prompt, as tokens: preferences, rankings, and demonstrations, which are compared with nothing.
//!
//! Pieces are tokenized one by one, by the rule of [`super::sample`], so that an answer's tokens are those that generation
//! would have to give after the prompt's.

use begat_data::{Content, Example, Message, Origin, Place};
use begat_schemas::Strength;
use serde_json::Value;

use super::TextTokenizer;
use crate::contract::{StageError, StageResult};

/// A token of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerToken {
    /// Its id.
    pub token: u32,
    /// Whether the assistant says it; not so between the turns of an answer with several.
    pub said: bool,
    /// Whether it belongs to the form and not to what is said: the chat template's, or the end of the text.
    pub format: bool,
}

/// Two answers of a row, of which one is preferred.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// The preferred one's number in its row.
    pub better: u32,
    /// The other one's.
    pub worse: u32,
    /// Whether the preferred one is an edit of the other.
    pub edit: bool,
    /// How clearly it was preferred, if someone said so.
    pub strength: Option<Strength>,
    /// By how much it should score above the other, if someone said so.
    pub margin: Option<f64>,
}

/// A row as tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What was asked.
    pub prompt: Vec<u32>,
    /// The answers, each with its end.
    pub answers: Vec<Vec<AnswerToken>>,
    /// Which of them are preferred to which.
    pub pairs: Vec<Compared>,
}

/// The answers of an example, in the order in which its pairs count them.
fn answers(example: &Example) -> Option<(&Content, Vec<&Content>)> {
    match example {
        Example::Preference(row) => {
            let answers = [&row.chosen, &row.rejected].into_iter();
            Some((&row.prompt, answers.chain(&row.edited).collect()))
        }
        Example::Ranking(row) => Some((&row.prompt, row.responses.iter().collect())),
        Example::PromptCompletion { prompt, completion } => Some((prompt, vec![completion])),
        _ => None,
    }
}

impl Comparison {
    /// Tokenizes an example that has answers.
    pub fn read(tokenizer: &TextTokenizer, place: &Place, example: &Example) -> StageResult<Self> {
        let error = |problem: String| StageError::Row {
            place: place.to_string(),
            problem,
        };
        let (prompt, answers) = answers(example).ok_or_else(|| {
            error(format!(
                "expected answers to a prompt, found {}",
                example.form()
            ))
        })?;
        let number = |answer: &Content| {
            let found = answers.iter().position(|one| std::ptr::eq(*one, answer));
            found.map_or(u32::MAX, |number| number as u32)
        };
        let pairs = example.pairs().into_iter().map(|pair| Compared {
            better: number(pair.better),
            worse: number(pair.worse),
            edit: pair.origin == Origin::Edit,
            strength: pair.strength,
            margin: pair.margin,
        });
        let pairs = pairs.collect();
        let mut prompts = Vec::new();
        let mut tokens = Vec::new();
        for answer in &answers {
            let (prompt, answer) = tokenized(tokenizer, prompt, answer)?;
            if answer.iter().all(|one| one.format) {
                return Err(error("an answer has no token of its own".to_owned()));
            }
            prompts.push(prompt);
            tokens.push(answer);
        }
        if prompts.iter().any(|one| *one != prompts[0]) {
            let problem = "the chat template renders the prompt differently before each answer";
            return Err(error(problem.to_owned()));
        }
        Ok(Self {
            prompt: prompts.swap_remove(0),
            answers: tokens,
            pairs,
        })
    }
}

fn tokenized(
    tokenizer: &TextTokenizer,
    prompt: &Content,
    answer: &Content,
) -> StageResult<(Vec<u32>, Vec<AnswerToken>)> {
    let (prompt, mut answer) = match (prompt, answer) {
        (Content::Text(prompt), Content::Text(answer)) => {
            let said = tokenizer
                .encode(answer)?
                .into_iter()
                .map(|token| AnswerToken {
                    token,
                    said: true,
                    format: false,
                });
            (tokenizer.encode_start(prompt)?, said.collect())
        }
        (prompt, answer) => conversation(tokenizer, &messages(prompt), &messages(answer))?,
    };
    let end = tokenizer.end_of_text();
    match answer.last_mut() {
        Some(last) if last.token == end => last.format = true,
        _ => answer.push(AnswerToken {
            token: end,
            said: true,
            format: true,
        }),
    }
    Ok((prompt, answer))
}

fn messages(content: &Content) -> Vec<Value> {
    let message = |one: &Message| serde_json::to_value(one).unwrap_or_default();
    content
        .messages()
        .map(|list| list.iter().map(message).collect())
        .unwrap_or_default()
}

fn conversation(
    tokenizer: &TextTokenizer,
    prompt: &[Value],
    answer: &[Value],
) -> StageResult<(Vec<u32>, Vec<AnswerToken>)> {
    let before = tokenizer.chat_prompt(prompt)?.len();
    let all = [prompt, answer].concat();
    let mut sayings = all
        .iter()
        .filter(|one| one["role"] == "assistant")
        .map(|one| one["content"].as_str().unwrap_or_default());
    let (mut position, mut asked, mut answered) = (0, Vec::new(), Vec::new());
    for turn in tokenizer.chat_turns(&all)? {
        let words = if turn.learned { sayings.next() } else { None };
        if position < before {
            asked.extend(tokenizer.encode(&turn.text)?);
        } else {
            answered.extend(piece(tokenizer, &turn.text, words)?);
        }
        position += turn.text.len();
    }
    Ok((asked, answered))
}

/// A piece of an answer; `words` is what the assistant says in it, and all around that is format.
fn piece(
    tokenizer: &TextTokenizer,
    text: &str,
    words: Option<&str>,
) -> StageResult<Vec<AnswerToken>> {
    let words_in_text = words.and_then(|words| {
        let start = text.find(words.trim())?;
        Some(start..start + words.trim().len())
    });
    let tokens = tokenizer.encode_with_spans(text)?.into_iter();
    let tokens = tokens.map(|(token, span)| AnswerToken {
        token,
        said: words.is_some(),
        format: words_in_text
            .as_ref()
            .is_some_and(|words| span.end <= words.start || span.start >= words.end),
    });
    Ok(tokens.collect())
}
