//! When a training is given up: its loss or gradient is no number any more, or its loss runs away.
//!
//! The loss runs away if, after the warm-up, it is above three times its lowest value of the last 50 steps *and* above the
//! first step's value by more than 2. The first catches a loss that explodes, the second keeps a nearly perfect one, which
//! may triple by chance, out of it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

const WINDOW: usize = 50;
const TIMES_LOWEST: f64 = 3.0;
const ABOVE_FIRST: f64 = 2.0;

/// The losses that the rule looks at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Divergence {
    first: Option<f64>,
    recent: VecDeque<f64>,
}

impl Divergence {
    /// Takes in a step's loss and gradient norm; says what is wrong with them, if anything is.
    pub(crate) fn check(&mut self, loss: f64, norm: f64, warmed_up: bool) -> Option<String> {
        for (name, value) in [("loss", loss), ("gradient norm", norm)] {
            if !value.is_finite() {
                return Some(format!("the {name} is {value}"));
            }
        }
        let first = *self.first.get_or_insert(loss);
        let lowest = self.recent.iter().copied().fold(f64::INFINITY, f64::min);
        self.recent.push_back(loss);
        if self.recent.len() > WINDOW {
            self.recent.pop_front();
        }
        let runs_away = warmed_up && loss > TIMES_LOWEST * lowest && loss > first + ABOVE_FIRST;
        runs_away.then(|| {
            format!(
                "the loss {loss:.4} runs away: it began at {first:.4}, and its lowest of the last {WINDOW} steps is {lowest:.4}"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_complaint(losses: &[f64], warmup: usize) -> Option<usize> {
        let mut rule = Divergence::default();
        losses
            .iter()
            .enumerate()
            .position(|(step, loss)| rule.check(*loss, 1.0, step >= warmup).is_some())
    }

    #[test]
    fn only_a_loss_that_runs_away_is_given_up() {
        assert_eq!(first_complaint(&[7.0, 3.0, 2.0, 8.9, 9.1], 0), Some(4));
        assert_eq!(first_complaint(&[7.0, 3.0, 2.0, 9.1], 9), None);
        assert_eq!(first_complaint(&[0.5, 0.01, 0.2, 0.01, 2.0], 0), None);
        let slowly: Vec<f64> = (0..200).map(|step| 3.0 + f64::from(step) / 20.0).collect();
        assert_eq!(first_complaint(&slowly, 0), None);
    }

    #[test]
    fn what_is_no_number_is_named() {
        let mut rule = Divergence::default();
        assert_eq!(
            rule.check(f64::NAN, 1.0, false).as_deref(),
            Some("the loss is NaN")
        );
        assert_eq!(
            rule.check(1.0, f64::INFINITY, false).as_deref(),
            Some("the gradient norm is inf")
        );
    }

    #[test]
    fn its_memory_survives_a_checkpoint() {
        let mut rule = Divergence::default();
        (0..60).for_each(|step| drop(rule.check(5.0 - f64::from(step) / 17.0, 1.0, true)));
        let text = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<Divergence>(&text).unwrap(), rule);
    }
}
