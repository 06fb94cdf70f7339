//! Prompts and answers: texts, or messages of a conversation.

use std::fmt;

use begat_schemas::nearest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{FieldPath, Problem, Result, Row};

/// A prompt or an answer, in one of TRL's two ways.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// A text (TRL: standard).
    Text(String),
    /// Messages, at least one (TRL: conversational).
    Messages(Vec<Message>),
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Whose it is.
    pub role: Role,
    /// What it says.
    pub content: String,
    /// What else a chat template may want of it, such as `name`.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Whose a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Whoever sets the conversation up.
    System,
    /// The same in some models' words.
    Developer,
    /// Who asks.
    User,
    /// Who answers: the model.
    Assistant,
    /// A program that the assistant called.
    Tool,
}

const ROLES: &str = "system, developer, user, assistant or tool";

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::System,
        Self::Developer,
        Self::User,
        Self::Assistant,
        Self::Tool,
    ];

    /// Its name in datasets and chat templates.
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }

    fn parse(name: &str) -> std::result::Result<Self, Problem> {
        let known = Self::ALL.into_iter().find(|role| role.name() == name);
        known.ok_or_else(|| Problem::UnknownRole {
            found: name.to_owned(),
            expected: ROLES,
            nearest: nearest(name, Self::ALL.into_iter().map(Self::name)),
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Content {
    /// A field that must be there.
    pub(super) fn read(row: &Row, field: &str) -> Result<Self> {
        Self::of(row, row.required(field)?, &FieldPath::field(field))
    }

    /// A field that may be absent.
    pub(super) fn read_optional(row: &Row, field: &str) -> Result<Option<Self>> {
        let value = row.optional(field)?;
        value
            .map(|value| Self::of(row, value, &FieldPath::field(field)))
            .transpose()
    }

    /// A value of the row that `field` leads to.
    pub(super) fn of(row: &Row, value: &Value, field: &FieldPath) -> Result<Self> {
        match value {
            Value::String(text) => Ok(Self::Text(text.clone())),
            Value::Array(_) => messages(row, value, field).map(Self::Messages),
            _ => Err(row.wrong_type(field.clone(), "a text or a list of messages", value)),
        }
    }

    /// Whether no word is in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Messages(messages) => messages.iter().all(|one| one.content.is_empty()),
        }
    }

    /// Its text, unless it is a conversation.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Messages(_) => None,
        }
    }

    /// Its messages, if it is a conversation.
    pub fn messages(&self) -> Option<&[Message]> {
        match self {
            Self::Text(_) => None,
            Self::Messages(messages) => Some(messages),
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.text().is_some() == other.text().is_some()
    }

    /// Refuses a text beside messages, and the other way round.
    pub(super) fn must_be_like(
        &self,
        other: &Self,
        other_field: &str,
        row: &Row,
        field: &FieldPath,
    ) -> Result<()> {
        if self.is_like(other) {
            return Ok(());
        }
        let what = |content: &Self| match content {
            Self::Text(_) => "a text",
            Self::Messages(_) => "a list of messages",
        };
        let problem = Problem::WrongType {
            expected: format!("{} as in `{other_field}`", what(other)),
            found: what(self),
        };
        Err(row.problem(field.clone(), problem))
    }

    /// Refuses an empty answer, and a conversation that ends with someone else's message.
    pub(super) fn must_be_answer(&self, row: &Row, field: &FieldPath) -> Result<()> {
        if self.is_empty() {
            return Err(row.problem(field.clone(), Problem::EmptyCompletion));
        }
        let Self::Messages(messages) = self else {
            return Ok(());
        };
        let Some(last) = messages.last() else {
            return Err(row.problem(field.clone(), Problem::NoMessages));
        };
        if last.role != Role::Assistant {
            let role = last.role.name();
            return Err(row.problem(field.clone(), Problem::NotAnAnswer { role }));
        }
        if last.content.is_empty() {
            return Err(row.problem(field.clone(), Problem::EmptyCompletion));
        }
        Ok(())
    }
}

/// The row's prompt, which says something.
pub(super) fn prompt(row: &Row) -> Result<Content> {
    let prompt = Content::read(row, "prompt")?;
    if prompt.is_empty() {
        return Err(row.problem(FieldPath::field("prompt"), Problem::EmptyPrompt));
    }
    Ok(prompt)
}

/// The messages of a conversation, at least one.
pub(super) fn messages(row: &Row, value: &Value, field: &FieldPath) -> Result<Vec<Message>> {
    let Some(list) = value.as_array() else {
        return Err(row.wrong_type(field.clone(), "a list of messages", value));
    };
    if list.is_empty() {
        return Err(row.problem(field.clone(), Problem::NoMessages));
    }
    let list = list.iter().enumerate();
    list.map(|(index, value)| message(row, value, &field.index(index)))
        .collect()
}

fn message(row: &Row, value: &Value, field: &FieldPath) -> Result<Message> {
    let Some(fields) = value.as_object() else {
        return Err(row.wrong_type(field.clone(), "a message with `role` and `content`", value));
    };
    let text = |name: &str| match fields.get(name) {
        Some(Value::String(text)) => Ok(text.as_str()),
        other => {
            let found = other.unwrap_or(&Value::Null);
            Err(row.wrong_type(field.key(name), "a text", found))
        }
    };
    let role =
        Role::parse(text("role")?).map_err(|problem| row.problem(field.key("role"), problem))?;
    let content = text("content")?.to_owned();
    // Parquet gives every message the fields of all of them, as null where there is none.
    let more = fields
        .iter()
        .filter(|(name, value)| !matches!(name.as_str(), "role" | "content") && !value.is_null());
    let more = more
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Ok(Message {
        role,
        content,
        more,
    })
}
