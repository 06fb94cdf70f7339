//! Rows of a dataset: JSON Lines files, read one line at a time, whose errors name file and line.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use walkdir::WalkDir;

use crate::contract::{At, StageError, StageResult};

/// Which files of a dataset are meant, by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// All but the held-out ones.
    Train,
    /// Those whose name begins with `validation`.
    Validation,
    /// Those whose name begins with `test`.
    Test,
}

impl Split {
    fn of(path: &Path) -> Self {
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        if name.starts_with("validation") {
            Self::Validation
        } else if name.starts_with("test") {
            Self::Test
        } else {
            Self::Train
        }
    }
}

/// The files of a split, in the order of their names.
#[derive(Debug, Clone)]
pub struct Rows {
    input: String,
    root: PathBuf,
    files: Vec<Arc<Path>>,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its file, relative to the dataset, and its line, from 1.
    pub place: (Arc<Path>, u64),
    fields: Map<String, Value>,
}

impl Rows {
    /// The rows of a split of the dataset in `root`, which is the input `input`. There may be none.
    pub fn find(input: &str, root: &Path, split: Split) -> StageResult<Self> {
        let mut files: Vec<Arc<Path>> = Vec::new();
        for entry in WalkDir::new(root).follow_links(true).sort_by_file_name() {
            let entry = entry.map_err(|error| StageError::File {
                path: root.to_owned(),
                source: error.into(),
            })?;
            if entry.file_type().is_file()
                && is_json_lines(entry.path())
                && Split::of(entry.path()) == split
            {
                let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
                files.push(Arc::from(relative));
            }
        }
        Ok(Self {
            input: input.to_owned(),
            root: root.to_owned(),
            files,
        })
    }

    /// The rows to train on; a dataset without any is an error.
    pub fn to_train(input: &str, root: &Path) -> StageResult<Self> {
        let rows = Self::find(input, root, Split::Train)?;
        rows.non_empty("*.jsonl files beside validation.jsonl and test.jsonl")
    }

    /// The rows to judge on: those of the test split, else of validation, else all that there are.
    pub fn to_judge(input: &str, root: &Path) -> StageResult<Self> {
        for split in [Split::Test, Split::Validation] {
            let rows = Self::find(input, root, split)?;
            if rows.has_rows()? {
                return Ok(rows);
            }
        }
        Self::find(input, root, Split::Train)?.non_empty("*.jsonl files")
    }

    fn non_empty(self, expected: &str) -> StageResult<Self> {
        if self.files.is_empty() {
            return Err(StageError::dataset(
                &self.input,
                format!("expected {expected}, found none"),
            ));
        }
        if !self.has_rows()? {
            let files: Vec<_> = self.files.iter().map(|file| file.display()).collect();
            let files = files.iter().map(ToString::to_string).collect::<Vec<_>>();
            return Err(StageError::dataset(
                &self.input,
                format!("no rows in {}; expected at least one", files.join(", ")),
            ));
        }
        Ok(self)
    }

    /// Whether there is a row.
    pub fn has_rows(&self) -> StageResult<bool> {
        Ok(self.read().next().transpose()?.is_some())
    }

    /// The input's name.
    pub fn input(&self) -> &str {
        &self.input
    }

    /// Reads them.
    pub fn read(&self) -> impl Iterator<Item = StageResult<Row>> + Send + use<> {
        let root = self.root.clone();
        self.files.clone().into_iter().flat_map(move |file| {
            let lines: Box<dyn Iterator<Item = StageResult<Row>> + Send> =
                match Lines::open(&root, &file) {
                    Ok(lines) => Box::new(lines),
                    Err(error) => Box::new(std::iter::once(Err(error))),
                };
            lines
        })
    }
}

fn is_json_lines(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "jsonl" || extension == "ndjson")
}

struct Lines {
    reader: BufReader<File>,
    path: PathBuf,
    name: Arc<Path>,
    line: u64,
    failed: bool,
}

impl Lines {
    fn open(root: &Path, name: &Arc<Path>) -> StageResult<Self> {
        let path = root.join(name);
        let file = File::open(&path).at(&path)?;
        Ok(Self {
            reader: BufReader::with_capacity(1 << 18, file),
            path,
            name: Arc::clone(name),
            line: 0,
            failed: false,
        })
    }

    /// The next line that is not blank.
    fn next_row(&mut self) -> StageResult<Option<Row>> {
        let mut text = Vec::new();
        loop {
            text.clear();
            if self.reader.read_until(b'\n', &mut text).at(&self.path)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if !text.iter().all(u8::is_ascii_whitespace) {
                return self.parse(text.trim_ascii_end()).map(Some);
            }
        }
    }

