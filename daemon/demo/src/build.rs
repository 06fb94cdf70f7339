//! From a folder of vendored crates to the datasets.

use std::path::Path;

use crate::corpus::{self, Corpus, Document};
use crate::error::BuildError;
use crate::pair::{self, Pair, Pairs};
use crate::split::{self, Limits, Part, Size};
use crate::vendor::{self, ReadCrate, Skipped};
use crate::write::{self, Dataset, Row, Table};

/// How far a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Crates are read, in no particular order.
    Reading {
        /// How many have been read.
        crates_done: usize,
        /// How many there are.
        crates: usize,
    },
    /// A dataset is being written.
    Writing {
        /// Its name.
        dataset: &'static str,
    },
}

/// What a build wrote, and what it left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// In the order of [`crate::DATASETS`].
    pub datasets: Vec<DatasetSummary>,
    /// Crates that were read.
    pub crates: usize,
    /// Of these, crates that are held out.
    pub crates_held_out: usize,
    /// Pairs that pass the filters, before repeated sentences are dropped.
    pub pairs_before_repeats: usize,
    /// Pairs after that, held-out ones included; more than the datasets have rows where limits cut them.
    pub pairs: usize,
    /// What was left out, by reason.
    pub skipped: Skipped,
}

/// A dataset that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetSummary {
    /// The name of its folder.
    pub name: String,
    /// Its data files; the card `README.md` is not among them.
    pub files: Vec<FileSummary>,
}

/// A data file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSummary {
    /// Its name in the folder.
    pub name: String,
    /// Its rows.
    pub rows: usize,
    /// Its size in bytes.
    pub bytes: usize,
}

/// Builds the datasets from the folder that `cargo vendor` wrote, each into a folder of its name under `output`, which
/// must be new or empty. Progress may be reported from several threads at once.
pub fn build(
    vendored: &Path,
    output: &Path,
    size: Size,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Summary, BuildError> {
    write::prepare(output)?;
    let (crates, skipped) = vendor::read(vendored, progress)?;
    let pairs = pair::collect(&crates);
    let datasets = plan(&corpus::collect(&crates), &pairs, Limits::of(size));
    refuse_empty(vendored, &datasets)?;
    let mut written = Vec::new();
    for dataset in &datasets {
        progress(Progress::Writing {
            dataset: dataset.name,
        });
        written.push(write::write(output, dataset, &crates)?);
    }
    Ok(Summary {
        datasets: written,
        crates: crates.len(),
        crates_held_out: crates
            .iter()
            .filter(|one: &&ReadCrate| split::is_held_out(&one.name))
            .count(),
        pairs_before_repeats: pairs.before_repeats,
        pairs: pairs.training.len() + pairs.held_out.len(),
        skipped,
    })
}

/// Which rows go into which file.
fn plan(corpus: &Corpus<'_>, pairs: &Pairs, limits: Limits) -> Vec<Dataset> {
    let part = |wanted, most| {
        pair_rows(
            pairs
                .training
                .iter()
                .filter(move |pair| split::part(&pair.key) == wanted)
                .take(most),
        )
    };
    let judged = pairs.held_out.iter().take(limits.heldout_rows);
    // What judges models in tables must not have chosen among their checkpoints.
    let validation = pairs
        .held_out
        .iter()
        .skip(limits.heldout_rows)
        .take(limits.sft_validation_rows);
    let documents = [
        (
            "train.jsonl",
            document_rows(corpus::first(&corpus.training, limits.corpus_bytes)),
        ),
        (
            "validation.jsonl",
            document_rows(corpus::first(
                &corpus.held_out,
                limits.corpus_validation_bytes,
            )),
        ),
    ];
    let sft = [
        ("train.jsonl", part(Part::Sft, limits.sft_rows)),
        ("validation.jsonl", pair_rows(validation)),
    ];
    let files = [
        documents.into(),
        sft.into(),
        vec![("train.jsonl", part(Part::Preference, limits.prompt_rows))],
        vec![("train.jsonl", part(Part::Reinforcement, limits.prompt_rows))],
        vec![("test.jsonl", pair_rows(judged))],
    ];
    let tables = files.map(|files: Vec<_>| {
        files
            .into_iter()
            .map(|(file, rows)| Table { file, rows })
            .collect()
    });
    crate::DATASETS
        .into_iter()
        .zip(tables)
        .map(|(name, tables)| Dataset { name, tables })
        .collect()
}

fn pair_rows<'a>(pairs: impl Iterator<Item = &'a Pair>) -> Vec<Row> {
    pairs.map(|pair| Row::new(pair, pair.source)).collect()
}

fn document_rows(documents: &[Document<'_>]) -> Vec<Row> {
    documents
        .iter()
        .map(|document| Row::new(document, document.source))
        .collect()
}

/// An empty dataset would only fail later, in a stage that cannot know why.
fn refuse_empty(vendored: &Path, datasets: &[Dataset]) -> Result<(), BuildError> {
    for dataset in datasets {
        if let Some(table) = dataset.tables.iter().find(|table| table.rows.is_empty()) {
            let file = format!("{}/{}", dataset.name, table.file);
            return Err(BuildError::EmptyDataset {
                path: vendored.to_owned(),
                file,
            });
        }
    }
    Ok(())
}
