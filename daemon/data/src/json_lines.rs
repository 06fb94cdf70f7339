//! JSON Lines, read one line at a time.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::error::At;
use crate::row::kind;
use crate::{Error, FieldPath, Place, Problem, Result, Row, RowError};

/// The longest line that is read; a document of a corpus is well below.
pub const LINE_BYTES_MAX: usize = 64 << 20;

const BUFFER_BYTES: usize = 1 << 18;
const BYTE_ORDER_MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];

/// The lines of a file that are not blank.
pub(crate) struct JsonLines {
    reader: BufReader<File>,
    path: PathBuf,
    place: Place,
    start: u64,
    next_start: u64,
    line_bytes_max: usize,
    failed: bool,
}

impl JsonLines {
    pub(crate) fn open(path: &Path, name: &Arc<Path>) -> Result<Self> {
        Ok(Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, File::open(path).at(path)?),
            path: path.to_owned(),
            place: Place {
                file: Arc::clone(name),
                number: 0,
            },
            start: 0,
            next_start: 0,
            line_bytes_max: LINE_BYTES_MAX,
            failed: false,
        })
    }

    fn next_row(&mut self) -> Result<Option<Row>> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if !self.next_line(&mut line)? {
                return Ok(None);
            }
            if line.len() > self.line_bytes_max {
                return Err(self.error(Problem::LineTooLong));
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return self.parse(line.trim_ascii_end()).map(Some);
            }
        }
    }

    /// Reads a line into `line`, of which a line that is too long leaves its beginning; false at the end of the file.
    fn next_line(&mut self, line: &mut Vec<u8>) -> Result<bool> {
        self.start = self.next_start;
        self.place.number += 1;
        let limit = self.line_bytes_max as u64 + 1;
        let read = self.reader.by_ref().take(limit).read_until(b'\n', line);
        self.next_start += read.at(&self.path)? as u64;
        if line.len() > self.line_bytes_max && !line.ends_with(b"\n") {
            let skipped = skip_line(&mut self.reader).at(&self.path)?;
            self.next_start += skipped;
        }
        Ok(!line.is_empty())
    }

    fn parse(&self, line: &[u8]) -> Result<Row> {
        let begins_with = |mark: &&[u8]| line.starts_with(mark);
        if self.start == 0 && BYTE_ORDER_MARKS.iter().any(begins_with) {
            return Err(self.error(Problem::ByteOrderMark));
        }
        match serde_json::from_slice(line) {
            Ok(Value::Object(fields)) => Ok(Row {
                place: self.place.clone(),
                fields,
                odd: Vec::new(),
                line_start: Some(self.start),
            }),
            Ok(other) => {
                let found = kind(&other);
                Err(self.error(Problem::NotAnObject { found }))
            }
            Err(error) => {
                let cause = cause(&error);
                let column = error.column() as u64;
                Err(self.error_at(Problem::NotJson { cause }, Some(column)))
            }
        }
    }

    fn error(&self, problem: Problem) -> Error {
        self.error_at(problem, None)
    }

    fn error_at(&self, problem: Problem, column: Option<u64>) -> Error {
        let error = RowError {
            place: self.place.clone(),
            field: FieldPath::default(),
            problem,
            column,
            line_start: Some(self.start),
        };
        error.into()
    }
}

impl Iterator for JsonLines {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let row = self.next_row().transpose();
        self.failed = matches!(row, Some(Err(Error::File { .. })));
        row
    }
}

/// Reads on behind the next line feed; says how many bytes that were.
fn skip_line(reader: &mut impl BufRead) -> std::io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let count = end.map_or(buffer.len(), |at| at + 1);
        let done = end.is_some() || count == 0;
        reader.consume(count);
        skipped += count as u64;
        if done {
            return Ok(skipped);
        }
    }
}

/// serde's message without its own idea of the line.
fn cause(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: impl AsRef<[u8]>, limit: usize) -> (tempfile::TempDir, JsonLines) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        std::fs::write(&path, text).unwrap();
        let name = Arc::from(Path::new("rows.jsonl"));
        let mut lines = JsonLines::open(&path, &name).unwrap();
        lines.line_bytes_max = limit;
        (folder, lines)
    }

    fn read(text: impl AsRef<[u8]>, limit: usize) -> Vec<String> {
        let (_folder, lines) = open(text, limit);
        let show = |row: Result<Row>| match row {
            Ok(row) => format!("{} {}", row.place, Value::Object(row.fields)),
            Err(error) => error.to_string(),
        };
        lines.map(show).collect()
    }

    #[test]
    fn a_bad_line_does_not_hide_the_next() {
        let text = "{\"a\":1}\r\n\n{\"a\":\n[1]\n{\"a\":2}";
        assert_eq!(
            read(text, 100),
            [
                "rows.jsonl:1 {\"a\":1}",
                "rows.jsonl:3: not JSON: EOF while parsing a value at column 5",
                "rows.jsonl:4: expected a JSON object, found a list",
                "rows.jsonl:5 {\"a\":2}",
            ]
        );
    }

    #[test]
    fn a_line_too_long_is_not_read_and_the_next_is_found() {
        let long = "x".repeat(BUFFER_BYTES * 2);
        for (text, rows) in [
            (format!("{long}\n{{}}\n"), 2),
            (format!("{{}}\n{long}"), 2),
            (format!("{long}\n"), 1),
        ] {
            let read = read(&text, 10);
            assert_eq!(read.len(), rows, "{read:?}");
            assert!(read.iter().any(|row| row.ends_with("longer than 64 MiB")));
        }
        // A limit's worth is not too much, with its line feed or without.
        assert_eq!(read("{\"abc\":12}", 10), ["rows.jsonl:1 {\"abc\":12}"]);
        assert_eq!(read("{\"abc\":1}\n{}", 10).len(), 2);
    }

    #[test]
    fn lines_know_where_they_begin() {
        let long = "x".repeat(BUFFER_BYTES);
        let (_folder, lines) = open(format!("{{}}\n\n{long}\n{{}}\n"), 10);
        let starts: Vec<_> = lines
            .map(|row| match row {
                Ok(row) => row.line_start,
                Err(Error::Row(error)) => error.line_start,
                Err(_) => None,
            })
            .collect();
        let last = 4 + BUFFER_BYTES as u64 + 1;
        assert_eq!(starts, [Some(0), Some(4), Some(last)]);
    }

    #[test]
    fn other_encodings_are_named() {
        for text in [&b"\xef\xbb\xbf{}"[..], b"\xff\xfe{\0}\0"] {
            assert_eq!(
                read(text, 100)[0],
                "rows.jsonl:1: begins with a byte order mark; expected UTF-8 without one"
            );
        }
        let read = read(b"{\"a\":\"\xff\"}", 100);
        assert!(
            read[0].starts_with("rows.jsonl:1: not JSON: invalid unicode"),
            "{read:?}"
        );
    }
}
