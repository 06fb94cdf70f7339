//! What can be wrong with a row: one sentence and one word for each.

use begat_schemas::UnknownStrength;

use crate::{LINE_BYTES_MAX, RESPONSES_MAX};

/// What can be wrong with a row or with one of its fields.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A line that is not JSON.
    #[error("not JSON: {cause}")]
    NotJson {
        /// What the parser said.
        cause: String,
    },
    /// A file of another encoding, or one that says that it is of this one.
    #[error("begins with a byte order mark; expected UTF-8 without one")]
    ByteOrderMark,
    /// A line that is too long to be a row.
    #[error("longer than {} MiB", LINE_BYTES_MAX >> 20)]
    LineTooLong,
    /// JSON, but no row.
    #[error("expected a JSON object, found {found}")]
    NotAnObject {
        /// What it is instead.
        found: &'static str,
    },
    /// A field that is not there.
    #[error("no field `{field}`; it has {found}")]
    NoField {
        /// The field.
        field: String,
        /// The fields that are there.
        found: String,
    },
    /// None of the fields that make a row useful.
    #[error("expected {expected}; it has {found}")]
    NoForm {
        /// The fields that one would do with.
        expected: &'static str,
        /// The fields that are there.
        found: String,
    },
    /// Fields that exclude each other.
    #[error("both `{one}` and `{other}`; expected one of them")]
    TwoForms {
        /// One of them.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// A value of another type.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What was expected.
        expected: String,
        /// What it is instead.
        found: &'static str,
    },
    /// A prompt without text.
    #[error("empty; expected a prompt")]
    EmptyPrompt,
    /// A completion without text.
    #[error("empty; expected an answer")]
    EmptyCompletion,
    /// A list of messages without any.
    #[error("expected at least one message, found none")]
    NoMessages,
    /// A completion that is not the assistant's.
    #[error("the last message has role `{role}`; expected `assistant`")]
    NotAnAnswer {
        /// Whose it is instead.
        role: &'static str,
    },
    /// A role that no chat template has.
    #[error("unknown role {found:?}; expected {expected}{}", hint(nearest))]
    UnknownRole {
        /// The role.
        found: String,
        /// The known ones.
        expected: &'static str,
        /// The one that it probably means.
        nearest: Option<String>,
    },
    /// Two answers that are one.
    #[error("equal to `{other}`; expected another answer")]
    EqualAnswers {
        /// The field that has the same answer.
        other: &'static str,
    },
    /// Answers that do not begin with one prompt.
    #[error("no common beginning of the answers, and no `prompt`; expected one of them")]
    NoCommonPrompt,
    /// A strength that is none.
    #[error("{0}")]
    UnknownStrength(UnknownStrength),
    /// A ranking of fewer than two, which says nothing.
    #[error("{found}; expected at least 2, the best first", found = responses(*found))]
    OneResponse {
        /// How many there are.
        found: usize,
    },
    /// A ranking of more than anyone ranks, whose pairs would be too many.
    #[error("{found} responses; expected at most {RESPONSES_MAX}")]
    TooManyResponses {
        /// How many there are.
        found: usize,
    },
    /// Two responses of one rank.
    #[error("a tie with `{other}`; expected responses that differ, the best first")]
    Tie {
        /// The response or score that is the same.
        other: String,
    },
    /// A score that is above an earlier one.
    #[error("above `{other}`; expected scores from best to worst")]
    WrongOrder {
        /// The lower score that stands before.
        other: String,
    },
    /// More or fewer scores than responses.
    #[error("{found} scores of {expected} responses; expected one of each")]
    ScoreCount {
        /// Number of scores.
        found: usize,
        /// Number of responses.
        expected: usize,
    },
    /// Something that a reader of rows found.
    #[error("{0}")]
    Other(String),
}

fn hint(nearest: &Option<String>) -> String {
    let nearest = nearest.as_ref();
    nearest.map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

fn responses(count: usize) -> String {
    format!("{count} response{}", if count == 1 { "" } else { "s" })
}

impl Problem {
    /// The kind of problem, in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotJson { .. } => "not-json",
            Self::ByteOrderMark => "byte-order-mark",
            Self::LineTooLong => "line-too-long",
            Self::NotAnObject { .. } => "not-an-object",
            Self::NoField { .. } | Self::NoForm { .. } => "missing-field",
            Self::TwoForms { .. } => "two-forms",
            Self::WrongType { .. } => "wrong-type",
            Self::EmptyPrompt => "empty-prompt",
            Self::EmptyCompletion => "empty-completion",
            Self::NoMessages => "no-messages",
            Self::NotAnAnswer { .. } => "not-an-answer",
            Self::UnknownRole { .. } => "unknown-role",
            Self::EqualAnswers { .. } => "equal-answers",
            Self::NoCommonPrompt => "no-common-prompt",
            Self::UnknownStrength(_) => "unknown-strength",
            Self::OneResponse { .. } => "one-response",
            Self::TooManyResponses { .. } => "too-many-responses",
            Self::Tie { .. } => "tie",
            Self::WrongOrder { .. } => "wrong-order",
            Self::ScoreCount { .. } => "score-count",
            Self::Other(_) => "other",
        }
    }
}
