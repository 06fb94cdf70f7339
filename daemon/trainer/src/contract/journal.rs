//! The journal: what the stage reports, one JSON object a line.
//!
//! A thread of its own writes it, so that no step waits for a disk. Lines are appended in order and whole batches go in
//! one write, so a crash can leave only a torn last line, which the next start cuts off. Nothing is synced but at
//! checkpoints and at the end: a line that is lost after a power cut belongs to steps that are done again anyway.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use begat_schemas::{Event, EventBody, Time};

use super::{At, StageError, StageResult};

/// The journal of an attempt, open for appending.
#[derive(Debug)]
pub struct Journal {
    sink: JournalSink,
    writer: Option<JoinHandle<()>>,
    path: PathBuf,
    continued: bool,
}

/// Where events go; any thread may have one.
#[derive(Debug, Clone)]
pub struct JournalSink(Sender<Message>);

#[derive(Debug)]
enum Message {
    Event(Time, Box<EventBody>),
    Sync(Sender<std::io::Result<()>>),
    Close,
}

impl Journal {
    /// Opens the journal at `path`; a torn last line is cut off, and numbers go on where it ends.
    pub fn open(path: &Path) -> StageResult<Self> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .at(path)?;
        let last = cut_torn_line(&mut file, path)?;
        let (sender, receiver) = channel();
        let writer = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                Writer {
                    file,
                    seq: last,
                    failure: None,
                }
                .run(&receiver);
            })
            .at(path)?;
        Ok(Self {
            sink: JournalSink(sender),
            writer: Some(writer),
            path: path.to_owned(),
            continued: last > 0,
        })
    }

    /// Whether an earlier process has written to it.
    pub fn is_continued(&self) -> bool {
        self.continued
    }

    /// Where events go.
    pub fn sink(&self) -> JournalSink {
        self.sink.clone()
    }

    /// Writes an event.
    pub fn emit(&self, body: EventBody) {
        self.sink.emit(body);
    }

    /// Waits until the disk has every event so far; the first failure to write any of them is reported here.
    pub fn sync(&self) -> StageResult<()> {
        self.sink.sync().at(&self.path)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Other sinks may live on in threads that end later.
        let _ = self.sink.0.send(Message::Close);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl JournalSink {
    /// Writes an event. One that comes after the journal was closed is dropped.
    pub fn emit(&self, body: EventBody) {
        let _ = self.0.send(Message::Event(Time::now(), Box::new(body)));
    }

    /// Writes a line for people.
    pub fn log(&self, level: &str, message: impl Into<String>) {
        self.emit(EventBody::Log {
            level: level.to_owned(),
            message: message.into(),
        });
    }

    pub(super) fn sync(&self) -> std::io::Result<()> {
        let (answer, answered) = channel();
        let closed = || std::io::Error::other("the journal's writer has ended");
        self.0.send(Message::Sync(answer)).map_err(|_| closed())?;
        answered.recv().map_err(|_| closed())?
    }
}

struct Writer {
    file: File,
    seq: u64,
    failure: Option<std::io::Error>,
}

impl Writer {
    fn run(mut self, receiver: &Receiver<Message>) {
        let mut lines = Vec::new();
        while let Ok(first) = receiver.recv() {
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Event(time, body) => self.encode(time, *body, &mut lines),
                    Message::Sync(answer) => {
                        self.write(&mut lines);
                        let _ = answer.send(self.sync());
                    }
                    Message::Close => {
                        self.write(&mut lines);
                        return;
                    }
                }
                next = receiver.try_recv().ok();
            }
            self.write(&mut lines);
        }
    }

    fn encode(&mut self, time: Time, body: EventBody, lines: &mut Vec<u8>) {
        let event = Event {
            seq: self.seq + 1,
            time,
            body,
        };
        match serde_json::to_vec(&event) {
            Ok(line) => {
                self.seq += 1;
                lines.extend_from_slice(&line);
                lines.push(b'\n');
            }
            Err(error) => {
                self.failure.get_or_insert(error.into());
            }
        }
    }

    fn write(&mut self, lines: &mut Vec<u8>) {
        // After a failure a later line would leave a gap.
        if self.failure.is_none()
            && let Err(error) = self.file.write_all(lines)
        {
            self.failure = Some(error);
        }
        lines.clear();
    }

    fn sync(&mut self) -> std::io::Result<()> {
        match &self.failure {
            Some(error) => Err(std::io::Error::new(error.kind(), error.to_string())),
            None => self.file.sync_data(),
        }
    }
}

