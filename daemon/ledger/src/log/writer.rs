//! Writing the log's end.

use std::sync::Arc;

use begat_store::fs::{At, FsError, FsFile, Open, append_all, write_file_atomic};

use super::files::LogFolder;
use super::{Append, FORMAT, Group, Header, Position, frame};
use crate::error::LedgerError;

/// Writes groups, each durable before the next.
#[derive(Debug)]
pub(crate) struct LogWriter {
    pub(crate) log: LogFolder,
    file: Arc<dyn FsFile>,
    number: u32,
    len: u64,
    next_seq: u64,
}

/// A group that was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The log is as it was before; another try may do.
    Unchanged(LedgerError),
    /// Nothing is known of the log's end; nothing may be written before it is opened again.
    Unknown(LedgerError),
}

impl LogWriter {
    /// Begins file `number`.
    pub(super) fn create(log: LogFolder, number: u32, first: u64) -> Result<Self, LedgerError> {
        let header = Header {
            format: FORMAT.to_owned(),
            first,
        };
        let json = serde_json::to_vec(&header).map_err(LedgerError::NotJson)?;
        let line = frame::encode(&json);
        write_file_atomic(&*log.fs, &log.path(number), &line)?;
        Self::resume(log, number, line.len() as u64, first)
    }

    /// Goes on with file `number`, which has `len` bytes.
    pub(super) fn resume(
        log: LogFolder,
        number: u32,
        len: u64,
        next_seq: u64,
    ) -> Result<Self, LedgerError> {
        let path = log.path(number);
        let file = log.fs.open(&path, Open::Append).at("open", &path)?;
        Ok(Self {
            log,
            file,
            number,
            len,
            next_seq,
        })
    }

    /// Where the log ends.
    pub(crate) fn position(&self) -> Position {
        Position {
            file: self.number,
            offset: self.len,
        }
    }

    /// Writes `appends` as one group and returns once they are durable.
    pub(crate) fn write(&mut self, appends: Vec<Append>) -> Result<Position, WriteError> {
        if self.len > self.log.file_bytes {
            self.next_file()?;
        }
        let group = Group {
            seq: self.next_seq,
            appends,
        };
        let json = serde_json::to_vec(&group)
            .map_err(|error| WriteError::Unchanged(LedgerError::NotJson(error)))?;
        let line = frame::encode(&json);
        let path = self.log.path(self.number);
        append_all(&*self.file, &line)
            .at("append to", &path)
            .map_err(|error| self.undo(error))?;
        self.file
            .sync()
            .at("sync", &path)
            .map_err(|error| WriteError::Unknown(error.into()))?;
        self.len += line.len() as u64;
        self.next_seq += 1;
        Ok(self.position())
    }

    /// Takes back what a failed append, on a full disk for instance, may have left.
    fn undo(&self, error: FsError) -> WriteError {
        match self.file.truncate(self.len) {
            Ok(()) => WriteError::Unchanged(error.into()),
            Err(_) => WriteError::Unknown(error.into()),
        }
    }

    fn next_file(&mut self) -> Result<(), WriteError> {
        *self =
            Self::create(self.log.clone(), self.number + 1, self.next_seq).map_err(|error| {
                match &error {
                    // The new file's name may be there or not: to be found out at the next start.
                    LedgerError::Fs(fs) if fs.action == "sync" => WriteError::Unknown(error),
                    _ => WriteError::Unchanged(error),
                }
            })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};

    use begat_schemas::Time;
    use begat_store::faults::FaultyFs;

    use super::*;
    use crate::record::Record;

    /// A file on a disk that fills up in the midst of an append: some bytes are written, then no more.
    #[derive(Debug)]
    struct FillsUp {
        file: Arc<dyn FsFile>,
        full: AtomicBool,
    }

    impl FsFile for FillsUp {
        fn append(&self, bytes: &[u8]) -> io::Result<usize> {
            if self
                .full
                .swap(!self.full.load(Ordering::SeqCst), Ordering::SeqCst)
            {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.file.append(&bytes[..bytes.len() / 2])
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            self.file.read_at(buffer, offset)
        }

        fn sync(&self) -> io::Result<()> {
            self.file.sync()
        }

        fn len(&self) -> io::Result<u64> {
            self.file.len()
        }

        fn truncate(&self, len: u64) -> io::Result<()> {
            self.file.truncate(len)
        }
    }

    fn append(milliseconds: i64) -> Vec<Append> {
        vec![Append {
            time: Time::from_milliseconds(milliseconds),
            records: vec![Record::RunRemoved {
                run: begat_schemas::RunId::of(b"run"),
            }],
        }]
    }

    #[test]
    fn what_a_failed_append_left_is_taken_back() {
        let folder = LogFolder {
            fs: Arc::new(FaultyFs::new()),
            folder: PathBuf::from("/ledger"),
            file_bytes: 1 << 20,
        };
        let (mut writer, _) = folder.clone().open().unwrap();
        writer.write(append(1)).unwrap();
        let whole = Arc::clone(&writer.file);
        writer.file = Arc::new(FillsUp {
            file: Arc::clone(&whole),
            full: AtomicBool::new(false),
        });
        let error = writer.write(append(2)).unwrap_err();
        assert!(matches!(error, WriteError::Unchanged(error) if error.is_disk_full()));
        writer.file = whole;
        let end = writer.write(append(3)).unwrap();
        let mut times = Vec::new();
        let start = Position { file: 1, offset: 0 };
        folder
            .replay(start, end, |group, _| {
                times.push(group.appends[0].time.as_milliseconds());
                Ok(())
            })
            .unwrap();
        assert_eq!(times, [1, 3]);
    }
}
