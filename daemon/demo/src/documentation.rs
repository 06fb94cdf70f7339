//! Documentation comments: their lines, their prose, their first sentence.
//!
//! The corpus keeps the prose as written, without examples, which are code of another kind than the signatures around
//! them. A prompt is the first sentence as plain text: back-ticks and link targets say nothing about a signature that
//! the words do not.

use syn::{Attribute, Expr, Lit, Meta};

/// The shortest and longest first sentence that becomes a prompt, in characters.
const SENTENCE_CHARACTERS: std::ops::RangeInclusive<usize> = 12..=90;

/// The lines of the outer documentation among the attributes.
pub(crate) fn lines(attributes: &[Attribute]) -> Vec<String> {
    attributes
        .iter()
        .filter_map(doc_text)
        .flat_map(|text| comment_lines(&text))
        .collect()
}

fn doc_text(attribute: &Attribute) -> Option<String> {
    if !matches!(attribute.style, syn::AttrStyle::Outer) {
        return None;
    }
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    let Expr::Lit(literal) = &pair.value else {
        return None;
    };
    match &literal.lit {
        Lit::Str(text) if pair.path.is_ident("doc") => Some(text.value()),
        _ => None,
    }
}

/// One line for `///`, several for a `/** … */` block, whose lines may begin with a star.
fn comment_lines(text: &str) -> Vec<String> {
    let block = text.contains('\n');
    let clean = |line: &str| {
        let line = if block {
            line.trim_start().trim_start_matches("* ")
        } else {
            line
        };
        line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()
    };
    if block {
        text.trim().lines().map(clean).collect()
    } else {
        vec![clean(text)]
    }
}

/// The lines that are prose: no fenced or indented code, no headings, no link targets, no blank lines.
pub(crate) fn prose(lines: &[String]) -> Vec<&str> {
    let mut fenced = false;
    let mut prose = Vec::new();
    for line in lines {
        let text = line.trim();
        if text.starts_with("```") || text.starts_with("~~~") {
            fenced = !fenced;
        } else if !fenced && is_prose(line, text) {
            prose.push(text);
        }
    }
    prose
}

fn is_prose(line: &str, text: &str) -> bool {
    let indented_code = line.starts_with("    ") && !text.starts_with(['-', '*']);
    let link_target = text.starts_with('[') && text.contains("]: ");
    !(text.is_empty() || text.starts_with(['#', '<', '|']) || indented_code || link_target)
}

/// The first sentence as plain text, if it can be a prompt.
pub(crate) fn prompt_sentence(lines: &[String]) -> Option<String> {
    first_sentence(lines).filter(|sentence| {
        SENTENCE_CHARACTERS.contains(&sentence.chars().count())
            && sentence.starts_with(char::is_alphabetic)
            && !sentence.ends_with(':')
    })
}

/// The first sentence of the first paragraph as plain text.
pub(crate) fn first_sentence(lines: &[String]) -> Option<String> {
    let paragraph = lines
        .iter()
        .map(|line| line.trim())
        .skip_while(|line| line.is_empty());
    let paragraph: Vec<&str> = paragraph
        .take_while(|line| !line.is_empty() && !line.starts_with("```"))
        .collect();
    let text = plain(&paragraph.join(" "));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = &text[..sentence_end(&text)];
    (!sentence.is_empty()).then(|| sentence.to_owned())
}

/// What two spellings of one sentence share: its words, in lower case.
pub(crate) fn sentence_key(sentence: &str) -> String {
    let words = sentence
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// The position after the mark that ends the first sentence. A mark before a lower-case word ends none ("e.g. this").
fn sentence_end(text: &str) -> usize {
    for (position, mark) in text
        .char_indices()
        .filter(|(_, c)| matches!(c, '.' | '!' | '?'))
    {
        let end = position + mark.len_utf8();
        let mut rest = text[end..].chars();
        let ends = match (rest.next(), rest.next()) {
            (None, _) => true,
            (Some(' '), next) => !next.is_some_and(char::is_lowercase),
            _ => false,
        };
        if ends
            && !["e.g.", "i.e.", "vs.", "cf."]
                .iter()
                .any(|short| text[..end].ends_with(short))
        {
            return end;
        }
    }
    text.len()
}

/// Markdown without back-ticks, strong emphasis, and links, of which the words stay.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    let mut code = false;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match c {
            '`' => code = !code,
            '\\' if !code => {
                text.extend(after.chars().next());
                rest = after;
            }
            '*' if !code && after.starts_with('*') => rest = after,
            '[' if !code => {
                if let Some(end) = closing_bracket(after) {
                    text.push_str(&plain(&after[..end]));
                    rest = skip_link_target(&after[end + 1..]);
                    continue;
                }
                text.push(c);
            }
            _ => text.push(c),
        }
        rest = after_first(rest);
    }
    text
}

fn after_first(text: &str) -> &str {
    &text[text.chars().next().map_or(0, char::len_utf8)..]
}

fn closing_bracket(text: &str) -> Option<usize> {
    let mut depth = 1;
    for (position, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(position);
        }
    }
    None
}

fn skip_link_target(text: &str) -> &str {
    let close = match text.chars().next() {
        Some('(') => ')',
        Some('[') => ']',
        _ => return text,
    };
    text.find(close).map_or(text, |end| &text[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|&line| line.to_owned()).collect()
    }

    fn check_sentence(lines: &[&str], expected: Option<&str>) {
        assert_eq!(prompt_sentence(&owned(lines)).as_deref(), expected);
    }

    #[test]
    fn the_first_sentence_is_plain_text() {
        check_sentence(
            &[
                "Returns `true` if the [`Value`] is a",
                "[byte string](Bytes).",
                "",
                "More.",
            ],
            Some("Returns true if the Value is a byte string."),
        );
        check_sentence(&["Reads one byte. Then it stops."], Some("Reads one byte."));
        check_sentence(
            &["Takes a mark, e.g. A or B, as one. Next."],
            Some("Takes a mark, e.g. A or B, as one."),
        );
        check_sentence(
            &["Splits into `[u8; 4]` **always**"],
            Some("Splits into [u8; 4] always"),
        );
        check_sentence(
            &["See [the book][book] for \\[more\\] of it."],
            Some("See the book for [more] of it."),
        );
    }

    #[test]
    fn what_cannot_be_a_prompt_is_none() {
        check_sentence(&["Too short."], None);
        check_sentence(&["# Safety of the function"], None);
        check_sentence(&["One of the following holds:"], None);
        check_sentence(&[&"long ".repeat(19)], None);
        check_sentence(&[], None);
    }

    #[test]
    fn prose_has_no_examples() {
        let lines = owned(&[
            "Adds.",
            "",
            "# Examples",
            "```",
            "let x = 1;",
            "```",
            "    code()",
            "[x]: target",
            "Ends.",
        ]);
        assert_eq!(prose(&lines), ["Adds.", "Ends."]);
    }

    #[test]
    fn block_comments_give_lines() {
        let item: syn::ItemFn = syn::parse_str("/** Adds one\n * to it.\n */\nfn f() {}").unwrap();
        assert_eq!(lines(&item.attrs), ["Adds one", "to it."]);
    }

    #[test]
    fn spellings_of_one_sentence_share_a_key() {
        assert_eq!(
            sentence_key("Returns  the Length."),
            sentence_key("returns the length")
        );
        assert_ne!(
            sentence_key("Returns the length"),
            sentence_key("Returns the width")
        );
    }
}
