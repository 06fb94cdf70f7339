//! What each slot of an episode is paid.

/// How many slots a completion has: one more than tokens if it ended by itself and is not full.
///
/// TRL's `sequence_lengths_p1`: in the additional slot the value model has read the end token. A completion that fills
/// `response_length` has no place for it, and one that did not end by itself has no end token to read.
#[must_use]
pub fn slots(tokens: usize, ended: bool, response_length: usize) -> usize {
    tokens + usize::from(ended && tokens < response_length)
}

/// The reward of each slot: −β·KL at each token, and the score at the last slot (Ouyang et al., 2022, eq. 2 without γ).
#[must_use]
pub fn rewards(divergences: &[f64], kl_coef: f64, score: f64, slots: usize) -> Vec<f64> {
    let mut rewards: Vec<f64> = divergences.iter().map(|kl| -kl_coef * kl).collect();
    rewards.resize(slots, 0.0);
    if let Some(last) = rewards.last_mut() {
        *last += score;
    }
    rewards
}

/// From a standardised score to the one that is paid.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScoreRules {
    /// Its largest magnitude.
    pub clip: Option<f64>,
    /// What it loses if the completion has no end token.
    pub missing_eos_penalty: Option<f64>,
}

impl ScoreRules {
    /// The score that is paid; the penalty comes after the clip, so that no score can absorb it.
    #[must_use]
    pub fn apply(self, standardised: f64, ended: bool) -> f64 {
        // `clamp` keeps a NaN, which the caller refuses by name.
        let score = match self.clip {
            Some(most) => standardised.clamp(-most, most),
            None => standardised,
        };
        match self.missing_eos_penalty {
            Some(penalty) if !ended => score - penalty,
            _ => score,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_early_end_has_a_slot_of_its_own() {
        assert_eq!(slots(3, true, 5), 4);
        assert_eq!(slots(5, true, 5), 5);
        assert_eq!(slots(5, false, 5), 5);
        assert_eq!(slots(3, false, 5), 3);
    }

    /// By TRL 1.12.0's own lines in float64 (β = 0.05): an early end, a cut, and an end in the last slot.
    #[test]
    fn rewards_agree_with_trl() {
        let check = |kl: &[f64], score: f64, slots: usize, expected: &[f64]| {
            let found = rewards(kl, 0.05, score, slots);
            assert_eq!(found.len(), expected.len());
            let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-15;
            assert!(found.iter().zip(expected).all(close), "{found:?}");
        };
        check(&[0.2, -0.25, -0.5], 1.5, 4, &[-0.01, 0.0125, 0.025, 1.5]);
        check(
            &[0.1, -1.0, 0.25, -0.25, 0.6],
            -0.25,
            5,
            &[-0.005, 0.05, -0.0125, 0.0125, -0.28],
        );
        check(
            &[0.2, -0.4, 0.2, 0.0, 1.0],
            2.0,
            5,
            &[-0.01, 0.02, -0.01, 0.0, 1.95],
        );
    }

    #[test]
    fn scores_are_clipped_and_a_missing_end_costs() {
        let rules = ScoreRules {
            clip: Some(4.0),
            missing_eos_penalty: Some(2.0),
        };
        let found = [(5.0, true), (-5.0, true), (5.0, false), (1.0, false)]
            .map(|(score, ended)| rules.apply(score, ended));
        assert_eq!(found, [4.0, -4.0, 2.0, -1.0]);
        assert_eq!(ScoreRules::default().apply(5.0, false), 5.0);
        assert!(rules.apply(f64::NAN, true).is_nan());
    }
}
