//! One answer preferred to another.

use begat_schemas::Strength;
use serde_json::Value;

use super::content::{self, Content};
use super::shared;
use crate::{FieldPath, Problem, Result, Row};

/// One answer preferred to another, and perhaps a better one that someone wrote from it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Preference {
    /// What was asked.
    pub prompt: Content,
    /// Whether the row had the prompt only as the beginning of its answers.
    pub implicit_prompt: bool,
    /// The preferred answer.
    pub chosen: Content,
    /// The other one.
    pub rejected: Content,
    /// The chosen answer as someone improved it, preferred to it.
    pub edited: Option<Content>,
    /// How clearly `chosen` was preferred to `rejected`.
    pub strength: Option<Strength>,
    /// By how much `chosen` should score above `rejected`.
    pub margin: Option<f64>,
}

/// Two answers to one prompt, of which one is preferred.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair<'a> {
    /// The preferred one.
    pub better: &'a Content,
    /// The other one.
    pub worse: &'a Content,
    /// Where the preferred one came from.
    pub origin: Origin,
    /// How clearly it was preferred, if someone said so.
    pub strength: Option<Strength>,
    /// By how much it should score above the other, if someone said so.
    pub margin: Option<f64>,
}

/// Where a preferred answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// It is an answer as it was given.
    Answer,
    /// Someone edited the answer that it is preferred to.
    Edit,
}

impl Preference {
    pub(super) fn read(row: &Row) -> Result<Self> {
        let mut chosen = Content::read(row, "chosen")?;
        let mut rejected = Content::read(row, "rejected")?;
        let mut edited = Content::read_optional(row, "edited")?;
        must_be_like_chosen(row, &chosen, &rejected, edited.as_ref())?;
        must_differ(row, &chosen, &rejected, edited.as_ref())?;
        let explicit = explicit_prompt(row, &chosen)?;
        let implicit_prompt = explicit.is_none();
        let prompt = match explicit {
            Some(prompt) => prompt,
            None => take_prompt(row, &mut chosen, &mut rejected, &mut edited)?,
        };
        let answers = [
            ("chosen", Some(&chosen)),
            ("rejected", Some(&rejected)),
            ("edited", edited.as_ref()),
        ];
        for (field, answer) in answers {
            if let Some(answer) = answer {
                answer.must_be_answer(row, &FieldPath::field(field))?;
            }
        }
        Ok(Self {
            prompt,
            implicit_prompt,
            chosen,
            rejected,
            edited,
            strength: strength(row)?,
            margin: margin(row)?,
        })
    }

    /// Its pairs: chosen above rejected, and edited above chosen. Nobody said how clearly the edit is the better one.
    pub fn pairs(&self) -> Vec<Pair<'_>> {
        let answer = Pair {
            better: &self.chosen,
            worse: &self.rejected,
            origin: Origin::Answer,
            strength: self.strength,
            margin: self.margin,
        };
        let edit = self.edited.as_ref().map(|edited| Pair {
            better: edited,
            worse: &self.chosen,
            origin: Origin::Edit,
            strength: None,
            margin: None,
        });
        std::iter::once(answer).chain(edit).collect()
    }
}

fn must_be_like_chosen(
    row: &Row,
    chosen: &Content,
    rejected: &Content,
    edited: Option<&Content>,
) -> Result<()> {
    rejected.must_be_like(chosen, "chosen", row, &FieldPath::field("rejected"))?;
    match edited {
        Some(edited) => edited.must_be_like(chosen, "chosen", row, &FieldPath::field("edited")),
        None => Ok(()),
    }
}

fn must_differ(
    row: &Row,
    chosen: &Content,
    rejected: &Content,
    edited: Option<&Content>,
) -> Result<()> {
    let equal =
        |field, other| Err(row.problem(FieldPath::field(field), Problem::EqualAnswers { other }));
    match edited {
        _ if rejected == chosen => equal("rejected", "chosen"),
        Some(edited) if edited == chosen => equal("edited", "chosen"),
        Some(edited) if edited == rejected => equal("edited", "rejected"),
        _ => Ok(()),
    }
}

/// The prompt of the row's own. Where answers are conversations and the prompt is a text, the conversations hold it, and
/// the text is a label: some datasets have both.
fn explicit_prompt(row: &Row, chosen: &Content) -> Result<Option<Content>> {
    if row.optional("prompt")?.is_none() {
        return Ok(None);
    }
    let prompt = content::prompt(row)?;
    if prompt.text().is_some() && chosen.messages().is_some() {
        return Ok(None);
    }
    prompt.must_be_like(chosen, "chosen", row, &FieldPath::field("prompt"))?;
    Ok(Some(prompt))
}

/// Takes the prompt off the beginning of the answers.
fn take_prompt(
    row: &Row,
    chosen: &mut Content,
    rejected: &mut Content,
    edited: &mut Option<Content>,
) -> Result<Content> {
    let mut answers = vec![&mut *chosen, &mut *rejected];
    answers.extend(edited.as_mut());
    let whole: Vec<&Content> = answers.iter().map(|answer| &**answer).collect();
    let Some((prompt, rest)) = shared::split(&whole) else {
        return Err(row.problem(FieldPath::default(), Problem::NoCommonPrompt));
    };
    for (answer, rest) in answers.into_iter().zip(rest) {
        *answer = rest;
    }
    Ok(prompt)
}

fn strength(row: &Row) -> Result<Option<Strength>> {
    let field = || FieldPath::field("strength");
    match row.optional("strength")? {
        None => Ok(None),
        Some(Value::String(name)) => match name.parse() {
            Ok(strength) => Ok(Some(strength)),
            Err(error) => Err(row.problem(field(), Problem::UnknownStrength(error))),
        },
        Some(other) => Err(row.wrong_type(field(), "a text", other)),
    }
}

fn margin(row: &Row) -> Result<Option<f64>> {
    let value = row.optional("margin")?;
    let number = |value: &Value| {
        let wrong = || row.wrong_type(FieldPath::field("margin"), "a number", value);
        value.as_f64().ok_or_else(wrong)
    };
    value.map(number).transpose()
}
