//! What the stages that learn from preferences share: their data, and which pairs of it are used.

mod reference;

use std::collections::BTreeSet;
use std::path::Path;

use begat_data::{Rows, Split};
use begat_schemas::{Strength, api::DataPurpose};

use super::Context;
use crate::contract::{StageError, StageResult};
use crate::data::{Compared, ComparisonFile, Limits, TextTokenizer};

pub(super) use reference::{ReferenceLogps, Wanted};

/// How rows become sequences.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub context: &'a Context<'a>,
    pub tokenizer: &'a TextTokenizer,
    pub purpose: DataPurpose,
    pub limits: Limits,
}

impl Reading<'_> {
    /// The rows to train on of the dataset that is the input `input`.
    pub(super) fn to_train(self, input: &str) -> StageResult<ComparisonFile> {
        let rows = Rows::to_train(input, &self.context.input(input)?)?;
        self.file(&rows, input, "train")
    }

    /// The rows to judge on of the dataset that is the input `input`.
    pub(super) fn to_judge(self, input: &str) -> StageResult<ComparisonFile> {
        let rows = Rows::to_judge(input, &self.context.input(input)?)?;
        self.file(&rows, input, "judge")
    }

    /// The validation split of the dataset that is the input `input`, if it has one.
    pub(super) fn validation(&self, input: &str) -> StageResult<Option<ComparisonFile>> {
        let rows = Rows::find(input, &self.context.input(input)?, Split::Validation)?;
        match rows.has_rows()? {
            true => self.file(&rows, input, "validation").map(Some),
            false => Ok(None),
        }
    }

    fn file(&self, rows: &Rows, input: &str, use_of_it: &str) -> StageResult<ComparisonFile> {
        let name = format!("{input}.{use_of_it}.comparisons");
        let path = self.context.work.scratch()?.join(name);
        let (tokenizer, limits) = (self.tokenizer, self.limits);
        let file = ComparisonFile::build(&path, rows, self.purpose, tokenizer, limits)?;
        self.report(input, use_of_it, &file);
        Ok(file)
    }

    fn report(&self, input: &str, use_of_it: &str, file: &ComparisonFile) {
        let report = file.report();
        let level = if report.truncated + report.dropped > 0 {
            "warn"
        } else {
            "info"
        };
        let most = self.limits.max_length;
        self.context.log(
            level,
            format!(
                "{input} ({use_of_it}): {} rows, {} of them with the prompt cut from the left to fit into {most} tokens, {} dropped because they are longer",
                report.rows, report.truncated, report.dropped
            ),
        );
    }
}

/// Whether a pair is trained on. Nobody grades how much better an edit is than what was edited, so edits always are.
pub(super) fn is_wanted(pair: &Compared, strengths: Option<&BTreeSet<Strength>>) -> bool {
    match (strengths, pair.strength) {
        (None, _) => true,
        (Some(wanted), Some(strength)) => wanted.contains(&strength),
        (Some(_), None) => pair.edit,
    }
}

/// Says how many pairs the filter leaves; none is an error.
pub(super) fn check_filtered(
    context: &Context<'_>,
    file: &ComparisonFile,
    strengths: Option<&BTreeSet<Strength>>,
) -> StageResult<()> {
    let pairs = || (0..file.len()).flat_map(|row| file.pairs(row));
    let all = pairs().count();
    let kept = pairs().filter(|pair| is_wanted(pair, strengths)).count();
    let Some(wanted) = strengths else {
        context.log("info", format!("{all} pairs to train on"));
        return Ok(());
    };
    let names: Vec<&str> = wanted.iter().map(|strength| strength.name()).collect();
    let names = names.join(", ");
    if kept == 0 {
        return Err(StageError::dataset(
            "dataset",
            format!("none of its {all} pairs has a strength of strengths = {names}"),
        ));
    }
    let message = format!("{kept} of {all} pairs to train on: those with strengths = {names}");
    context.log("info", message);
    Ok(())
}

/// A mistake at a row.
pub(super) fn at_row(file: &ComparisonFile, row: usize, problem: impl Into<String>) -> StageError {
    StageError::Row {
        place: file.place(row),
        problem: problem.into(),
    }
}

/// The place of a file of this attempt.
pub(super) fn scratch(context: &Context<'_>, name: &str) -> StageResult<std::path::PathBuf> {
    let folder = context.work.scratch()?;
    Ok(Path::new(&folder).join(name))
}
