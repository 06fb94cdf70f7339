use begat_schemas::Event;

/// The longest line of a journal, in bytes. What is longer is skipped, so that no stage fills the daemon's memory.
pub const JOURNAL_LINE_BYTES_MAX: usize = 4 << 20;

/// Turns a journal's bytes, in pieces of any size, into its lines. The unfinished last line is kept until its rest comes.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    unfinished: Vec<u8>,
    /// Bytes of an overlong line that were thrown away.
    skipped: u64,
    position: u64,
    lines: u64,
    last_seq: u64,
}

/// A line of a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Where the next line begins, in bytes from the journal's start.
    pub end: u64,
    /// What the line is.
    pub line: Line,
}

/// What a line of a journal can be.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Line {
    /// The event that was due.
    Event(Event),
    /// An event, but some before it are missing.
    Gap {
        /// The event.
        event: Event,
        /// The number that was due.
        expected: u64,
    },
    /// An event with a number that was there before. It does not count.
    Duplicate {
        /// The number.
        seq: u64,
    },
    /// No event.
    Bad {
        /// The line's number, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
}

impl Line {
    /// What is wrong with the line, in a sentence.
    pub fn fault(&self) -> Option<String> {
        match self {
            Self::Event(_) => None,
            Self::Gap { event, expected } => Some(format!(
                "event {expected} was due, event {} came",
                event.seq
            )),
            Self::Duplicate { seq } => Some(format!("event {seq} came twice")),
            Self::Bad { line, problem } => Some(format!("line {line} is no event: {problem}")),
        }
    }
}

impl Decoded {
    /// The event, if the line is one that counts.
    pub fn into_event(self) -> Option<Event> {
        match self.line {
            Line::Event(event) | Line::Gap { event, .. } => Some(event),
            Line::Duplicate { .. } | Line::Bad { .. } => None,
        }
    }
}

impl Decoder {
    /// A decoder at a journal's start.
    pub fn new() -> Self {
        Self::default()
    }

    /// The lines that `bytes`, which follow those pushed before, bring to an end. Empty lines are passed over.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Decoded> {
        let mut found = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                None => self.keep(piece),
                Some(rest) => {
                    self.keep(rest);
                    found.extend(self.end_line());
                }
            }
        }
        found
    }

    /// Where the first line begins that is not whole yet: read on from here after [`Self::forget_unfinished`].
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Number of bytes after the last whole line.
    pub fn unfinished(&self) -> u64 {
        self.unfinished.len() as u64 + self.skipped
    }

    /// Forgets the bytes after the last whole line: a stage that goes on cuts the line that its end had torn.
    pub fn forget_unfinished(&mut self) {
        self.unfinished = Vec::new();
        self.skipped = 0;
    }

    /// The number of the newest event; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = JOURNAL_LINE_BYTES_MAX.saturating_sub(self.unfinished.len());
        if self.skipped > 0 || piece.len() > room {
            self.skipped += (self.unfinished.len() + piece.len()) as u64;
            self.unfinished = Vec::new();
        } else {
            self.unfinished.extend_from_slice(piece);
        }
    }

    fn end_line(&mut self) -> Option<Decoded> {
        let bytes = std::mem::take(&mut self.unfinished);
        let skipped = std::mem::take(&mut self.skipped);
        self.position += bytes.len() as u64 + skipped + 1;
        self.lines += 1;
        if skipped == 0 && bytes.trim_ascii().is_empty() {
            return None;
        }
        let line = if skipped > 0 {
            self.bad(format!("it has {skipped} bytes, at most 4 MiB are read"))
        } else {
            match serde_json::from_slice::<Event>(&bytes) {
                Ok(event) => self.place(event),
                Err(error) => self.bad(error.to_string()),
            }
        };
        Some(Decoded {
            end: self.position,
            line,
        })
    }

    fn place(&mut self, event: Event) -> Line {
        let expected = self.last_seq + 1;
        if event.seq < expected {
            return Line::Duplicate { seq: event.seq };
        }
        self.last_seq = event.seq;
        if event.seq == expected {
            Line::Event(event)
        } else {
            Line::Gap { event, expected }
        }
    }

    fn bad(&self, problem: String) -> Line {
        Line::Bad {
            line: self.lines,
            problem,
        }
    }
}

