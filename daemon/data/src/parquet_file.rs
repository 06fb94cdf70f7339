//! Parquet, read one row group at a time, its rows as JSON.
//!
//! The row reader of the `parquet` crate takes what a file says of itself on trust and panics where it lies, so what can
//! be checked beforehand is, and what is left is caught: a broken file is an error that names it, like any other.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::{ReaderIter, TreeBuilder};
use parquet::record::{Field, Row as ParquetRow};
use serde_json::{Map, Number, Value};

use crate::error::At;
use crate::{Error, Place, Result, Row};

/// The longest description of itself that a Parquet file may end with.
pub const METADATA_BYTES_MAX: u64 = 64 << 20;

/// The end of a file: the length of the description before it, and four letters.
const FOOTER_BYTES: u64 = 8;
const MAGIC: &[u8] = b"PAR1";
const CAUSE_CHARACTERS_MAX: usize = 200;

/// The rows of a file.
pub(crate) struct ParquetRows {
    reader: SerializedFileReader<File>,
    groups_begun: usize,
    rows: Option<ReaderIter>,
    path: PathBuf,
    place: Place,
    failed: bool,
}

impl ParquetRows {
    pub(crate) fn open(path: &Path, name: &Arc<Path>) -> Result<Self> {
        let mut file = File::open(path).at(path)?;
        check_footer(&mut file, path)?;
        let reader = guarded(path, || SerializedFileReader::new(file))?;
        check_counts(&reader).map_err(|problem| Error::format(path, problem))?;
        Ok(Self {
            reader,
            groups_begun: 0,
            rows: None,
            path: path.to_owned(),
            place: Place {
                file: Arc::clone(name),
                number: 0,
            },
            failed: false,
        })
    }

    fn next_row(&mut self) -> Result<Option<Row>> {
        loop {
            if let Some(rows) = &mut self.rows {
                let next = guarded(&self.path, || rows.next().transpose());
                if let Some(row) = next.map_err(|error| self.behind_last_row(error))? {
                    self.place.number += 1;
                    return Ok(Some(self.row(row)));
                }
            }
            if self.groups_begun == self.reader.num_row_groups() {
                return Ok(None);
            }
            self.rows = Some(self.next_group()?);
        }
    }

    fn next_group(&mut self) -> Result<ReaderIter> {
        let index = self.groups_begun;
        self.groups_begun += 1;
        let reader = &self.reader;
        let group = guarded(&self.path, || {
            let group = reader.get_row_group(index)?;
            let schema = reader.metadata().file_metadata().schema_descr_ptr();
            TreeBuilder::new().as_iter(schema, &*group)
        });
        group.map_err(|error| self.behind_last_row(error))
    }

    fn behind_last_row(&self, error: Error) -> Error {
        match error {
            Error::Format { path, problem } => Error::Format {
                path,
                problem: format!("row {}: {problem}", self.place.number + 1),
            },
            other => other,
        }
    }

    fn row(&self, row: ParquetRow) -> Row {
        let mut fields = Map::new();
        let mut odd = Vec::new();
        for (name, field) in row.into_columns() {
            match json(field) {
                Ok(value) => {
                    fields.insert(name, value);
                }
                Err(what) => odd.push((name, what)),
            }
        }
        Row {
            place: self.place.clone(),
            fields,
            odd,
            line_start: None,
        }
    }
}

impl Iterator for ParquetRows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let row = self.next_row().transpose();
        self.failed = matches!(row, Some(Err(_)));
        row
    }
}

/// Checks that a file ends like Parquet and that its description has a size that can be read.
fn check_footer(file: &mut File, path: &Path) -> Result<()> {
    let size = file.metadata().at(path)?.len();
    let mut footer = [0; FOOTER_BYTES as usize];
    if size > FOOTER_BYTES {
        file.seek(SeekFrom::Start(size - FOOTER_BYTES)).at(path)?;
        file.read_exact(&mut footer).at(path)?;
    }
    let [a, b, c, d, magic @ ..] = footer;
    if magic != MAGIC {
        return Err(Error::format(
            path,
            "not Parquet: it does not end with PAR1",
        ));
    }
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if length > METADATA_BYTES_MAX {
        let limit = METADATA_BYTES_MAX >> 20;
        return Err(Error::format(
            path,
            format!("its metadata has {length} bytes; expected at most {limit} MiB"),
        ));
    }
    Ok(())
}

/// Checks that the row groups have as many rows as they say: each row has at least one value, or null, in each column.
fn check_counts(reader: &SerializedFileReader<File>) -> std::result::Result<(), String> {
    for (index, group) in reader.metadata().row_groups().iter().enumerate() {
        let rows = group.num_rows();
        let short = group
            .columns()
            .iter()
            .find(|column| column.num_values() < rows);
        if rows < 0 || short.is_some() {
            return Err(format!(
                "not Parquet: row group {index} says that it has {rows} rows, but its columns have fewer"
            ));
        }
    }
    Ok(())
}

/// Does what the `parquet` crate may do badly.
fn guarded<T>(path: &Path, act: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T> {
    // What a panic may leave half done is not used again: after an error nothing more is read from the file.
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Error::format(path, shortened(&error.to_string()))),
        Err(_) => Err(Error::format(
            path,
            "not Parquet: its parts contradict each other",
        )),
    }
}

