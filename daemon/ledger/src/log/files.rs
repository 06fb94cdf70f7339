//! The log's files: finding, reading and mending them.

use std::path::PathBuf;
use std::sync::Arc;

use begat_store::fs::{
    At, Fs, FsError, create_dir_durable, read_file, sync_names_above, write_file_atomic,
};
use begat_store::index::Sources;

use super::{FORMAT, Group, Header, LogWriter, Position, frame};
use crate::error::LedgerError;

/// Longest file of the log that is read: far beyond any that is written, so that a wrong length fails early.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// The unacknowledged end of a log that a crash tore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The file.
    pub file: PathBuf,
    /// Where it was cut.
    pub offset: u64,
    /// How many bytes were cut off.
    pub bytes: u64,
    /// Where those bytes are kept.
    pub kept_as: PathBuf,
}

/// The folder of the log.
#[derive(Debug, Clone)]
pub(crate) struct LogFolder {
    pub fs: Arc<dyn Fs>,
    pub folder: PathBuf,
    /// A file that is longer is followed by another.
    pub file_bytes: u64,
}

/// A file of the log, read.
struct LogFile {
    bytes: Vec<u8>,
    /// Up to where it is whole.
    valid: u64,
    groups: Vec<(Group, u64)>,
    first: u64,
}

impl LogFolder {
    /// Mends the log's end and makes it ready to be written.
    pub(crate) fn open(self) -> Result<(LogWriter, Option<Cut>), LedgerError> {
        create_dir_durable(&*self.fs, &self.folder)?;
        let Some(last) = self.numbers()?.last().copied() else {
            sync_names_above(&*self.fs, &self.folder)?;
            let writer = LogWriter::create(self, 1, 1)?;
            return Ok((writer, None));
        };
        let file = self.read(last)?;
        let cut = self.keep_cut(last, &file)?;
        let seq = file.first + file.groups.len() as u64;
        // The last line may have been read from memory though its sync had failed: written anew, it is durable.
        let whole = &file.bytes[..file.valid as usize];
        write_file_atomic(&*self.fs, &self.path(last), whole)?;
        let writer = LogWriter::resume(self, last, file.valid, seq)?;
        Ok((writer, cut))
    }

    /// The numbers of the files, from 1 without gaps.
    pub(crate) fn numbers(&self) -> Result<Vec<u32>, LedgerError> {
        let entries = self.fs.list(&self.folder).at("list", &self.folder)?;
        let numbers: Vec<u32> = entries
            .iter()
            .filter_map(|entry| number(entry.name.to_str()?))
            .collect();
        match (1..)
            .zip(&numbers)
            .find(|(expected, found)| expected != *found)
        {
            None => Ok(numbers),
            Some((missing, _)) => Err(LedgerError::Damaged {
                file: self.path(missing),
                offset: 0,
                problem: "the file is missing".to_owned(),
            }),
        }
    }

    /// The files' names and lengths.
    pub(crate) fn sources(&self) -> Result<Sources, LedgerError> {
        let numbers = self.numbers()?;
        let lengths = numbers.into_iter().map(|number| {
            let path = self.path(number);
            let meta = self.fs.meta(&path).at("look at", &path)?;
            Ok((name(number), meta.map_or(0, |meta| meta.len)))
        });
        lengths.collect()
    }

    /// Hands every group after `from` and up to `to` to `visit`, with the place after it.
    pub(crate) fn replay(
        &self,
        from: Position,
        to: Position,
        mut visit: impl FnMut(&Group, Position) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let mut expected = None;
        for number in from.file.max(1)..=to.file {
            let file = self.read(number)?;
            if number != to.file && file.valid < file.bytes.len() as u64 {
                return Err(self.damaged(number, file.valid, "a line is torn or altered"));
            }
            if expected.is_some_and(|expected| expected != file.first) {
                return Err(self.damaged(number, 0, "lines of the log are missing before it"));
            }
            expected = Some(file.first + file.groups.len() as u64);
            for (group, offset) in &file.groups {
                let after = Position {
                    file: number,
                    offset: *offset,
                };
                if after > from && after <= to {
                    visit(group, after)?;
                }
            }
            if number == to.file && file.valid < to.offset {
                return Err(self.damaged(number, file.valid, "a line is torn or altered"));
            }
        }
        Ok(())
    }

    pub(crate) fn path(&self, number: u32) -> PathBuf {
        self.folder.join(name(number))
    }

    fn read(&self, number: u32) -> Result<LogFile, LedgerError> {
        let path = self.path(number);
        let bytes = read_file(&*self.fs, &path, FILE_BYTES_MAX)?
            .ok_or_else(|| self.damaged(number, 0, "the file is missing"))?;
        let scanned = frame::scan(&bytes);
        let (valid, damaged) = (scanned.valid, scanned.damaged);
        if damaged {
            return Err(self.damaged(number, valid, "a line is altered"));
        }
        let mut frames = scanned.frames.into_iter();
        let (header, _) = frames
            .next()
            .ok_or_else(|| self.damaged(number, 0, "it has no header"))?;
        let first = self.header(number, header)?.first;
        let groups = frames
            .zip(first..)
            .map(|((json, end), seq)| self.group(number, json, end, seq))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(LogFile {
            valid,
            groups,
            first,
            bytes,
        })
    }

    fn header(&self, number: u32, json: &[u8]) -> Result<Header, LedgerError> {
        let header: Header = serde_json::from_slice(json)
            .map_err(|error| self.damaged(number, 0, &error.to_string()))?;
        if header.format == FORMAT {
            return Ok(header);
        }
        Err(LedgerError::OtherFormat {
            file: self.path(number),
            found: header.format,
            expected: FORMAT,
        })
    }

    fn group(
        &self,
        number: u32,
        json: &[u8],
        end: u64,
        seq: u64,
    ) -> Result<(Group, u64), LedgerError> {
        let group: Group = serde_json::from_slice(json)
            .map_err(|error| self.damaged(number, end, &error.to_string()))?;
        if group.seq == seq {
            Ok((group, end))
        } else {
            let problem = format!("expected line {seq} of the log, found {}", group.seq);
            Err(self.damaged(number, end, &problem))
        }
    }

    /// Puts what is about to be cut off beside, so that no byte is ever destroyed by a mending.
    fn keep_cut(&self, number: u32, file: &LogFile) -> Result<Option<Cut>, FsError> {
        let torn = &file.bytes[file.valid as usize..];
        if torn.is_empty() {
            return Ok(None);
        }
        let kept_as = self.folder.join(format!("cut-{number:06}-{}", file.valid));
        write_file_atomic(&*self.fs, &kept_as, torn)?;
        Ok(Some(Cut {
            file: self.path(number),
            offset: file.valid,
            bytes: torn.len() as u64,
            kept_as,
        }))
    }

    fn damaged(&self, number: u32, offset: u64, problem: &str) -> LedgerError {
        LedgerError::Damaged {
            file: self.path(number),
            offset,
            problem: problem.to_owned(),
        }
    }
}

pub(crate) fn name(number: u32) -> String {
    format!("log-{number:06}.log")
}

/// The number in the name of a log file.
pub(crate) fn number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("log-")?.strip_suffix(".log")?;
    (digits.len() >= 6 && digits.bytes().all(|digit| digit.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}
