//! Which samples of a prompt are compared.

use begat_schemas::GoldRule;

use crate::stages::gold;
use crate::stages::sampling::{Prompt, Sample};

/// A sample that is compared with others of its prompt.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    /// Its number among the prompt's samples.
    pub k: u32,
    /// What it says.
    pub text: String,
    /// Whether the model ended it, by end-of-text or a stop text.
    pub ended: bool,
    /// What the rule says of it, if one is asked.
    pub gold: Option<f64>,
}

/// The candidates of a prompt, in the order of their numbers.
pub(super) type Candidates = Vec<Candidate>;

/// The samples that say something, each text once: by the first sample that ended with it, else the first.
pub(super) fn distinct(prompt: &Prompt, samples: &[Sample], rule: Option<GoldRule>) -> Candidates {
    let mut kept: Vec<(u32, &Sample)> = Vec::new();
    for (k, sample) in (0..).zip(samples) {
        match kept.iter_mut().find(|(_, other)| other.text == sample.text) {
            Some(other) if sample.ended && !other.1.ended => *other = (k, sample),
            Some(_) => {}
            None if sample.text.trim().is_empty() => {}
            None => kept.push((k, sample)),
        }
    }
    kept.sort_by_key(|(k, _)| *k);
    let candidate = |(k, sample): (u32, &Sample)| {
        let gold = rule.and_then(|rule| gold::score(rule, prompt.reference.as_deref(), sample));
        Candidate {
            k,
            text: sample.text.clone(),
            ended: sample.ended,
            gold: gold.map(|gold| gold.score),
        }
    };
    kept.into_iter().map(candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_there_once_and_empty_ones_are_not() {
        let sample = |text: &str, ended: bool| Sample {
            text: text.to_owned(),
            ended,
            stopped: ended,
            tokens: vec![1],
        };
        let samples = [
            sample(" a", false),
            sample("", true),
            sample(" b", true),
            sample(" a", true),
            sample(" a", true),
            sample(" b", false),
            sample("  ", true),
        ];
        let prompt = Prompt {
            row: 0,
            place: String::new(),
            given: "p".into(),
            text: "p".to_owned(),
            tokens: vec![1],
            reference: None,
        };
        let found = distinct(&prompt, &samples, None);
        let found: Vec<(u32, &str, bool)> = found
            .iter()
            .map(|one| (one.k, one.text.as_str(), one.ended))
            .collect();
        assert_eq!(found, [(2, " b", true), (3, " a", true)]);
    }
}
