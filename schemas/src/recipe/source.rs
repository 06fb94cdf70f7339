//! A TOML text as values, each with the line it stands on.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Number, Value};
use toml_edit::{Document, Item, TableLike};

use super::BadRecipe;

/// What is wrong with a recipe or a model file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipeError {
    /// The file, or the option that stands for one.
    pub file: String,
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// The key, as a dotted path; empty if the text is no TOML.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// The name that was probably meant.
    pub nearest: Option<String>,
}

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.problem)?;
        match &self.nearest {
            Some(name) => write!(f, "; did you mean `{name}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RecipeError {}

/// A parsed text: its values, and where each key stands.
pub(super) struct Source {
    file: String,
    pub(super) value: Value,
    places: BTreeMap<String, Place>,
}

#[derive(Clone)]
enum Place {
    Line(usize),
    Option(String),
}

impl Source {
    pub(super) fn read(file: &str, text: &str) -> Result<Self, RecipeError> {
        let document = Document::parse(text.to_owned()).map_err(|error| RecipeError {
            file: file.to_owned(),
            line: error.span().map(|span| line_at(text, span.start)),
            key: String::new(),
            problem: error.message().trim().to_owned(),
            nearest: None,
        })?;
        let mut reader = Reader {
            text,
            places: BTreeMap::new(),
        };
        let value = reader.table(document.as_table(), "");
        let mut source = Self {
            file: file.to_owned(),
            value: Value::Null,
            places: reader.places,
        };
        source.value = value.map_err(|error| source.locate(error))?;
        Ok(source)
    }

    /// Puts `value` at `path` (dotted), making tables on the way; errors there name `option`.
    pub(super) fn set(
        &mut self,
        path: &str,
        value: Value,
        option: &str,
    ) -> Result<(), RecipeError> {
        let refuse = |problem: &str| RecipeError {
            file: option.to_owned(),
            line: None,
            key: path.to_owned(),
            problem: problem.to_owned(),
            nearest: None,
        };
        let mut at = &mut self.value;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            if part.is_empty() {
                return Err(refuse(
                    "expected a key path such as `stages.sft.learning_rate`",
                ));
            }
            let table = at
                .as_object_mut()
                .ok_or_else(|| refuse("the key above it is no table"))?;
            if parts.peek().is_none() {
                table.insert(part.to_owned(), value);
                self.places
                    .insert(path.to_owned(), Place::Option(option.to_owned()));
                return Ok(());
            }
            at = table
                .entry(part)
                .or_insert_with(|| Value::Object(Map::new()));
        }
        Err(refuse(
            "expected a key path such as `stages.sft.learning_rate`",
        ))
    }

    /// Adds file and line to an error: those of its key, or of the nearest key above.
    pub(super) fn locate(&self, error: BadRecipe) -> RecipeError {
        let mut key = error.key.as_str();
        let place = loop {
            if let Some(place) = self.places.get(key) {
                break Some(place.clone());
            }
            match key.rsplit_once(['.', '[']) {
                Some((above, _)) => key = above,
                None => break None,
            }
        };
        let (file, line) = match place {
            Some(Place::Line(line)) => (self.file.clone(), Some(line)),
            Some(Place::Option(option)) => (option, None),
            None => (self.file.clone(), None),
        };
        RecipeError {
            file,
            line,
            key: error.key,
            problem: error.problem,
            nearest: error.nearest,
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    places: BTreeMap<String, Place>,
}

impl Reader<'_> {
    fn table(&mut self, table: &dyn TableLike, path: &str) -> Result<Value, BadRecipe> {
        let mut values = Map::new();
        for (name, item) in table.iter() {
            let key = if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}.{name}")
            };
            let span = table
                .key(name)
                .and_then(|key| key.span())
                .or_else(|| item.span());
            if let Some(span) = span {
                self.places
                    .insert(key.clone(), Place::Line(line_at(self.text, span.start)));
            }
            values.insert(name.to_owned(), self.item(item, &key)?);
        }
        Ok(Value::Object(values))
    }

    fn item(&mut self, item: &Item, key: &str) -> Result<Value, BadRecipe> {
        match item {
            Item::None => Ok(Value::Null),
            Item::Value(value) => self.value(value, key),
            Item::Table(table) => self.table(table, key),
            Item::ArrayOfTables(tables) => tables
                .iter()
                .enumerate()
                .map(|(at, table)| self.table(table, &format!("{key}[{at}]")))
                .collect(),
        }
    }

    fn value(&mut self, value: &toml_edit::Value, key: &str) -> Result<Value, BadRecipe> {
        use toml_edit::Value as Toml;
        Ok(match value {
            Toml::String(text) => Value::String(text.value().clone()),
            Toml::Integer(number) => Value::from(*number.value()),
            Toml::Float(number) => Number::from_f64(*number.value())
                .map(Value::Number)
                .ok_or_else(|| BadRecipe::new(key, "expected a finite number"))?,
            Toml::Boolean(flag) => Value::Bool(*flag.value()),
            Toml::Datetime(_) => return Err(BadRecipe::new(key, "expected no date or time here")),
            Toml::Array(items) => items
                .iter()
                .enumerate()
                .map(|(at, item)| self.value(item, &format!("{key}[{at}]")))
                .collect::<Result<_, _>>()?,
            Toml::InlineTable(table) => self.table(table, key)?,
        })
    }
}

fn line_at(text: &str, byte: usize) -> usize {
    text.bytes()
        .take(byte)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

/// The value of a `--set`: TOML if it is some, else a text.
pub(super) fn override_value(text: &str) -> Value {
    Source::read("", &format!("value = {text}"))
        .ok()
        .and_then(|source| source.value.get("value").cloned())
        .unwrap_or_else(|| Value::String(text.to_owned()))
}
