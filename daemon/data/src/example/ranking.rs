//! Several answers, from best to worst.

use serde_json::Value;

use super::content::{self, Content};
use super::preference::{Origin, Pair};
use crate::{FieldPath, Problem, Result, Row};

/// The most responses of a ranking; the pairs grow with the square of them.
pub const RESPONSES_MAX: usize = 256;

/// Several answers to one prompt, no two of one rank.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ranking {
    /// What was asked.
    pub prompt: Content,
    /// At least two answers, the best first.
    pub responses: Vec<Content>,
    /// A score of each, falling.
    pub scores: Option<Vec<f64>>,
}

impl Ranking {
    pub(super) fn read(row: &Row) -> Result<Self> {
        let prompt = content::prompt(row)?;
        let responses = responses(row, &prompt)?;
        let scores = scores(row, responses.len())?;
        Ok(Self {
            prompt,
            responses,
            scores,
        })
    }

    /// Every pair, each answer above those behind it: K (K − 1) / 2 of them.
    pub fn pairs(&self) -> Vec<Pair<'_>> {
        let answers = self.responses.iter().enumerate();
        let pairs = answers.flat_map(|(rank, better)| {
            self.responses[rank + 1..].iter().map(move |worse| Pair {
                better,
                worse,
                origin: Origin::Answer,
                strength: None,
                margin: None,
            })
        });
        pairs.collect()
    }
}

fn responses(row: &Row, prompt: &Content) -> Result<Vec<Content>> {
    let field = FieldPath::field("responses");
    let list = list(
        row,
        "responses",
        row.required("responses")?,
        "a list of answers",
    )?;
    let found = list.len();
    if found < 2 {
        return Err(row.problem(field, Problem::OneResponse { found }));
    }
    if found > RESPONSES_MAX {
        return Err(row.problem(field, Problem::TooManyResponses { found }));
    }
    let mut responses: Vec<Content> = Vec::with_capacity(found);
    for (index, value) in list.iter().enumerate() {
        let field = field.index(index);
        let response = Content::of(row, value, &field)?;
        response.must_be_like(prompt, "prompt", row, &field)?;
        response.must_be_answer(row, &field)?;
        if let Some(same) = responses.iter().position(|earlier| *earlier == response) {
            let other = format!("responses[{same}]");
            return Err(row.problem(field, Problem::Tie { other }));
        }
        responses.push(response);
    }
    Ok(responses)
}

fn scores(row: &Row, expected: usize) -> Result<Option<Vec<f64>>> {
    let Some(value) = row.optional("scores")? else {
        return Ok(None);
    };
    let field = FieldPath::field("scores");
    let list = list(row, "scores", value, "a list of numbers")?;
    let found = list.len();
    if found != expected {
        return Err(row.problem(field, Problem::ScoreCount { found, expected }));
    }
    let mut scores: Vec<f64> = Vec::with_capacity(found);
    for (index, value) in list.iter().enumerate() {
        let field = field.index(index);
        let Some(score) = value.as_f64() else {
            return Err(row.wrong_type(field, "a number", value));
        };
        if let Some(&before) = scores.last() {
            must_fall(before, score, index).map_err(|problem| row.problem(field, problem))?;
        }
        scores.push(score);
    }
    Ok(Some(scores))
}

fn must_fall(before: f64, score: f64, index: usize) -> std::result::Result<(), Problem> {
    let other = format!("scores[{}]", index - 1);
    if score < before {
        Ok(())
    } else if score == before {
        Err(Problem::Tie { other })
    } else {
        Err(Problem::WrongOrder { other })
    }
}

fn list<'a>(row: &Row, field: &str, value: &'a Value, expected: &str) -> Result<&'a Vec<Value>> {
    let wrong = || row.wrong_type(FieldPath::field(field), expected, value);
    value.as_array().ok_or_else(wrong)
}
