//! The lines of a log that are kept, and which of them are looked at.

use std::collections::VecDeque;

use super::super::fetch::LogPiece;
use super::super::text::Cleaner;

/// So many lines are kept, each of so many characters.
const LINES_MAX: usize = 5_000;
const CHARACTERS_MAX: usize = 4_000;

/// A log's end.
#[derive(Debug, Default)]
pub struct Log {
    lines: VecDeque<String>,
    /// How many lines were let go before those that are kept.
    gone: usize,
    /// The line that is not ended yet.
    open: String,
    cleaner: Cleaner,
    after_return: bool,
    /// Whether something has come, be it nothing.
    pub has_come: bool,
    /// Whether the log begins before what is kept.
    pub is_tail: bool,
    /// The last line that is looked at, counted from the first that ever came; none follows the end.
    looked_at: Option<usize>,
}

impl Log {
    /// Takes the next piece.
    pub fn take(&mut self, piece: &LogPiece) {
        if piece.anew {
            *self = Self {
                is_tail: piece.is_tail,
                ..Self::default()
            };
        }
        self.has_come = true;
        // A tail begins anywhere in a line.
        let cut = piece.is_tail && piece.anew;
        let text = match piece.text.split_once('\n') {
            Some((_, rest)) if cut => rest,
            _ => &piece.text,
        };
        for part in text.split_inclusive(['\n', '\r']) {
            self.part(part);
        }
    }

    /// Text that ends with at most one line feed or return. A return begins the line again, as on a terminal; before a
    /// line feed it means nothing.
    fn part(&mut self, part: &str) {
        let (text, end) = match part.strip_suffix(['\n', '\r']) {
            Some(text) => (text, part.chars().next_back()),
            None => (part, None),
        };
        if !text.is_empty() {
            if std::mem::take(&mut self.after_return) {
                self.open.clear();
            }
            let clean = self.cleaner.filter(text);
            let room = CHARACTERS_MAX.saturating_sub(self.open.chars().count());
            self.open.extend(clean.chars().take(room));
        }
        match end {
            Some('\n') => self.end_line(),
            Some(_) => self.after_return = true,
            None => {}
        }
    }

    fn end_line(&mut self) {
        self.after_return = false;
        // A sequence that a line feed cuts must not swallow the lines after it.
        self.cleaner = Cleaner::default();
        self.lines.push_back(std::mem::take(&mut self.open));
        if self.lines.len() > LINES_MAX {
            self.lines.pop_front();
            self.gone += 1;
            self.is_tail = true;
        }
    }

    /// How many lines are kept, the open one included.
    pub fn len(&self) -> usize {
        self.lines.len() + usize::from(!self.open.is_empty())
    }

    /// The lines up to the one that is looked at, the last first.
    pub fn upwards(&self) -> impl Iterator<Item = &str> {
        let end = self.end();
        let lines = self.lines.iter().map(String::as_str);
        let open = std::iter::once(self.open.as_str()).filter(|open| !open.is_empty());
        let all: Vec<&str> = lines.chain(open).take(end).collect();
        all.into_iter().rev()
    }

    /// How many of the kept lines stand above or at the one that is looked at.
    pub fn end(&self) -> usize {
        let len = self.len();
        let end = self
            .looked_at
            .map(|line| line.saturating_sub(self.gone) + 1);
        end.map_or(len, |end| end.min(len))
    }

    /// Whether what is added is followed.
    pub fn follows(&self) -> bool {
        self.looked_at.is_none()
    }

    /// Looks so many lines further up, or down.
    pub fn scroll(&mut self, lines: isize) {
        let len = self.len();
        let end = self
            .end()
            .saturating_add_signed(lines)
            .clamp(1.min(len), len);
        self.looked_at = (end < len).then(|| self.gone + end - 1);
    }

    /// Follows the end.
    pub fn follow_end(&mut self) {
        self.looked_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(pieces: &[&str]) -> Log {
        let mut log = Log::default();
        for text in pieces {
            log.take(&LogPiece {
                text: (*text).to_owned(),
                ..LogPiece::default()
            });
        }
        log
    }

    fn lines(log: &Log) -> Vec<&str> {
        let mut lines: Vec<&str> = log.upwards().collect();
        lines.reverse();
        lines
    }

    #[test]
    fn lines_however_they_are_cut() {
        for (pieces, expected) in [
            (&["a\nb"][..], &["a", "b"][..]),
            (&["a", "b\nc\n"], &["ab", "c"]),
            (&["a\r\nb\r", "\nc"], &["a", "b", "c"]),
            (&["10 %\r20 %\r", "30 %\n"], &["30 %"]),
            (&["10 %\r"], &["10 %"]),
            (&["\u{1b}[2Jhome\u{1b}]0;ti", "tle\u{7}x\n"], &["homex"]),
            (&["\u{1b}]0;never ended\nnext\n"], &["", "next"]),
        ] {
            assert_eq!(lines(&log(pieces)), expected, "{pieces:?}");
        }
    }

    #[test]
    fn a_tail_begins_with_a_whole_line() {
        let mut log = Log::default();
        log.take(&LogPiece {
            anew: true,
            is_tail: true,
            text: "alf a line\nwhole\n".to_owned(),
        });
        assert_eq!(lines(&log), ["whole"]);
        assert!(log.is_tail);
    }

    #[test]
    fn what_is_looked_at_stays_while_more_comes() {
        let mut log = log(&["1\n2\n3\n4\n"]);
        log.scroll(-2);
        assert_eq!(lines(&log), ["1", "2"]);
        log.take(&LogPiece {
            text: "5\n".repeat(LINES_MAX - 3),
            ..LogPiece::default()
        });
        assert_eq!(lines(&log), ["2"], "the first line was let go");
        assert!(!log.follows());
        log.scroll(-100);
        assert_eq!(lines(&log), ["2"]);
        log.scroll(isize::MAX);
        assert!(log.follows());
    }

    #[test]
    fn lines_and_their_length_are_bounded() {
        let long = "x".repeat(CHARACTERS_MAX * 2);
        let log = log(&[&long, &"\ny".repeat(LINES_MAX + 10)]);
        assert!(log.len() <= LINES_MAX + 1);
        assert!(lines(&log).iter().all(|line| line.len() <= CHARACTERS_MAX));
    }
}
