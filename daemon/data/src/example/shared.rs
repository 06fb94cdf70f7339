//! The prompt that answers share when a row has none of its own, found as TRL's `extract_prompt` does.

use super::Content;

/// Cuts answers, all texts or all conversations, behind what they have in common: the prompt, and what is left of each.
/// `None` if they have nothing in common. An answer is never cut down to nothing.
pub(super) fn split(answers: &[&Content]) -> Option<(Content, Vec<Content>)> {
    let texts: Option<Vec<&str>> = answers.iter().map(|answer| answer.text()).collect();
    if let Some(texts) = texts {
        let cut = shared_text(&texts);
        let prompt = texts
            .first()?
            .get(..cut)
            .filter(|prompt| !prompt.is_empty())?;
        let rest = texts.iter().map(|text| text.get(cut..).map(owned_text));
        return Some((owned_text(prompt), rest.collect::<Option<_>>()?));
    }
    let lists: Option<Vec<_>> = answers.iter().map(|answer| answer.messages()).collect();
    let lists = lists?;
    let cut = shared_elements(&lists);
    let prompt = lists
        .first()?
        .get(..cut)
        .filter(|prompt| !prompt.is_empty())?;
    let rest = lists
        .iter()
        .map(|list| list.get(cut..).map(|rest| Content::Messages(rest.to_vec())));
    Some((
        Content::Messages(prompt.to_vec()),
        rest.collect::<Option<_>>()?,
    ))
}

fn owned_text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

/// How many bytes the texts begin with in common. A space before the first difference belongs to the answers, as
/// tokenizers join it to the word behind it; where one text begins another, its last character is the answer.
fn shared_text(texts: &[&str]) -> usize {
    let Some(first) = texts.first() else { return 0 };
    let mut before = 0;
    for (at, character) in first.char_indices() {
        if texts.iter().any(|text| text.len() == at) {
            return before;
        }
        let next = |text: &&str| text.get(at..).and_then(|rest| rest.chars().next());
        if texts.iter().any(|text| next(text) != Some(character)) {
            let space = first.get(before..at) == Some(" ");
            return if space { before } else { at };
        }
        before = at;
    }
    before
}

fn shared_elements<T: PartialEq>(lists: &[&[T]]) -> usize {
    let Some(first) = lists.first() else { return 0 };
    let shortest = lists.iter().map(|list| list.len()).min().unwrap_or(0);
    let differs = |&at: &usize| lists.iter().any(|list| list.get(at) != first.get(at));
    (0..shortest)
        .find(differs)
        .unwrap_or_else(|| shortest.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text_split(texts: &[&str]) -> Option<(String, Vec<String>)> {
        let contents: Vec<Content> = texts.iter().map(|text| owned_text(text)).collect();
        let (prompt, rest) = split(&contents.iter().collect::<Vec<_>>())?;
        let text = |content: Content| content.text().unwrap().to_owned();
        Some((text(prompt), rest.into_iter().map(text).collect()))
    }

    /// TRL's loop, over characters as Python has them, but for its look behind the first character, which wraps around.
    fn as_trl(chosen: &str, rejected: &str) -> usize {
        let chosen: Vec<char> = chosen.chars().collect();
        let rejected: Vec<char> = rejected.chars().collect();
        let mut index = 0;
        for at in 0..chosen.len().min(rejected.len()) {
            index = at;
            if chosen[at] != rejected[at] {
                if at > 0 && chosen[at - 1] == ' ' {
                    index -= 1;
                }
                break;
            }
        }
        index
    }

    /// Goldens: what `trl.data_utils.extract_prompt` of TRL 1.16.0 returns for them.
    #[test]
    fn texts_are_cut_where_trl_cuts_them() {
        for (chosen, rejected, prompt) in [
            ("The sky is blue.", "The sky is green.", "The sky is"),
            ("Q: sky?\nA: blue", "Q: sky?\nA: red", "Q: sky?\nA:"),
            ("two  spaces", "two  words", "two "),
            ("a b", "a bc", "a "),
            ("abc", "abd", "ab"),
            ("naïve é", "naïve è", "naïve"),
            ("日本語", "日本酒", "日本"),
        ] {
            let (found, rest) = text_split(&[chosen, rejected]).unwrap();
            assert_eq!(found, prompt);
            assert_eq!(rest, [&chosen[prompt.len()..], &rejected[prompt.len()..]]);
        }
        assert_eq!(text_split(&["a", "b"]), None);
        assert_eq!(text_split(&["a", "ab"]), None);
        assert_eq!(text_split(&[" x", " y"]), None);
    }

    #[test]
    fn an_edited_answer_has_a_say() {
        let (prompt, rest) = text_split(&["Q A1 x", "Q A1 y", "Q B"]).unwrap();
        assert_eq!(prompt, "Q");
        assert_eq!(rest, [" A1 x", " A1 y", " B"]);
    }

    proptest! {
        #[test]
        fn any_two_texts_are_cut_as_trl_does(shared in "[ab é]{0,6}", one in "[ab é]{0,4}", other in "[ab é]{0,4}") {
            let (one, other) = (format!("{shared}{one}"), format!("{shared}{other}"));
            let cut = shared_text(&[&one, &other]);
            prop_assert_eq!(one[..cut].chars().count(), as_trl(&one, &other));
            prop_assert_eq!(shared_text(&[&other, &one]), cut);
        }

        #[test]
        fn lists_are_cut_before_the_first_difference(one in proptest::collection::vec(0..2, 1..6), other in proptest::collection::vec(0..2, 1..6)) {
            let cut = shared_elements(&[&one[..], &other[..]]);
            prop_assert_eq!(&one[..cut], &other[..cut]);
            prop_assert!(cut < one.len() && cut < other.len());
            let shortest = one.len().min(other.len());
            prop_assert!(one[cut] != other[cut] || cut == shortest - 1);
        }
    }
}
