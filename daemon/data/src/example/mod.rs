//! What a row may be: the forms of TRL's datasets, and rankings.

mod content;
mod preference;
mod ranking;
mod shared;

use begat_schemas::api::DataPurpose;

pub use content::{Content, Message, Role};
pub use preference::{Origin, Pair, Preference};
pub use ranking::{RESPONSES_MAX, Ranking};

use crate::{FieldPath, Problem, Result, Row};

/// A row that is what its form says: read once, trusted from then on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Example {
    /// `{text}`: a document.
    Text(String),
    /// `{messages}`: a conversation.
    Messages(Vec<Message>),
    /// `{prompt}`: something to complete.
    Prompt(Content),
    /// `{prompt, completion}`: an answer to learn.
    PromptCompletion {
        /// What is given.
        prompt: Content,
        /// What is learned.
        completion: Content,
    },
    /// `{prompt, chosen, rejected}`, or `{chosen, rejected}` with the prompt in both.
    Preference(Preference),
    /// `{prompt, responses}`: answers from best to worst.
    Ranking(Ranking),
}

impl Example {
    /// A row as the form that its fields show. Further fields are left alone.
    pub fn parse(row: &Row) -> Result<Self> {
        if row.has("chosen") || row.has("rejected") || row.has("responses") {
            Self::comparison(row)
        } else if row.has("completion") {
            Self::prompt_completion(row)
        } else if row.has("prompt") {
            Self::prompt(row)
        } else if row.has("messages") || row.has("text") {
            Self::lesson(row)
        } else {
            const EXPECTED: &str = "`text`, `messages`, `prompt`, `prompt` and `completion`, `chosen` and `rejected`, or `responses`";
            Err(no_form(row, EXPECTED))
        }
    }

    /// A row as what `purpose` needs. Fields that it has no use for are left alone, so that the answers of a preference
    /// do not keep it from being a prompt.
    pub fn read(row: &Row, purpose: DataPurpose) -> Result<Self> {
        match purpose {
            DataPurpose::Pretrain => Self::text(row),
            DataPurpose::Sft | DataPurpose::Evaluate => Self::lesson(row),
            DataPurpose::Reward => Self::comparison(row),
            DataPurpose::Dpo => Preference::read(row).map(Self::Preference),
            DataPurpose::Ppo | DataPurpose::Annotate | DataPurpose::RejectionSampling => {
                Self::prompt(row)
            }
        }
    }

    fn text(row: &Row) -> Result<Self> {
        Ok(Self::Text(row.text("text")?.to_owned()))
    }

    fn prompt(row: &Row) -> Result<Self> {
        Ok(Self::Prompt(content::prompt(row)?))
    }

    fn prompt_completion(row: &Row) -> Result<Self> {
        let prompt = Content::read(row, "prompt")?;
        let completion = Content::read(row, "completion")?;
        let field = FieldPath::field("completion");
        completion.must_be_like(&prompt, "prompt", row, &field)?;
        completion.must_be_answer(row, &field)?;
        Ok(Self::PromptCompletion { prompt, completion })
    }

    /// What supervised training learns from; `sft` reads the fields in this order too.
    fn lesson(row: &Row) -> Result<Self> {
        if row.has("prompt") || row.has("completion") {
            Self::prompt_completion(row)
        } else if row.has("messages") {
            let field = FieldPath::field("messages");
            content::messages(row, row.required("messages")?, &field).map(Self::Messages)
        } else if row.has("text") {
            Self::text(row)
        } else {
            Err(no_form(
                row,
                "`prompt` and `completion`, `messages`, or `text`",
            ))
        }
    }

    fn comparison(row: &Row) -> Result<Self> {
        let answers = ["chosen", "rejected"]
            .into_iter()
            .find(|field| row.has(field));
        match (answers, row.has("responses")) {
            (Some(one), true) => {
                let other = "responses";
                Err(row.problem(FieldPath::default(), Problem::TwoForms { one, other }))
            }
            (Some(_), false) => Preference::read(row).map(Self::Preference),
            (None, true) => Ranking::read(row).map(Self::Ranking),
            (None, false) => Err(no_form(row, "`chosen` and `rejected`, or `responses`")),
        }
    }

    /// Its prompt, if it has one of its own.
    pub fn own_prompt(&self) -> Option<&Content> {
        match self {
            Self::Text(_) | Self::Messages(_) => None,
            Self::Prompt(prompt) | Self::PromptCompletion { prompt, .. } => Some(prompt),
            Self::Preference(preference) => Some(&preference.prompt),
            Self::Ranking(ranking) => Some(&ranking.prompt),
        }
    }

    /// The pairs of answers that it compares; none unless it is a preference or a ranking.
    pub fn pairs(&self) -> Vec<Pair<'_>> {
        match self {
            Self::Preference(preference) => preference.pairs(),
            Self::Ranking(ranking) => ranking.pairs(),
            _ => Vec::new(),
        }
    }

    /// The name of its form: TRL's words, as in `preference_implicit_conversational`.
    pub fn form(&self) -> String {
        let name = match self {
            Self::Text(_) => "text",
            Self::Messages(_) => "messages",
            Self::Prompt(_) => "prompt",
            Self::PromptCompletion { .. } => "prompt_completion",
            Self::Preference(preference) if preference.implicit_prompt => "preference_implicit",
            Self::Preference(_) => "preference",
            Self::Ranking(_) => "ranking",
        };
        match self.own_prompt() {
            Some(Content::Messages(_)) => format!("{name}_conversational"),
            _ => name.to_owned(),
        }
    }
}

fn no_form(row: &Row, expected: &'static str) -> crate::Error {
    let found = row.field_names();
    row.problem(FieldPath::default(), Problem::NoForm { expected, found })
}

#[cfg(test)]
mod tests;
