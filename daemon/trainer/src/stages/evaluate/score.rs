//! What is said of a set of completions.

use std::collections::BTreeSet;

use begat_demo::gold::{self, Gold};

use super::completion::Completed;
use crate::data::Prompted;

/// The likeliest signature of all, whatever was asked: what a model that understood nothing could always say.
pub(super) const GOLD_CONSTANT: &str = " is_empty(&self) -> bool";

/// Each completion's score against its reference; none where there is no reference.
pub(super) fn gold(prompted: &[Prompted], completed: &[Completed]) -> Vec<Option<Gold>> {
    let pairs = prompted.iter().zip(completed);
    let score = |(prompted, completed): (&Prompted, &Completed)| {
        let reference = prompted.reference.as_ref()?;
        Some(gold::score(reference, &completed.text, completed.ended))
    };
    pairs.map(score).collect()
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
    pub(super) fn of(completed: &[Completed], scores: &[Option<Gold>]) -> Self {
        let count = completed.len().max(1) as f64;
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / count;
        let scores = || scores.iter().flatten();
        let unique: BTreeSet<&str> = completed.iter().map(|one| one.text.as_str()).collect();
        Self {
            gold_score: mean(&mut scores().map(|gold| gold.score)),
            parses: mean(&mut scores().map(|gold| f64::from(u8::from(gold.parses)))),
            ended: mean(&mut completed.iter().map(|one| f64::from(u8::from(one.ended)))),
            unique: unique.len() as f64 / count,
            mean_length: mean(&mut completed.iter().map(|one| one.tokens as f64)),
        }
    }
}
