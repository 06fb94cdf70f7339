//! A model beside its reference on the same prompts.

use begat_demo::gold::Gold;

use crate::stages::report::Findings;
use crate::stages::statistics::{Interval, win_rate};

/// What is compared of one way of completing: figures of both models, prompt by prompt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compared<'a> {
    /// What the figures' names end with: nothing, or `_greedy`.
    pub suffix: &'a str,
    pub gold: (&'a [Option<Gold>], &'a [Option<Gold>]),
    /// Nothing without a reward model.
    pub rewards: Option<(&'a [f64], &'a [f64])>,
}

impl Compared<'_> {
    /// Win rates (a tie counts for half) and paired differences, each with its 95 % interval.
    pub(super) fn measure(&self, findings: &mut Findings) {
        let both = self.gold.0.iter().zip(self.gold.1);
        let both =
            both.filter_map(|(own, other)| Some((own.as_ref()?.score, other.as_ref()?.score)));
        let (own, other): (Vec<f64>, Vec<f64>) = both.unzip();
        if !own.is_empty() {
            self.one(findings, "gold", &own, &other);
        }
        if let Some((own, other)) = self.rewards {
            self.one(findings, "reward", own, other);
        }
    }

    fn one(&self, findings: &mut Findings, by: &str, own: &[f64], other: &[f64]) {
        let suffix = self.suffix;
        let (rate, ties) = win_rate(own, other);
        findings.put_interval(&format!("win_rate_{by}{suffix}"), rate);
        findings.put(format!("ties_{by}{suffix}"), ties);
        let difference = Interval::of_difference(own, other);
        findings.put_interval(&format!("{by}_difference{suffix}"), difference);
    }
}
