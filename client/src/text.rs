//! Text that a model or a stage wrote, made safe for a terminal.
//!
//! Escape sequences can move the cursor, retitle the window or hide what was printed. They are removed, and so is every
//! other control character but tab and line feed, and what turns the direction of the text after it or has no width to be
//! seen by. The filter keeps its state, because a sequence may be cut in two.

/// Removes escape sequences and control characters from pieces of text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Printable {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// In a control sequence: ends with a letter or one of `@`, `~` and the like.
    Control,
    /// In an operating system command or another string: ends with BEL or ESC `\`.
    String,
    StringEscape,
}

impl Printable {
    /// What of the next piece may be printed.
    pub fn filter(&mut self, piece: &str) -> String {
        piece
            .chars()
            .filter(|&character| self.keeps(character))
            .collect()
    }

    fn keeps(&mut self, character: char) -> bool {
        let (next, keep) = match (self.state, character) {
            (State::String, '\u{1b}') => (State::StringEscape, false),
            (State::String, '\u{7}' | '\u{9c}') => (State::Text, false),
            (State::String, _) => (State::String, false),
            (State::StringEscape, '\\') => (State::Text, false),
            (_, '\u{1b}') => (State::Escape, false),
            (_, '\u{9b}') => (State::Control, false),
            (_, '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}') => (State::String, false),
            (State::StringEscape, _) => (State::String, false),
            (State::Escape, '[') => (State::Control, false),
            (State::Escape, ']' | 'P' | 'X' | '^' | '_') => (State::String, false),
            (State::Escape, ' '..='/') => (State::Escape, false),
            (State::Escape, '0'..='~') => (State::Text, false),
            (State::Control, ' '..='?') => (State::Control, false),
            (State::Control, '@'..='~') => (State::Text, false),
            (_, '\n' | '\t') => (State::Text, true),
            (_, other) => (State::Text, !other.is_control() && !misleads(other)),
        };
        self.state = next;
        keep
    }
}

/// Marks of direction, joiners and the byte order mark.
fn misleads(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A whole text, made safe.
pub fn printable(text: &str) -> String {
    Printable::default().filter(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn removes_colours_titles_and_cursor_movements() {
        for (text, expected) in [
            ("plain\ttext\n", "plain\ttext\n"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[2J\u{1b}[1;1Hhome", "home"),
            ("a\u{1b}]0;title\u{7}b", "ab"),
            ("a\u{1b}]8;;http://x\u{1b}\\link", "alink"),
            ("\u{9b}31mred", "red"),
            ("a\rb\u{8}c\u{7f}", "abc"),
            ("\u{1b}(Bx", "x"),
            ("é→日", "é→日"),
            ("abc\u{202e}fed\u{200b}", "abcfed"),
            ("\u{1b}\u{1b}[1mx", "x"),
        ] {
            assert_eq!(printable(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_controls_comes_through(text in "[\u{1b}\u{9b}\\[\\]a-c0-9;\u{7}\n\t\\\\é\u{80}-\u{9f}]{0,60}") {
            let clean = printable(&text);
            prop_assert!(clean.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()), "{clean:?}");
        }

        #[test]
        fn where_the_text_is_cut_does_not_matter(text in "[\u{1b}\\[\\]am0;\u{7}x]{0,40}", cut in 0usize..40) {
            let cut = text.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(text.len());
            let mut filter = Printable::default();
            let pieces = filter.filter(&text[..cut]) + &filter.filter(&text[cut..]);
            prop_assert_eq!(pieces, printable(&text));
        }
    }
}
