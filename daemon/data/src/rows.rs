//! Rows of a dataset: its files, told apart by their names and read in their order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use begat_schemas::api::DataPurpose;
use walkdir::WalkDir;

use crate::file::{self, FileKind};
use crate::{Error, Example, Place, Result, Row};

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
    /// The split that a file belongs to.
    pub fn of(path: &Path) -> Self {
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

impl Rows {
    /// The rows of a split of the dataset in `root`, which is the input `input`. There may be none.
    pub fn find(input: &str, root: &Path, split: Split) -> Result<Self> {
        let mut files = files(root)?;
        files.retain(|file| Split::of(file) == split);
        Ok(Self {
            input: input.to_owned(),
            root: root.to_owned(),
            files,
        })
    }

    /// The rows to train on; a dataset without any is an error.
    pub fn to_train(input: &str, root: &Path) -> Result<Self> {
        let rows = Self::find(input, root, Split::Train)?;
        rows.non_empty("*.jsonl or *.parquet files beside validation.* and test.*")
    }

    /// The rows to judge on: those of the test split, else of validation, else all that there are.
    pub fn to_judge(input: &str, root: &Path) -> Result<Self> {
        for split in [Split::Test, Split::Validation] {
            let rows = Self::find(input, root, split)?;
            if rows.has_rows()? {
                return Ok(rows);
            }
        }
        Self::find(input, root, Split::Train)?.non_empty("*.jsonl or *.parquet files")
    }

    fn non_empty(self, expected: &str) -> Result<Self> {
        if self.files.is_empty() {
            return Err(Error::dataset(
                &self.input,
                format!("expected {expected}, found none"),
            ));
        }
        if !self.has_rows()? {
            let files: Vec<String> = self
                .files
                .iter()
                .map(|file| file.display().to_string())
                .collect();
            return Err(Error::dataset(
                &self.input,
                format!("no rows in {}; expected at least one", files.join(", ")),
            ));
        }
        Ok(self)
    }

    /// Whether there is a row.
    pub fn has_rows(&self) -> Result<bool> {
        Ok(self.read().next().transpose()?.is_some())
    }

    /// The input's name.
    pub fn input(&self) -> &str {
        &self.input
    }

    /// Reads them. A row that cannot be used is an error; those behind it can still be read.
    pub fn read(&self) -> impl Iterator<Item = Result<Row>> + Send + use<> {
        let root = self.root.clone();
        let files = self.files.clone().into_iter();
        files.flat_map(move |file| file::read(&root.join(&file), &file))
    }

    /// Reads them as examples for `purpose`.
    pub fn examples(
        &self,
        purpose: DataPurpose,
    ) -> impl Iterator<Item = Result<(Place, Example)>> + Send + use<> {
        self.read().map(move |row| {
            let row = row?;
            let example = Example::read(&row, purpose)?;
            Ok((row.place, example))
        })
    }
}

/// The files of a folder that hold rows, by their paths in it.
pub(crate) fn files(root: &Path) -> Result<Vec<Arc<Path>>> {
    let mut files: Vec<Arc<Path>> = Vec::new();
    for entry in WalkDir::new(root).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| Error::File {
            path: error.path().unwrap_or(root).to_owned(),
            source: error.into(),
        })?;
        if entry.file_type().is_file() && FileKind::of(entry.path()).is_some() {
            let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
            files.push(Arc::from(relative));
        }
    }
    Ok(files)
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
            "dataset `dataset`: expected *.jsonl or *.parquet files beside validation.* and test.*, found none"
        );
    }

    #[test]
    fn examples_keep_the_places_of_their_rows() {
        let rows = "{\"prompt\":\"a\"}\n{\"prompt\":7}\n{\"prompt\":\"b\"}\n";
        let folder = folder(&[("p.jsonl", rows)]);
        let rows = Rows::to_train("prompts", folder.path()).unwrap();
        let shown: Vec<String> = rows
            .examples(DataPurpose::Ppo)
            .map(|example| match example {
                Ok((place, _)) => place.to_string(),
                Err(error) => error.to_string(),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "p.jsonl:1",
                "p.jsonl:2: field `prompt`: expected a text or a list of messages, found a number",
                "p.jsonl:3"
            ]
        );
    }
}
