//! Text that grows token by token, given out in pieces that never have to be taken back.

/// What may be given out of a text whose end may still change, and whether a stop text ends it.
///
/// Held back are a character that is not whole yet (decoders show it as U+FFFD) and the beginning of what may become a
/// stop text.
pub(super) fn safe_prefix<'a>(text: &'a str, stops: &[String], is_final: bool) -> (&'a str, bool) {
    let first = stops
        .iter()
        .filter_map(|stop| text.find(stop.as_str()))
        .min();
    if let Some(position) = first {
        return (&text[..position], true);
    }
    if is_final {
        return (text, false);
    }
    let whole = text.trim_end_matches('\u{fffd}');
    let held = stops
        .iter()
        .map(|stop| begun(whole, stop))
        .max()
        .unwrap_or(0);
    (&whole[..whole.len() - held], false)
}

/// Bytes at the end of `text` with which `stop` begins.
fn begun(text: &str, stop: &str) -> usize {
    let ends = stop.char_indices().map(|(index, _)| index).rev();
    ends.into_iter()
        .find(|&end| text.ends_with(&stop[..end]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, stops: &[&str], is_final: bool, expected: (&str, bool)) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        assert_eq!(safe_prefix(text, &stops, is_final), expected);
    }

    #[test]
    fn only_what_stays_is_given_out() {
        check("fn a", &[";"], false, ("fn a", false));
        check("fn a; b", &[";", "{"], false, ("fn a", true));
        check("é\u{fffd}", &[], false, ("é", false));
        check("é\u{fffd}", &[], true, ("é\u{fffd}", false));
        check("say EN", &["END"], false, ("say ", false));
        check("say EN", &["END"], true, ("say EN", false));
        check("say ENE", &["END"], false, ("say EN", false));
        check("aab", &["aabc", "bd"], false, ("", false));
        check("", &["x"], false, ("", false));
    }
}
