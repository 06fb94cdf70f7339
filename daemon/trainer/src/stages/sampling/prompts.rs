//! The rows of a dataset that are completed.

use begat_schemas::BadValue;
use serde_json::Value;

use crate::contract::StageResult;
use crate::data::{Rows, SampleReader};

/// A row as something to complete.
#[derive(Debug, Clone)]
pub(crate) struct Prompt {
    /// Its number in the dataset, from 0.
    pub row: u64,
    /// Its file and line.
    pub place: String,
    /// The prompt as the row has it: a text or messages.
    pub given: Value,
    /// The prompt, for people.
    pub text: String,
    /// What the model is given.
    pub tokens: Vec<u32>,
    /// The completion in the dataset.
    pub reference: Option<String>,
}

/// Which rows, and what is expected of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prompts<'a> {
    /// The first row, counted from 0.
    pub first: u32,
    /// How many from there on; none means all.
    pub count: Option<u32>,
    /// What each row's `completion` is compared with; rows without one are refused if there is something.
    pub compared_by: Option<&'a str>,
}

impl Prompts<'_> {
    /// Reads them. Rows before the first are looked at too: a damaged one is an error wherever it is.
    pub(crate) fn read(self, rows: &Rows, reader: SampleReader<'_>) -> StageResult<Vec<Prompt>> {
        let mut prompts = Vec::new();
        let mut seen = 0;
        let last = self
            .count
            .map(|count| u64::from(self.first) + u64::from(count));
        for (number, row) in (0..).zip(rows.read()) {
            if last.is_some_and(|last| number >= last) {
                break;
            }
            let row = row?;
            seen = number + 1;
            if number >= u64::from(self.first) {
                prompts.push(self.prompt(number, &row, reader)?);
            }
        }
        if prompts.is_empty() && self.count != Some(0) {
            let expected = format!("less than the {seen} rows of `{}`", rows.input());
            return Err(BadValue::new("first_prompt", expected, self.first).into());
        }
        Ok(prompts)
    }

    fn prompt(
        self,
        number: u64,
        row: &crate::data::Row,
        reader: SampleReader<'_>,
    ) -> StageResult<Prompt> {
        let prompted = reader.prompted(row)?.ok_or_else(|| {
            row.error(format!(
                "no field `prompt` to complete; it has {}",
                row.field_names()
            ))
        })?;
        if let Some(by) = self.compared_by
            && prompted.reference.is_none()
        {
            let problem = format!("no field `completion`, which {by} compares with");
            return Err(row.error(problem));
        }
        Ok(Prompt {
            row: number,
            place: place(row),
            given: row.get("prompt").cloned().unwrap_or_default(),
            text: prompted.prompt,
            tokens: prompted.tokens,
            reference: prompted.reference,
        })
    }
}

fn place(row: &crate::data::Row) -> String {
    format!("{}:{}", row.place.0.display(), row.place.1)
}
