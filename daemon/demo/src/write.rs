//! Datasets as folders: JSON Lines and a card.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::build::{DatasetSummary, FileSummary};
use crate::card;
use crate::error::BuildError;
use crate::vendor::ReadCrate;

/// A file of rows.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) file: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// A line of JSON, and where in the list of crates its crate stands.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) json: String,
    pub(crate) source: usize,
}

impl Row {
    pub(crate) fn new(row: &impl Serialize, source: usize) -> Self {
        let json = serde_json::to_string(row).expect("rows are structs of strings, which JSON has");
        Self { json, source }
    }
}

/// A folder of tables and its card.
#[derive(Debug)]
pub(crate) struct Dataset {
    pub(crate) name: &'static str,
    pub(crate) tables: Vec<Table>,
}

/// Creates the folder to write to, or takes an empty one.
pub(crate) fn prepare(folder: &Path) -> Result<(), BuildError> {
    fs::create_dir_all(folder).map_err(|error| BuildError::write(folder, error))?;
    let mut entries = fs::read_dir(folder).map_err(|error| BuildError::read(folder, error))?;
    match entries.next() {
        Some(_) => Err(BuildError::OutputNotEmpty {
            path: folder.to_owned(),
        }),
        None => Ok(()),
    }
}

/// Writes a dataset into a folder of its name.
pub(crate) fn write(
    folder: &Path,
    dataset: &Dataset,
    crates: &[ReadCrate],
) -> Result<DatasetSummary, BuildError> {
    let folder = folder.join(dataset.name);
    fs::create_dir_all(&folder).map_err(|error| BuildError::write(&folder, error))?;
    let mut files = Vec::new();
    for table in &dataset.tables {
        let text: String = table
            .rows
            .iter()
            .flat_map(|row| [row.json.as_str(), "\n"])
            .collect();
        write_file(&folder.join(table.file), &text)?;
        files.push(FileSummary {
            name: table.file.to_owned(),
            rows: table.rows.len(),
            bytes: text.len(),
        });
    }
    let summary = DatasetSummary {
        name: dataset.name.to_owned(),
        files,
    };
    write_file(
        &folder.join("README.md"),
        &card::card(dataset, &summary, crates),
    )?;
    Ok(summary)
}

fn write_file(path: &Path, text: &str) -> Result<(), BuildError> {
    fs::write(path, text).map_err(|error| BuildError::write(path, error))
}
