//! Rust tokens as one line of text, spaced the way rustfmt would.
//!
//! A model learns from the text, so one signature must have one spelling, whatever line breaks, comments and trailing
//! commas its author used. Working from tokens and not from the source text makes that so by construction, and the
//! spelling independent of the version of any formatter.

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// What a piece of the line is, as far as spacing cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A name, a literal or a lifetime.
    Word,
    /// A reserved word after which an operator is a prefix (`mut *const T`), or a lifetime.
    Introducer,
    /// An operator that belongs to what follows it: `&` in `&str`.
    Prefix,
    /// Any other operator.
    Operator,
    Open,
    Close,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    text: String,
    kind: Kind,
}

impl Piece {
    fn is(&self, text: &str) -> bool {
        self.text == text && self.kind != Kind::Word
    }
}

/// The tokens as one line, without trailing commas.
pub(crate) fn one_line(tokens: TokenStream) -> String {
    let pieces = pieces(tokens);
    let mut line = String::new();
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 && space_between(&pieces[index - 1], piece) {
            line.push(' ');
        }
        line.push_str(&piece.text);
    }
    line
}

/// The words and marks of the tokens in order, brackets as one mark each.
pub(crate) fn words(tokens: TokenStream) -> Vec<String> {
    pieces(tokens)
        .into_iter()
        .filter(|piece| piece.kind != Kind::Close)
        .map(|piece| piece.text)
        .collect()
}

fn pieces(tokens: TokenStream) -> Vec<Piece> {
    let mut pieces = Vec::new();
    flatten(tokens, &mut pieces);
    pieces
}

fn flatten(tokens: TokenStream, pieces: &mut Vec<Piece>) {
    let mut operator = String::new();
    for token in tokens {
        match token {
            TokenTree::Punct(punct) => {
                if !OPERATORS
                    .iter()
                    .any(|known| known.starts_with(&format!("{operator}{}", punct.as_char())))
                {
                    push_operator(&mut operator, pieces);
                }
                operator.push(punct.as_char());
                if punct.spacing() == Spacing::Alone {
                    push_operator(&mut operator, pieces);
                }
            }
            TokenTree::Ident(ident) => {
                let text = format!("{}{ident}", std::mem::take(&mut operator));
                let kind = if introduces(&text) {
                    Kind::Introducer
                } else {
                    Kind::Word
                };
                pieces.push(Piece { text, kind });
            }
            TokenTree::Literal(literal) => pieces.push(Piece {
                text: literal.to_string(),
                kind: Kind::Word,
            }),
            TokenTree::Group(group) => flatten_group(&group, pieces),
        }
    }
}

/// Operators of more than one character. `>>` is not among them: in a signature it closes two lists of generics.
const OPERATORS: [&str; 10] = ["::", "->", "=>", "..", "..=", "...", "&&", "||", "==", "!="];

fn push_operator(operator: &mut String, pieces: &mut Vec<Piece>) {
    if !operator.is_empty() {
        push_one_operator(std::mem::take(operator), pieces);
    }
}

fn push_one_operator(text: String, pieces: &mut Vec<Piece>) {
    if text == ">" {
        drop_trailing_comma(pieces);
    }
    let after_value = pieces
        .last()
        .is_some_and(|piece| matches!(piece.kind, Kind::Word | Kind::Close));
    let prefix = match text.as_str() {
        "?" | "!" | "#" | "~" | "$" => true,
        "&" | "&&" | "*" | "-" => !after_value,
        _ => false,
    };
    pieces.push(Piece {
        text,
        kind: if prefix { Kind::Prefix } else { Kind::Operator },
    });
}

fn flatten_group(group: &Group, pieces: &mut Vec<Piece>) {
    let (open, close) = match group.delimiter() {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::None => return flatten(group.stream(), pieces),
    };
    let follows_name = pieces
        .last()
        .is_some_and(|piece| piece.kind == Kind::Word || piece.is(">"));
    pieces.push(Piece {
        text: open.to_owned(),
        kind: Kind::Open,
    });
    let start = pieces.len();
    flatten(group.stream(), pieces);
    let tuple_of_one = open == "(" && !follows_name && commas(&pieces[start..]) == 1;
    if pieces.len() > start && !tuple_of_one {
        drop_trailing_comma(pieces);
    }
    pieces.push(Piece {
        text: close.to_owned(),
        kind: Kind::Close,
    });
}

