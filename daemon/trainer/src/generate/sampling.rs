//! Choosing the next token from a row of logits: a pure function of (logits, settings, random bits).
//!
//! Weights are integers (fixed point), so that their cumulative sum is exact in any order; nothing here can differ between
//! one machine and another but the logits themselves.

use crate::{
    error::{Error, Result},
    shim,
};

/// How to choose tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the most likely token.
    pub temperature: f64,
    /// Keep this many of the most likely tokens (0: all).
    pub top_k: usize,
    /// Keep the most likely tokens that together reach this probability (1: all).
    pub top_p: f64,
}

impl Sampling {
    /// Always the most likely token.
    pub const GREEDY: Self = Self {
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
    };

    /// The model's own distribution at this temperature.
    #[must_use]
    pub fn at(temperature: f64) -> Self {
        Self {
            temperature,
            ..Self::GREEDY
        }
    }

    /// Refuses settings without a meaning.
    pub fn validate(&self) -> Result<()> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return Err(Error::Invalid(format!(
                "temperature is {}; expected 0 or more",
                self.temperature
            )));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(Error::Invalid(format!(
                "top_p is {}; expected more than 0 and at most 1",
                self.top_p
            )));
        }
        Ok(())
    }

    /// The temperature under which log-probabilities are reported: 1 for greedy choices.
    #[must_use]
    pub fn reported_temperature(&self) -> f64 {
        if self.temperature == 0.0 {
            1.0
        } else {
            self.temperature
        }
    }
}

/// Buffers that are used again for each row.
#[derive(Debug, Default)]
pub(crate) struct Chooser {
    weights: Vec<u64>,
    order: Vec<u32>,
}

impl Chooser {
    /// The token that the random `bits` choose.
    pub(crate) fn choose(&mut self, logits: &[f32], sampling: Sampling, bits: u64) -> u32 {
        if sampling.temperature == 0.0 {
            return most_likely(logits);
        }
        self.weights.resize(logits.len(), 0);
        let inverse = (1.0 / sampling.temperature) as f32;
        let total = shim::sample_weights(logits, inverse, &mut self.weights);
        let all = sampling.top_k == 0 || sampling.top_k >= logits.len();
        if all && sampling.top_p >= 1.0 {
            return pick(
                (0..logits.len() as u32).map(|token| (token, self.weights[token as usize])),
                total,
                bits,
            );
        }
        self.keep(sampling, all);
        let kept = || {
            self.order
                .iter()
                .map(|&token| (token, self.weights[token as usize]))
        };
        pick(kept(), kept().map(|(_, weight)| weight).sum(), bits)
    }

    /// Puts into `order` what top-k and top-p leave, the likeliest first; equals in the order of their ids.
    fn keep(&mut self, sampling: Sampling, all: bool) {
        let weights = &self.weights;
        self.order.clear();
        self.order.extend(0..weights.len() as u32);
        let rank = |token: &u32| (std::cmp::Reverse(weights[*token as usize]), *token);
        if !all {
            self.order
                .select_nth_unstable_by_key(sampling.top_k - 1, rank);
            self.order.truncate(sampling.top_k);
        }
        self.order.sort_unstable_by_key(rank);
        let total: u64 = self
            .order
            .iter()
            .map(|&token| weights[token as usize])
            .sum();
        let wanted = (sampling.top_p * total as f64) as u64;
        let mut reached = 0;
        let enough = self.order.iter().position(|&token| {
            reached += weights[token as usize];
            reached >= wanted
        });
        self.order
            .truncate(enough.map_or(self.order.len(), |last| last + 1));
    }
}

fn most_likely(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = token;
        }
    }
    best as u32
}

/// The token in whose share of `total` the bits fall.
fn pick(tokens: impl Iterator<Item = (u32, u64)>, total: u64, bits: u64) -> u32 {
    let mut rest = ((u128::from(bits) * u128::from(total)) >> 64) as u64;
    let mut last = 0;
    for (token, weight) in tokens {
        if weight > 0 {
            last = token;
            if rest < weight {
                break;
            }
        }
        rest = rest.saturating_sub(weight);
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stream;

    /// How often each of four tokens is drawn.
    fn frequencies(sampling: Sampling) -> [f64; 4] {
        // Probabilities 0.1, 0.4, 0.2, 0.3.
        let logits = [0.1f32, 0.4, 0.2, 0.3].map(f32::ln);
        let stream = Stream::new(1, "test", "sample");
        let mut counts = [0.0; 4];
        for i in 0..20_000 {
            counts[Chooser::default().choose(&logits, sampling, stream.bits(0, i)) as usize] +=
                1.0 / 20_000.0;
        }
        counts
    }

    #[track_caller]
    fn check(sampling: Sampling, expected: [f64; 4]) {
        let found = frequencies(sampling);
        assert!(
            found
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 0.015),
            "{found:?}"
        );
    }

    #[test]
    fn draws_follow_the_distribution() {
        check(Sampling::GREEDY, [0.0, 1.0, 0.0, 0.0]);
        check(Sampling::at(1.0), [0.1, 0.4, 0.2, 0.3]);
        check(
            Sampling::at(0.5),
            [1.0 / 30.0, 16.0 / 30.0, 4.0 / 30.0, 9.0 / 30.0],
        );
        check(
            Sampling {
                top_k: 2,
                ..Sampling::at(1.0)
            },
            [0.0, 4.0 / 7.0, 0.0, 3.0 / 7.0],
        );
        check(
            Sampling {
                top_p: 0.75,
                ..Sampling::at(1.0)
            },
            [0.0, 4.0 / 9.0, 2.0 / 9.0, 3.0 / 9.0],
        );
        check(
            Sampling {
                top_k: 3,
                top_p: 0.3,
                ..Sampling::at(1.0)
            },
            [0.0, 1.0, 0.0, 0.0],
        );
    }

    #[test]
    fn the_ends_of_the_random_range_choose_real_tokens() {
        let logits = [f32::NEG_INFINITY, 1.0, 1.0, f32::NEG_INFINITY];
        let choose = |bits| Chooser::default().choose(&logits, Sampling::at(1.0), bits);
        assert_eq!((choose(0), choose(u64::MAX)), (1, 2));
    }

    #[test]
    fn settings_without_meaning_are_refused() {
        assert!(
            Sampling::at(-1.0)
                .validate()
                .unwrap_err()
                .to_string()
                .contains("temperature is -1")
        );
        assert!(
            Sampling {
                top_p: 0.0,
                ..Sampling::GREEDY
            }
            .validate()
            .unwrap_err()
            .to_string()
            .contains("top_p is 0")
        );
    }
}