    fn parse(&self, text: &[u8]) -> StageResult<Row> {
        let place = (Arc::clone(&self.name), self.line);
        match serde_json::from_slice(text) {
            Ok(Value::Object(fields)) => Ok(Row { place, fields }),
            Ok(other) => Err(at_place(
                &place,
                format!("expected a JSON object, found {}", kind(&other)),
            )),
            Err(error) => Err(at_place(
                &place,
                format!("not JSON: {} at column {}", cause(&error), error.column()),
            )),
        }
    }
}

impl Iterator for Lines {
    type Item = StageResult<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let row = self.next_row().transpose();
        self.failed = matches!(row, Some(Err(_)));
        row
    }
}

/// serde's message without its own idea of the line.
fn cause(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

fn at_place(place: &(Arc<Path>, u64), problem: String) -> StageError {
    StageError::Row {
        place: format!("{}:{}", place.0.display(), place.1),
        problem,
    }
}

impl Row {
    /// Whether it has the field, and not as null.
    pub fn has(&self, field: &str) -> bool {
        self.get(field).is_some()
    }

    /// A field that is not null.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// A text field.
    pub fn text(&self, field: &str) -> StageResult<&str> {
        match self.get(field) {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.error(format!(
                "field `{field}`: expected a text, found {}",
                kind(other)
            ))),
            None => Err(self.error(format!("no field `{field}`; it has {}", self.field_names()))),
        }
    }

    pub(crate) fn field_names(&self) -> String {
        let names: Vec<String> = self.fields.keys().map(|key| format!("`{key}`")).collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    }

    /// An error at this row.
    pub fn error(&self, problem: impl Into<String>) -> StageError {
        at_place(&self.place, problem.into())
    }
}

pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn texts(rows: &Rows) -> Vec<String> {
        rows.read()
            .map(|row| row.unwrap().text("text").unwrap().to_owned())
            .collect()
    }

    fn failure(text: &str) -> String {
        let folder = folder(&[("train.jsonl", text)]);
        let rows = Rows::to_train("corpus", folder.path());
        let read = rows.and_then(|rows| {
            rows.read()
                .try_for_each(|row| row?.text("text").map(|_| ()))
        });
        read.unwrap_err().to_string()
    }

    #[test]
    fn files_are_told_apart_by_their_names_and_read_in_their_order() {
        let folder = folder(&[
            ("b.jsonl", "{\"text\":\"3\"}\n"),
            ("a.jsonl", "{\"text\":\"1\"}\n\n{\"text\":\"2\"}"),
            ("validation.jsonl", "{\"text\":\"v\"}"),
            ("test.jsonl", "{\"text\":\"t\"}"),
            ("README.md", "no rows"),
        ]);
        let of = |split| texts(&Rows::find("d", folder.path(), split).unwrap());
        assert_eq!(of(Split::Train), ["1", "2", "3"]);
        assert_eq!(of(Split::Validation), ["v"]);
        let judged = Rows::to_judge("d", folder.path()).unwrap();
        assert_eq!(texts(&judged), ["t"]);
    }

    #[test]
    fn a_bad_line_is_named_with_its_file() {
        let good = "{\"text\":\"a\"}\n";
        for (text, expected) in [
            (
                format!("{good}\n{{\"text\": tru}}\n"),
                "train.jsonl:3: not JSON: expected ident at column 13",
            ),
            (
                format!("{good}[1]\n"),
                "train.jsonl:2: expected a JSON object, found a list",
            ),
            (
                format!("{good}{{\"prompt\":\"x\"}}\n"),
                "train.jsonl:2: no field `text`; it has `prompt`",
            ),
            (
                "{\"text\":7}".to_owned(),
                "train.jsonl:1: field `text`: expected a text, found a number",
            ),
            (
                "\n \n".to_owned(),
                "dataset `corpus`: no rows in train.jsonl; expected at least one",
            ),
        ] {
            assert_eq!(failure(&text), expected);
        }
    }

    #[test]
    fn a_dataset_without_files_says_what_was_expected() {
        let folder = folder(&[("validation.jsonl", "{}")]);
        let message = Rows::to_train("dataset", folder.path())
            .unwrap_err()
            .to_string();
        assert_eq!(
            message,
            "dataset `dataset`: expected *.jsonl files beside validation.jsonl and test.jsonl, found none"
        );
    }
}
