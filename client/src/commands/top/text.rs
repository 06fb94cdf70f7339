//! Text for cells of the terminal: nothing in it controls, every line is cut to its width.

use unicode_width::UnicodeWidthChar;

use crate::text::Printable;

/// Removes from pieces of text what could do more than be read, and tabs, whose width depends on where they stand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cleaner(Printable);

impl Cleaner {
    /// What of the next piece may be shown; line feeds stay, tabs are spaces.
    pub fn filter(&mut self, piece: &str) -> String {
        self.0.filter(piece).replace('\t', "    ")
    }
}

/// One line that may be shown.
pub fn clean(text: &str) -> String {
    Cleaner::default().filter(text).replace('\n', " ")
}

/// The columns that a text takes.
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

fn columns(character: char) -> usize {
    character.width().unwrap_or(0)
}

/// `text` in at most `width` columns; an ellipsis says that it went on.
pub fn cut(text: &str, width: usize) -> String {
    if self::width(text) <= width {
        return text.to_owned();
    }
    let Some(room) = width.checked_sub(1) else {
        return String::new();
    };
    format!("{}…", &text[..fitting(text, room)])
}

/// The same with the beginning left away: the end of a path says more.
pub fn cut_left(text: &str, width: usize) -> String {
    if self::width(text) <= width {
        return text.to_owned();
    }
    if width == 0 {
        return String::new();
    }
    let mut tails = text.char_indices().map(|(at, _)| &text[at..]);
    let tail = tails.find(|tail| self::width(tail) < width);
    format!("…{}", tail.unwrap_or_default())
}

/// `text` in rows of at most `width` columns; at least one.
pub fn rows(mut text: &str, width: usize) -> Vec<&str> {
    let mut rows = Vec::new();
    while self::width(text) > width {
        // A character that is wider than the row still has to go somewhere.
        let at = fitting(text, width).max(text.chars().next().map_or(0, char::len_utf8));
        rows.push(&text[..at]);
        text = &text[at..];
    }
    if rows.is_empty() || !text.is_empty() {
        rows.push(text);
    }
    rows
}

/// How many bytes of `text` fit into `width` columns.
fn fitting(text: &str, width: usize) -> usize {
    let mut taken = 0;
    let fits = text.char_indices().find(|(_, character)| {
        taken += columns(*character);
        taken > width
    });
    fits.map_or(text.len(), |(at, _)| at)
}

/// A length of time in at most eight columns, as a clock shows it: `0:07`, `25:30`, `1:02:33`, `3 d 4 h`.
pub fn clock(seconds: f64) -> String {
    const DAY: u64 = 86_400;
    if !seconds.is_finite() || seconds < 0.0 {
        return String::new();
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    match whole {
        0..3600 => format!("{minutes}:{rest:02}"),
        3600..DAY => format!("{hours}:{minutes:02}:{rest:02}"),
        _ if whole / DAY < 100 => format!("{} d {} h", whole / DAY, hours % 24),
        _ => format!("{} d", whole / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_shown_controls_nothing() {
        for (text, expected) in [
            ("\u{1b}[2J\u{1b}]0;title\u{7}a\tb", "a    b"),
            ("a\nb", "a b"),
            ("abc\u{202e}fed\u{200b}", "abcfed"),
        ] {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn wide_characters_are_not_halved() {
        for (width, cut_to, cut_left_to) in [
            (0, "", ""),
            (1, "…", "…"),
            (2, "…", "…"),
            (3, "日…", "…誌"),
            (5, "日本…", "…日誌"),
            (8, "日本日誌", "日本日誌"),
        ] {
            assert_eq!(cut("日本日誌", width), cut_to, "{width}");
            assert_eq!(cut_left("日本日誌", width), cut_left_to, "{width}");
        }
        assert_eq!(rows("日本日誌", 5), ["日本", "日誌"]);
        assert_eq!(rows("日本", 1), ["日", "本"]);
        assert_eq!(rows("", 5), [""]);
    }

    #[test]
    fn clocks() {
        for (seconds, text) in [
            (7.4, "0:07"),
            (1530.0, "25:30"),
            (3753.0, "1:02:33"),
            (273_600.0, "3 d 4 h"),
            (1e9, "11574 d"),
            (f64::NAN, ""),
        ] {
            assert_eq!(clock(seconds), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_cut_fits(text in "[a-c日é\u{301} ]{0,12}", room in 0usize..12) {
            prop_assert!(width(&cut(&text, room)) <= room);
            prop_assert!(width(&cut_left(&text, room)) <= room);
            prop_assert_eq!(rows(&text, room).concat(), text);
        }
    }
}
