//! What the best of k samples is worth, from K of them: the expectation over all subsets, not one draw.

/// For one prompt's samples: which is better, and the figure that is asked about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BestOf {
    /// What chooses: the greater is better, and of equals the earlier.
    pub chosen_by: f64,
    /// What is measured of the chosen.
    pub value: f64,
}

/// The expected value of the best of `k` of the samples, drawn without replacement.
///
/// Of the samples from best to worst, the i-th (from 0) of n is the best of a subset of k with probability
/// C(n − 1 − i, k − 1) / C(n, k); their ratio is taken step by step, so that nothing overflows.
pub(crate) fn best_of(samples: &[BestOf], k: usize) -> f64 {
    let n = samples.len();
    debug_assert!((1..=n).contains(&k));
    let mut order: Vec<usize> = (0..n).collect();
    // Stable, so that of equals the earlier comes first.
    order.sort_by(|&a, &b| samples[b].chosen_by.total_cmp(&samples[a].chosen_by));
    let mut probability = k as f64 / n as f64;
    let mut expected = 0.0;
    for (i, sample) in order.into_iter().enumerate() {
        expected += probability * samples[sample].value;
        let left = (n - 1 - i) as f64;
        if left > 0.0 {
            // C(n − 2 − i, k − 1) / C(n − 1 − i, k − 1) = (n − k − i) / (n − 1 − i).
            probability *= (left + 1.0 - k as f64).max(0.0) / left;
        }
    }
    expected
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The mean over every subset.
    fn by_hand(samples: &[BestOf], k: usize) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        for mask in 0..1u32 << samples.len() {
            if mask.count_ones() as usize != k {
                continue;
            }
            let mut best: Option<BestOf> = None;
            for (index, sample) in samples.iter().enumerate() {
                let better = best.is_none_or(|best| sample.chosen_by > best.chosen_by);
                if mask >> index & 1 == 1 && better {
                    best = Some(*sample);
                }
            }
            sum += best.unwrap().value;
            count += 1.0;
        }
        sum / count
    }

    proptest! {
        #[test]
        fn it_is_the_mean_over_all_subsets(
            drawn in prop::collection::vec((0u8..6, -2.0f64..2.0), 1..9), k in 1usize..9,
        ) {
            let samples: Vec<BestOf> = drawn
                .iter()
                .map(|&(score, value)| BestOf { chosen_by: f64::from(score), value })
                .collect();
            let k = k.min(samples.len());
            prop_assert!((best_of(&samples, k) - by_hand(&samples, k)).abs() < 1e-12);
        }
    }

    #[test]
    fn one_is_the_mean_and_all_is_the_best() {
        let sample = |chosen_by, value| BestOf { chosen_by, value };
        let samples = [
            sample(1.0, 0.2),
            sample(3.0, 0.6),
            sample(3.0, 0.1),
            sample(2.0, 0.5),
        ];
        assert!((best_of(&samples, 1) - 0.35).abs() < 1e-15);
        assert_eq!(best_of(&samples, 4), 0.6);
    }
}