/// The beginning of a message; some hold all bytes of a value.
fn shortened(cause: &str) -> String {
    let mut characters = cause.chars();
    let begin: String = characters.by_ref().take(CAUSE_CHARACTERS_MAX).collect();
    match characters.next() {
        None => begin,
        Some(_) => format!("{begin}…"),
    }
}

/// A field as JSON, or what it is if JSON cannot hold it.
fn json(field: Field) -> std::result::Result<Value, &'static str> {
    Ok(match field {
        Field::Null => Value::Null,
        Field::Bool(value) => value.into(),
        Field::Byte(value) => value.into(),
        Field::Short(value) => value.into(),
        Field::Int(value) => value.into(),
        Field::Long(value) => value.into(),
        Field::UByte(value) => value.into(),
        Field::UShort(value) => value.into(),
        Field::UInt(value) => value.into(),
        Field::ULong(value) => value.into(),
        Field::Float16(value) => number(value.into())?,
        Field::Float(value) => number(value.into())?,
        Field::Double(value) => number(value)?,
        Field::Str(text) => text.into(),
        // Some writers leave out that a column holds text.
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => text.into(),
            Err(_) => return Err("bytes that are no UTF-8"),
        },
        Field::Group(row) => Value::Object(object(row)?),
        Field::ListInternal(list) => {
            let elements = list.elements().iter().cloned().map(json);
            Value::Array(elements.collect::<std::result::Result<_, _>>()?)
        }
        Field::MapInternal(_) => return Err("a map"),
        other => other.to_string().into(),
    })
}

fn object(row: ParquetRow) -> std::result::Result<Map<String, Value>, &'static str> {
    let mut object = Map::new();
    for (name, field) in row.into_columns() {
        object.insert(name, json(field)?);
    }
    Ok(object)
}

fn number(value: f64) -> std::result::Result<Value, &'static str> {
    let number = Number::from_f64(value).map(Value::Number);
    number.ok_or("infinity or not a number")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const SNAPPY: &str = "preferences.snappy.parquet";
    const ZSTD: &str = "preferences.zstd.parquet";

    /// Files that pyarrow 26 wrote, the first in row groups of two; `tests/samples/write.py` writes them anew.
    fn sample(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/samples")
            .join(name)
    }

    fn read(path: &Path) -> Result<Vec<Row>> {
        ParquetRows::open(path, &Arc::from(Path::new("p.parquet")))?.collect()
    }

    /// A file of `bytes`, and what reading it says.
    fn read_bytes(bytes: &[u8]) -> Result<Vec<Row>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.parquet");
        fs::write(&path, bytes).unwrap();
        read(&path)
    }

    #[test]
    fn what_pyarrow_writes_is_read_row_by_row() {
        for name in [SNAPPY, ZSTD] {
            let rows = read(&sample(name)).unwrap();
            let places: Vec<String> = rows.iter().map(|row| row.place.to_string()).collect();
            assert_eq!(
                places,
                ["p.parquet: row 1", "p.parquet: row 2", "p.parquet: row 3"]
            );
            let expected = serde_json::json!({
                "prompt": [{"role": "user", "content": "sea?"}],
                "chosen": [{"role": "assistant", "content": "wet"}],
                "rejected": [{"role": "assistant", "content": "hot"}],
                "strength": "significantly",
                "margin": 1.0,
                "id": 3,
            });
            assert_eq!(Value::Object(rows[2].fields.clone()), expected);
            assert!(!rows[1].has("strength") && !rows[1].has("margin"));
        }
    }

    #[test]
    fn what_json_cannot_hold_is_named_only_when_it_is_asked_for() {
        let rows = read(&sample("odd.parquet")).unwrap();
        assert_eq!(
            rows[0].get("day"),
            Some(&Value::from("2026-11-24 ")).map(|_| &rows[0].fields["day"])
        );
        assert_eq!(rows[0].text("text").unwrap(), "text without an annotation");
        for (field, found) in [
            ("image", "bytes that are no UTF-8"),
            ("margin", "infinity or not a number"),
        ] {
            let error = rows[0].optional(field).unwrap_err().to_string();
            assert!(error.ends_with(&format!("found {found}")), "{error}");
            assert!(rows[0].has(field));
        }
    }

    #[test]
    fn other_files_are_named() {
        for (bytes, expected) in [
            (&b"no"[..], "not Parquet: it does not end with PAR1"),
            (
                b"PAR1\0\0\0\0PARE",
                "not Parquet: it does not end with PAR1",
            ),
            (
                b"PAR1\xff\xff\xff\xffPAR1",
                "its metadata has 4294967295 bytes; expected at most 64 MiB",
            ),
        ] {
            let error = read_bytes(bytes).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{error}");
        }
        let error = read(&sample("gzip.parquet")).unwrap_err().to_string();
        assert!(error.contains("row 1: "), "{error}");
    }

    #[test]
    fn a_broken_file_is_an_error_and_no_crash() {
        let whole = fs::read(sample(SNAPPY)).unwrap();
        let mut errors = 0;
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0x80 >> (at % 8);
            errors += usize::from(read_bytes(&broken).is_err());
        }
        for end in (0..whole.len()).step_by(16) {
            assert!(read_bytes(&whole[..end]).is_err(), "cut at {end}");
        }
        assert!(errors > whole.len() / 4, "{errors} of {}", whole.len());
    }
}
