//! Rows of a dataset, as begat-data reads them, with the errors of stages.

use std::path::Path;
use std::sync::Arc;

use begat_schemas::api::DataPurpose;
use serde_json::Value;

use crate::contract::{StageError, StageResult};

pub use begat_data::Split;
pub(crate) use begat_data::kind;

/// The files of a split, in the order of their names.
#[derive(Debug, Clone)]
pub struct Rows(begat_data::Rows);

/// One line of JSON Lines, or one row of Parquet.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its file, relative to the dataset, and its line or row, from 1.
    pub place: (Arc<Path>, u64),
    row: begat_data::Row,
}

impl Rows {
    /// The rows of a split of the dataset in `root`, which is the input `input`. There may be none.
    pub fn find(input: &str, root: &Path, split: Split) -> StageResult<Self> {
        Ok(Self(begat_data::Rows::find(input, root, split)?))
    }

    /// The rows to train on; a dataset without any is an error.
    pub fn to_train(input: &str, root: &Path) -> StageResult<Self> {
        Ok(Self(begat_data::Rows::to_train(input, root)?))
    }

    /// The rows to judge on: those of the test split, else of validation, else all that there are.
    pub fn to_judge(input: &str, root: &Path) -> StageResult<Self> {
        Ok(Self(begat_data::Rows::to_judge(input, root)?))
    }

    /// Whether there is a row.
    pub fn has_rows(&self) -> StageResult<bool> {
        Ok(self.0.has_rows()?)
    }

    /// The input's name.
    pub fn input(&self) -> &str {
        self.0.input()
    }

    /// Reads them.
    pub fn read(&self) -> impl Iterator<Item = StageResult<Row>> + Send + use<> {
        self.0.read().map(|row| {
            let row = row?;
            let place = (Arc::clone(&row.place.file), row.place.number);
            Ok(Row { place, row })
        })
    }
}

impl Row {
    /// Whether it has the field, and not as null.
    pub fn has(&self, field: &str) -> bool {
        self.row.has(field)
    }

    /// A field that is not null.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.row.get(field)
    }

    /// A text field.
    pub fn text(&self, field: &str) -> StageResult<&str> {
        self.row.text(field).map_err(|error| self.placed(error))
    }

    /// Refuses a row that supervised training has no use for, as `begat data check --for sft` does.
    pub(crate) fn must_be_a_lesson(&self) -> StageResult<()> {
        let example = begat_data::Example::read(&self.row, DataPurpose::Sft);
        example.map(|_| ()).map_err(|error| self.placed(error))
    }

    fn placed(&self, error: begat_data::Error) -> StageError {
        match error {
            begat_data::Error::Row(error) => self.error(error.sentence()),
            other => other.into(),
        }
    }

    pub(crate) fn field_names(&self) -> String {
        self.row.field_names()
    }

    /// An error at this row, whose place a reader of several datasets may have changed.
    pub fn error(&self, problem: impl Into<String>) -> StageError {
        let (file, number) = self.place.clone();
        StageError::Row {
            place: begat_data::Place { file, number }.to_string(),
            problem: problem.into(),
        }
    }
}
