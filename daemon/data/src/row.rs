//! One row: its place, and its fields as JSON, whichever file it came from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::file::FileKind;
use crate::{Error, FieldPath, Problem, Result, RowError};

/// Where a row stands: a line of JSON Lines, a row of Parquet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file, relative to the dataset.
    pub file: Arc<Path>,
    /// Its line or row, from 1.
    pub number: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match FileKind::of(&self.file) {
            Some(FileKind::Parquet) => write!(f, "{file}: row {}", self.number),
            _ => write!(f, "{file}:{}", self.number),
        }
    }
}

/// One row.
#[derive(Debug, Clone)]
pub struct Row {
    /// Where it stands.
    pub place: Place,
    pub(crate) fields: Map<String, Value>,
    /// Fields that no JSON can hold, and what they are.
    pub(crate) odd: Vec<(String, &'static str)>,
    /// Where its line begins in its file.
    pub(crate) line_start: Option<u64>,
}

impl Row {
    /// Whether it has the field, and not as null.
    pub fn has(&self, field: &str) -> bool {
        self.get(field).is_some() || self.odd(field).is_some()
    }

    /// A field that is not null.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// A text field.
    pub fn text(&self, field: &str) -> Result<&str> {
        let value = self.required(field)?;
        let text = value.as_str();
        text.ok_or_else(|| self.wrong_type(FieldPath::field(field), "a text", value))
    }

    /// A field that may be absent, but may not hold what JSON cannot.
    pub(crate) fn optional(&self, field: &str) -> Result<Option<&Value>> {
        match self.odd(field) {
            None => Ok(self.get(field)),
            Some(found) => {
                let expected = "a text, a number or a list".to_owned();
                Err(self.problem(
                    FieldPath::field(field),
                    Problem::WrongType { expected, found },
                ))
            }
        }
    }

    /// A field that must be there.
    pub(crate) fn required(&self, field: &str) -> Result<&Value> {
        self.optional(field)?.ok_or_else(|| {
            let problem = Problem::NoField {
                field: field.to_owned(),
                found: self.field_names(),
            };
            self.problem(FieldPath::default(), problem)
        })
    }

    fn odd(&self, field: &str) -> Option<&'static str> {
        let mut odd = self.odd.iter();
        odd.find(|(name, _)| name == field).map(|(_, what)| *what)
    }

    /// The names of its fields, for an error.
    pub fn field_names(&self) -> String {
        let names = self
            .fields
            .keys()
            .chain(self.odd.iter().map(|(name, _)| name));
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    }

    /// An error at this row.
    pub fn error(&self, problem: impl Into<String>) -> Error {
        self.problem(FieldPath::default(), Problem::Other(problem.into()))
    }

    /// A problem of a field of this row.
    pub fn problem(&self, field: FieldPath, problem: Problem) -> Error {
        let error = RowError {
            place: self.place.clone(),
            field,
            problem,
            column: None,
            line_start: self.line_start,
        };
        error.into()
    }

    pub(crate) fn wrong_type(&self, field: FieldPath, expected: &str, found: &Value) -> Error {
        let problem = Problem::WrongType {
            expected: expected.to_owned(),
            found: kind(found),
        };
        self.problem(field, problem)
    }
}

/// What a JSON value is, in words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
