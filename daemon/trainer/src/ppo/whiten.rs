//! Numbers of a rollout to variance 1.

/// Added to the variance, as TRL does.
const EPSILON: f64 = 1e-8;

/// Scales all numbers together to variance 1, and shifts them to mean 0 if `shift_mean`.
///
/// The variance is the unbiased one, as in TRL's `masked_whiten`. (OpenAI's first code had the biased one: "The N
/// implementation details of RLHF with PPO", 2023.) Sums go through the episodes in their order, so the result depends on
/// nothing else. A single number has variance 0 here, where TRL divides by zero.
pub fn whiten(episodes: &mut [Vec<f64>], shift_mean: bool) {
    let count = episodes.iter().map(Vec::len).sum::<usize>() as f64;
    let all = || episodes.iter().flatten();
    let mean = all().sum::<f64>() / count.max(1.0);
    let squares: f64 = all().map(|value| (value - mean) * (value - mean)).sum();
    let variance = squares / (count - 1.0).max(1.0);
    let scale = 1.0 / (variance + EPSILON).sqrt();
    let back = if shift_mean { 0.0 } else { mean };
    for value in episodes.iter_mut().flatten() {
        *value = (*value - mean) * scale + back;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// TRL 1.12.0's `masked_whiten` in float64, with one masked number that is not here.
    #[test]
    fn agrees_with_trl_with_and_without_the_mean() {
        for (shift_mean, expected) in [
            (
                true,
                [
                    -0.204_008_526_680_136_6,
                    -0.903_466_332_440_605,
                    1.428_059_686_760_956_3,
                    -0.320_584_827_640_214_7,
                ],
            ),
            (
                false,
                [
                    0.733_491_473_319_863_4,
                    0.034_033_667_559_394_964,
                    2.365_559_686_760_956_3,
                    0.616_915_172_359_785_3,
                ],
            ),
        ] {
            let mut values = vec![vec![0.5, -1.0], vec![], vec![4.0, 0.25]];
            whiten(&mut values, shift_mean);
            let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-14;
            let flat = values.concat();
            assert!(flat.iter().zip(&expected).all(close), "{flat:?}");
        }
    }

    #[test]
    fn few_or_equal_numbers_stay_finite() {
        for mut values in [vec![], vec![vec![3.0]], vec![vec![2.0, 2.0], vec![2.0]]] {
            whiten(&mut values, true);
            assert!(values.iter().flatten().all(|value| *value == 0.0));
        }
    }

    proptest! {
        #[test]
        fn whitened_numbers_have_mean_0_and_variance_1(
            values in prop::collection::vec(prop::collection::vec(-50.0f64..50.0, 2..9), 2..9)
        ) {
            let mut values = values;
            whiten(&mut values, true);
            let flat = values.concat();
            let count = flat.len() as f64;
            let mean = flat.iter().sum::<f64>() / count;
            let variance = flat.iter().map(|value| value * value).sum::<f64>() / (count - 1.0);
            prop_assert!(mean.abs() < 1e-9 && (variance - 1.0).abs() < 1e-4, "{mean} {variance}");
        }
    }
}