/// Cuts what follows the last whole event and gives that event's number, or 0.
fn cut_torn_line(file: &mut File, path: &Path) -> StageResult<u64> {
    let length = file.metadata().at(path)?.len();
    let mut window = 1 << 16;
    loop {
        let start = length.saturating_sub(window);
        file.seek(SeekFrom::Start(start)).at(path)?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail).at(path)?;
        if let Some((end, seq)) = last_event(&tail) {
            file.set_len(start + end as u64).at(path)?;
            file.seek(SeekFrom::End(0)).at(path)?;
            return Ok(seq);
        }
        if start == 0 {
            return empty(file, path, length);
        }
        window *= 8;
    }
}

fn empty(file: &mut File, path: &Path, length: u64) -> StageResult<u64> {
    // A first line that was torn may go; more than that without one event is not a journal.
    if length > 1 << 20 {
        return Err(StageError::work(path, "holds no event"));
    }
    file.set_len(0).at(path)?;
    file.seek(SeekFrom::Start(0)).at(path)?;
    Ok(0)
}

/// The end of the last whole line that is an event, and its number.
fn last_event(bytes: &[u8]) -> Option<(usize, u64)> {
    let mut end = bytes.iter().rposition(|&byte| byte == b'\n')?;
    loop {
        let start = bytes[..end]
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |newline| newline + 1);
        if let Ok(event) = serde_json::from_slice::<Event>(&bytes[start..end]) {
            return Some((end + 1, event.seq));
        }
        end = start.checked_sub(1)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn log(number: u64) -> EventBody {
        EventBody::Log {
            level: "info".to_owned(),
            message: format!("line {number}"),
        }
    }

    fn write(path: &Path, count: u64) -> bool {
        let journal = Journal::open(path).unwrap();
        (0..count).for_each(|number| journal.emit(log(number)));
        journal.sync().unwrap();
        journal.is_continued()
    }

    fn numbers(path: &Path) -> Vec<u64> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str::<Event>(line).unwrap().seq)
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn cut_anywhere_it_goes_on_without_a_gap(count in 1u64..40, part in 0.0f64..1.0) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal.jsonl");
            prop_assert!(!write(&path, count));
            let bytes = std::fs::read(&path).unwrap();
            let kept = (bytes.len() as f64 * part) as usize;
            std::fs::write(&path, &bytes[..kept]).unwrap();
            let whole = bytes[..kept].iter().filter(|&&byte| byte == b'\n').count() as u64;
            prop_assert_eq!(write(&path, 3), whole > 0);
            prop_assert_eq!(numbers(&path), (1..=whole + 3).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_a_power_cut_leaves_behind_is_cut_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        write(&path, 2);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"\0\0\0\0\n\0\0").unwrap();
        write(&path, 1);
        assert_eq!(numbers(&path), [1, 2, 3]);
    }

    #[test]
    fn a_long_torn_line_is_looked_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        write(&path, 2);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&vec![b'x'; 200_000]).unwrap();
        write(&path, 1);
        assert_eq!(numbers(&path), [1, 2, 3]);
    }

    #[test]
    fn sinks_of_other_threads_keep_each_threads_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let journal = Journal::open(&path).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let sink = journal.sink();
                scope.spawn(move || (0..100).for_each(|number| sink.emit(log(number))));
            }
        });
        journal.sync().unwrap();
        assert_eq!(numbers(&path), (1..=300).collect::<Vec<_>>());
    }
}
