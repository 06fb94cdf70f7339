//! Which files hold rows, and how each is read.

use std::path::Path;
use std::sync::Arc;

use crate::json_lines::JsonLines;
use crate::parquet_file::ParquetRows;
use crate::{Error, Result, Row};

/// Rows of a file, read as they are asked for. After a row that cannot be used the next one may still be; after a file
/// that cannot be read there is none.
pub(crate) type RowIterator = Box<dyn Iterator<Item = Result<Row>> + Send>;

/// How a file holds rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    JsonLines,
    Parquet,
}

impl FileKind {
    /// What a file's name says; none if it holds no rows.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Reads the file at `path`, which errors call `name`.
pub(crate) fn read(path: &Path, name: &Arc<Path>) -> RowIterator {
    let opened = match FileKind::of(path) {
        Some(FileKind::JsonLines) => {
            JsonLines::open(path, name).map(|rows| Box::new(rows) as RowIterator)
        }
        Some(FileKind::Parquet) => {
            ParquetRows::open(path, name).map(|rows| Box::new(rows) as RowIterator)
        }
        None => Err(Error::format(
            path,
            "expected a name that ends in .jsonl, .ndjson or .parquet",
        )),
    };
    opened.unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
}