/// The number of commas outside of inner brackets and generics.
fn commas(pieces: &[Piece]) -> usize {
    let (mut depth, mut count) = (0_i32, 0);
    for piece in pieces {
        match piece.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth -= 1,
            _ if piece.is("<") => depth += 1,
            _ if piece.is(">") => depth -= 1,
            _ if piece.is(",") && depth == 0 => count += 1,
            _ => {}
        }
    }
    count
}

fn drop_trailing_comma(pieces: &mut Vec<Piece>) {
    if pieces.last().is_some_and(|piece| piece.is(",")) {
        pieces.pop();
    }
}

fn introduces(text: &str) -> bool {
    text.starts_with('\'')
        || matches!(
            text,
            "as" | "const" | "dyn" | "impl" | "in" | "mut" | "where" | "for" | "ref"
        )
}

fn space_between(before: &Piece, after: &Piece) -> bool {
    if before.kind == Kind::Open || after.kind == Kind::Close {
        return before.is("{") != after.is("}");
    }
    if before.kind == Kind::Prefix
        || ["::", ".", "<", "..", "..="]
            .iter()
            .any(|mark| before.is(mark))
    {
        return false;
    }
    let value = matches!(before.kind, Kind::Word | Kind::Close) || before.is(">");
    match after.text.as_str() {
        "," | ";" | ":" | "." | "..=" if after.kind == Kind::Operator => false,
        ">" => false,
        "<" => !(value || before.is("impl") || before.is("for")),
        "::" => !value,
        ".." => before.kind != Kind::Word,
        "(" => !value,
        "[" => before.kind != Kind::Word,
        "!" => before.kind != Kind::Word,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &str) {
        let tokens: TokenStream = source.parse().unwrap();
        let line = one_line(tokens);
        assert_eq!(line, expected);
        assert_eq!(
            one_line(line.parse().unwrap()),
            expected,
            "a second pass changes nothing"
        );
    }

    #[test]
    fn spacing_is_that_of_rustfmt() {
        for line in [
            "fn is_empty(&self) -> bool",
            "fn get_mut<'a, K: ?Sized + Hash>(&'a mut self, key: &K) -> Option<&'a mut V>",
            "fn write(&mut self, bytes: &[u8]) -> Result<(), io::Error>",
            "fn parts(self) -> (Vec<u8>, usize)",
            "fn iter(&self) -> impl Iterator<Item = &T> + '_",
            "fn boxed(self: Box<Self>) -> Box<dyn FnOnce(&str, u8) -> bool + Send + 'static>",
            "fn halves(block: [u8; 16]) -> ([u8; 8], [u8; N * 2])",
            "fn raw(self) -> *const T",
            "fn never() -> !",
            "fn single(x: u8) -> (u8,)",
            "fn out(x: <T as Trait>::Out) -> <Self as Deref>::Target",
            "fn call(f: impl for<'x> Fn(&'x str) -> ::std::string::String)",
            "fn filter(f: fn(&u8) -> bool, g: &dyn Fn(u8))",
            "fn bytes(&'static self) -> &'static [u8]",
            "fn shared(x: &&str, y: &mut &T) -> Vec<Vec<u8>>",
            "fn sized() -> Array<{ N + 1 }>",
            "pub(crate) fn f(&self)",
        ] {
            check(line, line);
        }
    }

    #[test]
    fn line_breaks_comments_and_trailing_commas_go() {
        check(
            "fn  a (\n  x : u8 , // why\n  y:Vec < u8 , >,\n)",
            "fn a(x: u8, y: Vec<u8>)",
        );
        check(
            "fn b(x: (u8, u16,), y: HashMap<A, B,>,) -> Map<(A,),>",
            "fn b(x: (u8, u16), y: HashMap<A, B>) -> Map<(A,)>",
        );
        check(
            "Variant { a : u8 , b : u16 , }",
            "Variant { a: u8, b: u16 }",
        );
    }

    #[test]
    fn a_bracket_pair_is_one_word() {
        assert_eq!(
            words("Option<&'a [u8]>".parse().unwrap()),
            ["Option", "<", "&", "'a", "[", "u8", ">"]
        );
        assert_eq!(
            words("io::Result<()>".parse().unwrap()),
            ["io", "::", "Result", "<", "(", ">"]
        );
    }
}
