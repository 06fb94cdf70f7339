//! What is said of a set of completions.

use std::collections::BTreeSet;

use begat_demo::gold::Gold;
use begat_schemas::GoldRule;

use crate::stages::gold;
use crate::stages::sampling::{Prompt, Sample};

/// The likeliest signature of all, whatever was asked: what a model that understood nothing could always say.
pub(super) const GOLD_CONSTANT: &str = " is_empty(&self) -> bool";

/// Each completion's score against its reference; none where there is no reference, or no rule.
pub(super) fn gold(
    rule: Option<GoldRule>,
    prompts: &[Prompt],
    samples: &[Sample],
) -> Vec<Option<Gold>> {
    let score = |(prompt, sample): (&Prompt, &Sample)| {
        gold::score(rule?, prompt.reference.as_deref(), sample)
    };
    prompts.iter().zip(samples).map(score).collect()
}

/// Means over completions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Summary {
    pub gold_score: f64,
    pub parses: f64,
    pub ended: f64,
    /// Different completions as a part of all.
    pub unique: f64,
    /// Tokens.
    pub mean_length: f64,
}

impl Summary {
    pub(super) fn of(samples: &[Sample], scores: &[Option<Gold>]) -> Self {
        let count = samples.len().max(1) as f64;
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / count;
        let scores = || scores.iter().flatten();
        let unique: BTreeSet<&str> = samples.iter().map(|one| one.text.as_str()).collect();
        Self {
            gold_score: mean(&mut scores().map(|gold| gold.score)),
            parses: mean(&mut scores().map(|gold| f64::from(u8::from(gold.parses)))),
            ended: mean(&mut samples.iter().map(|one| f64::from(u8::from(one.ended)))),
            unique: unique.len() as f64 / count,
            mean_length: mean(&mut samples.iter().map(|one| one.tokens.len() as f64)),
        }
    }
}
