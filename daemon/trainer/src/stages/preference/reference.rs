//! The reference's log-probabilities of all answers of a dataset, computed once.
//!
//! They are JSON lines, one a row of the dataset: decimal numbers for people, and their bits, since not every reader of
//! JSON gives back the same double. A file beside them says of which tokens they are.

use std::fs;
use std::ops::Range;
use std::path::Path;

use begat_schemas::{Digest, Dtype};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::contract::{At, StageError, StageResult, write_durably};
use crate::data::{ComparisonFile, Limits, Shifted};
use crate::loss::dpo::reference_sums;
use crate::model::{Model, Pack};
use crate::stages::batches::in_batches;

const METADATA: &str = "metadata.json";
const ROWS: &str = "logps.jsonl";
const FORMAT: &str = "begat-reference-logps-1";

/// What log-probabilities belong to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    format: String,
    max_length: u64,
    truncate_prompt: bool,
    mask_format_tokens: bool,
    dtype: Dtype,
    /// Rows that fit, and the answers in them.
    rows: u64,
    sequences: u64,
    /// The digest of all tokens.
    tokens: Digest,
    /// The digest of the reference's parameters.
    model: Digest,
}

impl Wanted {
    /// What is needed to learn from `file`.
    pub(crate) fn new(
        file: &ComparisonFile,
        limits: Limits,
        mask_format_tokens: bool,
        dtype: Dtype,
        model: Digest,
    ) -> Self {
        Self {
            format: FORMAT.to_owned(),
            max_length: limits.max_length as u64,
            truncate_prompt: limits.truncate_prompt,
            mask_format_tokens,
            dtype,
            rows: file.len() as u64,
            sequences: file.sequence_count() as u64,
            tokens: file.digest(),
            model,
        }
    }

    /// The first thing in which `found` is other than this, in words.
    fn difference(&self, found: &Self) -> Option<String> {
        let short = |digest: &Digest| json!(digest.short());
        let facts = |one: &Self| {
            [
                ("format", json!(one.format)),
                ("max_length", json!(one.max_length)),
                ("truncate_prompt", json!(one.truncate_prompt)),
                ("mask_format_tokens", json!(one.mask_format_tokens)),
                ("dtype", json!(one.dtype)),
                ("the number of rows", json!(one.rows)),
                ("the number of answers", json!(one.sequences)),
                ("the digest of the dataset's tokens", short(&one.tokens)),
                (
                    "the digest of the reference's parameters",
                    short(&one.model),
                ),
            ]
        };
        let both = facts(self).into_iter().zip(facts(found));
        let mut other = both.filter(|(expected, found)| expected.1 != found.1);
        other.next().map(|((name, expected), (_, found))| {
            format!("{name} is {found}, but this stage needs {expected}")
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    place: String,
    logps: Vec<f64>,
    bits: Vec<String>,
}

/// The sum of log-probabilities of each answer of each row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReferenceLogps(Vec<Vec<f64>>);

impl ReferenceLogps {
    /// The sum of an answer.
    pub(crate) fn of(&self, row: usize, answer: usize) -> f64 {
        self.0[row][answer]
    }

    /// Computes those of some rows.
    pub(crate) fn of_rows(
        model: &Model,
        file: &ComparisonFile,
        rows: Range<usize>,
        mask_format_tokens: bool,
        (batch, threads): (usize, usize),
    ) -> StageResult<Self> {
        let places: Vec<(usize, usize)> = rows
            .clone()
            .flat_map(|row| (0..file.answer_count(row)).map(move |answer| (row, answer)))
            .collect();
        let sums = in_batches(model, places.len(), batch, threads, |model, range| {
            let shifted: Vec<Shifted> = places[range]
                .iter()
                .map(|&(row, answer)| file.shifted(row, answer))
                .collect();
            let inputs: Vec<&[u32]> = shifted.iter().map(|one| &one.inputs[..]).collect();
            let targets = shifted.iter().flat_map(|one| one.targets.iter().copied());
            let targets: Vec<i64> = targets.collect();
            let counted = shifted
                .iter()
                .flat_map(|one| one.counted(mask_format_tokens));
            let counted: Vec<bool> = counted.collect();
            let pack = Pack::new(&inputs, model.device())?;
            reference_sums(model, &pack, &targets, &counted)
        })?;
        let mut sums = sums.into_iter();
        let of_row = |row| sums.by_ref().take(file.answer_count(row)).collect();
        Ok(Self(rows.map(of_row).collect()))
    }

    /// Adds those of the following rows.
    pub(crate) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// None yet.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// The first value that is no number, by row.
    pub(crate) fn broken(&self) -> Option<usize> {
        let mut rows = self.0.iter();
        rows.position(|sums| sums.iter().any(|sum| !sum.is_finite()))
    }

    /// Writes both files into the folder.
    pub(crate) fn save(
        &self,
        folder: &Path,
        file: &ComparisonFile,
        wanted: &Wanted,
    ) -> StageResult<()> {
        let mut lines = Vec::new();
        for (row, sums) in self.0.iter().enumerate() {
            let line = Line {
                place: file.place(row),
                logps: sums.clone(),
                bits: sums
                    .iter()
                    .map(|sum| format!("{:016x}", sum.to_bits()))
                    .collect(),
            };
            serde_json::to_writer(&mut lines, &line)
                .map_err(|error| StageError::work(folder, error.to_string()))?;
            lines.push(b'\n');
        }
        write_durably(&folder.join(ROWS), &lines)?;
        let metadata = format!("{:#}\n", json!(wanted));
        write_durably(&folder.join(METADATA), metadata.as_bytes())
    }

    /// Reads what was saved. That of another dataset or reference, or made in another way, is refused.
    pub(crate) fn load(folder: &Path, wanted: &Wanted) -> StageResult<Self> {
        let path = folder.join(METADATA);
        let text = fs::read(&path).at(&path)?;
        let found: Wanted = serde_json::from_slice(&text).map_err(|error| {
            let problem = format!("expected what `reference_logps` writes: {error}");
            StageError::work(&path, problem)
        })?;
        if let Some(problem) = wanted.difference(&found) {
            return Err(StageError::input("reference_logps", problem));
        }
        let path = folder.join(ROWS);
        let text = fs::read_to_string(&path).at(&path)?;
        let rows: Vec<Vec<f64>> = text
            .lines()
            .enumerate()
            .map(|(number, line)| {
                parse(line).ok_or_else(|| {
                    let place = format!("{ROWS}:{}", number + 1);
                    let problem = "expected `bits`: a list of numbers in 16 hex digits each";
                    StageError::Row {
                        place,
                        problem: problem.to_owned(),
                    }
                })
            })
            .collect::<StageResult<_>>()?;
        let found = rows.iter().map(Vec::len).sum::<usize>() as u64;
        if (rows.len() as u64, found) != (wanted.rows, wanted.sequences) {
            let (lines, wanted) = (rows.len(), (wanted.rows, wanted.sequences));
            let problem =
                format!("{ROWS} has {lines} rows with {found} answers; expected {wanted:?}");
            return Err(StageError::input("reference_logps", problem));
        }
        Ok(Self(rows))
    }
}

fn parse(line: &str) -> Option<Vec<f64>> {
    let line: Line = serde_json::from_str(line).ok()?;
    let bits = |text: &String| u64::from_str_radix(text, 16).ok().map(f64::from_bits);
    line.bits.iter().map(bits).collect()
}
