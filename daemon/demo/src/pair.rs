//! Pairs: a sentence and the signature of the function that it documents.

use std::collections::{BTreeMap, BTreeSet};

use crate::documentation;
use crate::gold::parse_signature;
use crate::skeleton::DocumentedFunction;
use crate::split;
use crate::vendor::ReadCrate;

/// The longest signature, from `fn` on, in characters.
const SIGNATURE_CHARACTERS_MAX: usize = 68;

/// One row of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Pair {
    pub(crate) prompt: String,
    pub(crate) completion: String,
    /// What decides the row's split and place.
    #[serde(skip)]
    pub(crate) key: String,
    /// Where in the list of crates its crate stands.
    #[serde(skip)]
    pub(crate) source: usize,
}

/// The pairs of all crates, each in the order of their place, each sentence once.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    /// Of crates that models may train on.
    pub(crate) training: Vec<Pair>,
    /// Of the others, without any sentence that documents a function of the former.
    pub(crate) held_out: Vec<Pair>,
    /// Functions whose sentence and signature pass the filters, before repeated sentences are dropped.
    pub(crate) before_repeats: usize,
}

/// Collects the pairs of all crates.
pub(crate) fn collect(crates: &[ReadCrate]) -> Pairs {
    let mut seen_in_training = BTreeSet::new();
    let (mut training, mut held_out) = (Vec::new(), Vec::new());
    for (source, one) in crates.iter().enumerate() {
        let is_held_out = split::is_held_out(&one.name);
        for function in one.files.iter().flat_map(|file| &file.skeleton.functions) {
            if !is_held_out
                && let Some(sentence) = documentation::first_sentence(&function.documentation)
            {
                seen_in_training.insert(documentation::sentence_key(&sentence));
            }
            if let Some(pair) = pair(function, source) {
                if is_held_out {
                    held_out.push(pair)
                } else {
                    training.push(pair)
                }
            }
        }
    }
    let before_repeats = training.len() + held_out.len();
    held_out.retain(|pair| !seen_in_training.contains(&pair.key));
    Pairs {
        training: one_for_each_sentence(training),
        held_out: one_for_each_sentence(held_out),
        before_repeats,
    }
}

/// The prompt that asks for the signature of a function with this documentation.
fn prompt(sentence: &str) -> String {
    format!("/// {sentence}\npub fn")
}

fn pair(function: &DocumentedFunction, source: usize) -> Option<Pair> {
    let sentence = documentation::prompt_sentence(&function.documentation)?;
    let signature = function.signature.as_deref()?;
    let completion = signature.strip_prefix("fn")?;
    if signature.chars().count() > SIGNATURE_CHARACTERS_MAX || parse_signature(completion).is_none()
    {
        return None;
    }
    let key = documentation::sentence_key(&sentence);
    Some(Pair {
        prompt: prompt(&sentence),
        completion: completion.to_owned(),
        key,
        source,
    })
}

/// Of functions with one sentence, the signature that most of them have; of equally frequent ones, the first by place.
fn one_for_each_sentence(pairs: Vec<Pair>) -> Vec<Pair> {
    let mut by_key: BTreeMap<String, Vec<Pair>> = BTreeMap::new();
    for pair in pairs {
        by_key.entry(pair.key.clone()).or_default().push(pair);
    }
    let mut chosen: Vec<Pair> = by_key.into_values().filter_map(most_frequent).collect();
    chosen.sort_by_cached_key(|pair| split::place(&pair.key));
    chosen
}

fn most_frequent(pairs: Vec<Pair>) -> Option<Pair> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for pair in &pairs {
        *counts.entry(pair.completion.clone()).or_default() += 1;
    }
    let rank = |pair: &Pair| {
        let rarity = usize::MAX - counts[&pair.completion];
        (
            rarity,
            split::place(&format!("{}{}", pair.prompt, pair.completion)),
            pair.source,
        )
    };
    pairs.into_iter().min_by_key(rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(sentence: &str, signature: &str) -> DocumentedFunction {
        DocumentedFunction {
            documentation: vec![sentence.to_owned()],
            signature: Some(signature.to_owned()),
        }
    }

    #[test]
    fn a_pair_is_prompt_and_completion() {
        let pair = pair(
            &function("Returns `true` if empty.", "fn is_empty(&self) -> bool"),
            0,
        )
        .unwrap();
        assert_eq!(pair.prompt, "/// Returns true if empty.\npub fn");
        assert_eq!(pair.completion, " is_empty(&self) -> bool");
    }

    #[test]
    fn long_signatures_and_bad_sentences_give_no_pair() {
        let long = format!("fn {}()", "a".repeat(64));
        assert_eq!(long.len(), 69);
        assert!(pair(&function("A sentence that is fine.", &long), 0).is_none());
        assert!(
            pair(
                &function("A sentence that is fine.", &long.replacen('a', "", 1)),
                0
            )
            .is_some()
        );
        assert!(pair(&function("Short.", "fn a()"), 0).is_none());
        let without = DocumentedFunction {
            signature: None,
            ..function("A sentence that is fine.", "")
        };
        assert!(pair(&without, 0).is_none());
    }

    #[test]
    fn the_most_frequent_signature_of_a_sentence_stays() {
        let pairs = [" size(&self)", " len(&self)", " len(&self)"].map(|completion| Pair {
            prompt: prompt("Returns the length."),
            completion: completion.to_owned(),
            key: "returns the length".to_owned(),
            source: 0,
        });
        let mut reversed = pairs.clone();
        reversed.reverse();
        for pairs in [pairs, reversed] {
            let chosen = one_for_each_sentence(pairs.to_vec());
            assert_eq!(
                chosen
                    .iter()
                    .map(|pair| pair.completion.as_str())
                    .collect::<Vec<_>>(),
                [" len(&self)"]
            );
        }
    }
}