/// A journal, read whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Journal {
    /// Its events, those that a resume made void included.
    pub events: Vec<Event>,
    /// What is wrong with it, a sentence each.
    pub faults: Vec<String>,
    /// Number of bytes after the last whole line.
    pub unfinished: u64,
}

/// Reads a whole journal.
pub fn decode(bytes: &[u8]) -> Journal {
    let mut decoder = Decoder::new();
    let mut journal = Journal::default();
    for decoded in decoder.push(bytes) {
        journal.faults.extend(decoded.line.fault());
        journal.events.extend(decoded.into_event());
    }
    journal.unfinished = decoder.unfinished();
    journal
}

#[cfg(test)]
mod tests {
    use super::super::examples::{event, line, metrics};
    use super::*;
    use begat_schemas::EventBody;
    use proptest::prelude::*;

    fn log(message: &str) -> EventBody {
        EventBody::Log {
            level: "info".to_owned(),
            message: message.to_owned(),
        }
    }

    fn check(text: &[u8], events: &[u64], faults: &[&str]) {
        let journal = decode(text);
        let found: Vec<u64> = journal.events.iter().map(|event| event.seq).collect();
        assert_eq!(found, events);
        assert_eq!(journal.faults, faults);
    }

    fn lines(seqs: &[u64]) -> Vec<u8> {
        seqs.iter()
            .flat_map(|seq| line(&event(*seq, log("x"))))
            .collect()
    }

    #[test]
    fn gaps_and_doubles_are_seen() {
        check(&lines(&[1, 2, 3]), &[1, 2, 3], &[]);
        check(
            &lines(&[1, 3, 4]),
            &[1, 3, 4],
            &["event 2 was due, event 3 came"],
        );
        check(&lines(&[1, 2, 2, 3]), &[1, 2, 3], &["event 2 came twice"]);
    }

    #[test]
    fn a_line_that_is_no_event_is_named() {
        let text = [lines(&[1]), b"{\"seq\": 2}\n\n".to_vec(), lines(&[2])].concat();
        check(
            &text,
            &[1, 2],
            &["line 2 is no event: missing field `time` at line 1 column 10"],
        );
    }

    #[test]
    fn an_overlong_line_is_passed_over_without_being_held() {
        let mut decoder = Decoder::new();
        for _ in 0..9 {
            assert_eq!(decoder.push(&vec![b'x'; 1 << 20]), []);
        }
        assert_eq!(decoder.unfinished(), 9 << 20);
        assert!(decoder.unfinished.is_empty());
        let found = decoder.push(&[b"\n".to_vec(), lines(&[1])].concat());
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0].line.fault().unwrap(),
            "line 1 is no event: it has 9437184 bytes, at most 4 MiB are read"
        );
        assert!(matches!(found[1].line, Line::Event(_)));
    }

    #[test]
    fn a_torn_line_that_was_cut_is_forgotten() {
        let (whole, torn) = (lines(&[1]), &lines(&[2])[..20]);
        let mut decoder = Decoder::new();
        assert_eq!(decoder.push(&[&whole, torn].concat()).len(), 1);
        assert_eq!(decoder.unfinished(), 20);
        decoder.forget_unfinished();
        assert_eq!(decoder.position(), whole.len() as u64);
        let found = decoder.push(&lines(&[2, 3]));
        assert!(found.iter().all(|found| found.line.fault().is_none()));
        assert_eq!(decoder.last_seq(), 3);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(count in 1..20_u64, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10)) {
            let bytes: Vec<u8> = (1..=count).flat_map(|seq| line(&event(seq, metrics(seq, "loss", 1.0 / seq as f64)))).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.sort_unstable();
            let mut decoder = Decoder::new();
            let mut found = Vec::new();
            let mut from = 0;
            for to in cuts.into_iter().chain([bytes.len()]) {
                found.extend(decoder.push(&bytes[from..to]));
                from = to;
            }
            prop_assert_eq!(decoder.position(), bytes.len() as u64);
            let expected = Decoder::new().push(&bytes);
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(found.len() as u64, count);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut decoder = Decoder::new();
            decoder.push(&bytes);
            prop_assert_eq!(decoder.position() + decoder.unfinished(), bytes.len() as u64);
        }
    }
}
