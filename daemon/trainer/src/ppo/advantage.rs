//! Generalised advantage estimation (Schulman et al., 2016).

/// Advantages and returns of one episode, slot by slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// A_t = Σ_l (γλ)^l·δ_{t+l}, with δ_t = r_t + γ·V_{t+1} − V_t and a value of 0 after the last slot.
    pub advantages: Vec<f64>,
    /// What the value model is to learn: A_t + V_t.
    pub returns: Vec<f64>,
}

/// The estimate for an episode with these rewards and values (eq. 16 of the paper, from the end backwards).
#[must_use]
pub fn estimate(rewards: &[f64], values: &[f64], gamma: f64, lambda: f64) -> Estimate {
    debug_assert_eq!(rewards.len(), values.len());
    let mut advantages = vec![0.0; rewards.len()];
    let (mut following, mut next_value) = (0.0, 0.0);
    for slot in (0..rewards.len()).rev() {
        let delta = rewards[slot] + gamma * next_value - values[slot];
        following = delta + gamma * lambda * following;
        advantages[slot] = following;
        next_value = values[slot];
    }
    let returns = advantages.iter().zip(values).map(|(a, v)| a + v).collect();
    Estimate {
        advantages,
        returns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-14;
        assert!(found.iter().zip(expected).all(close), "{found:?}");
    }

    /// By TRL 1.12.0's own lines in float64 (γ 1, λ 0.95): an early end with its additional slot, and a cut.
    #[test]
    fn agrees_with_trl() {
        let found = estimate(
            &[-0.01, 0.0125, 0.025, 1.5],
            &[0.3, -0.2, 0.5, 0.9],
            1.0,
            0.95,
        );
        check(
            &found.advantages,
            &[1.064_862_499_999_999_8, 1.657_749_999_999_999_8, 0.995, 0.6],
        );
        check(
            &found.returns,
            &[1.364_862_499_999_999_9, 1.457_749_999_999_999_9, 1.495, 1.5],
        );
        let rewards = [-0.005, 0.05, -0.0125, 0.0125, -0.28];
        let found = estimate(&rewards, &[0.1, 0.0, -0.4, 0.2, 0.6], 1.0, 0.95);
        check(
            &found.returns,
            &[
                -0.170_379_562_500_000_05,
                -0.174_083_750_000_000_06,
                -0.214_825_000_000_000_04,
                -0.223_500_000_000_000_03,
                -0.28,
            ],
        );
    }

    proptest! {
        /// λ = 1 gives discounted sums of rewards, λ = 0 one-step differences: both without the recursion.
        #[test]
        fn its_extremes_are_sums_and_differences(
            slots in prop::collection::vec((-2.0f64..2.0, -2.0f64..2.0), 1..20), gamma in 0.0f64..1.0
        ) {
            let (rewards, values): (Vec<f64>, Vec<f64>) = slots.into_iter().unzip();
            let sums = estimate(&rewards, &values, gamma, 1.0);
            let steps = estimate(&rewards, &values, gamma, 0.0);
            for t in 0..rewards.len() {
                let sum: f64 = (t..rewards.len()).map(|s| gamma.powi((s - t) as i32) * rewards[s]).sum();
                prop_assert!((sums.returns[t] - sum).abs() < 1e-9);
                let next = values.get(t + 1).copied().unwrap_or(0.0);
                prop_assert!((steps.returns[t] - (rewards[t] + gamma * next)).abs() < 1e-9);
            }
        }
    }
}
