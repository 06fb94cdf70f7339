//! Means and rates with their 95 % intervals. Sums are taken in the order given, in float64.

/// The 97.5th percentile of the standard normal.
const Z: f64 = 1.959_963_984_540_054;

/// A figure with the ends of its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    /// The figure.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// The mean; 0 of nothing.
pub(crate) fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0_u32);
    for value in values {
        sum += value;
        count += 1;
    }
    sum / f64::from(count.max(1))
}

impl Interval {
    /// A mean with its normal interval, mean ± z·s/√n, s over n − 1; a single value has no width.
    pub(crate) fn of_mean(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let value = mean(values.iter().copied());
        let squares: f64 = values.iter().map(|one| (one - value).powi(2)).sum();
        let half = if values.len() > 1 {
            Z * (squares / (count - 1.0) / count).sqrt()
        } else {
            0.0
        };
        Self {
            value,
            low: value - half,
            high: value + half,
        }
    }

    /// The mean of the differences one − other of things that belong together.
    pub(crate) fn of_difference(one: &[f64], other: &[f64]) -> Self {
        let pairs = one.iter().zip(other);
        Self::of_mean(&pairs.map(|(one, other)| one - other).collect::<Vec<_>>())
    }

    /// A rate with Wilson's score interval (Wilson 1927): it stays within 0 and 1 and has a width at both ends.
    pub(crate) fn of_rate(successes: f64, count: f64) -> Self {
        if count <= 0.0 {
            return Self {
                value: 0.0,
                low: 0.0,
                high: 1.0,
            };
        }
        let rate = successes / count;
        let weight = Z * Z / count;
        let centre = (rate + weight / 2.0) / (1.0 + weight);
        let half =
            Z * (rate * (1.0 - rate) / count + weight / (4.0 * count)).sqrt() / (1.0 + weight);
        Self {
            value: rate,
            low: (centre - half).max(0.0),
            high: (centre + half).min(1.0),
        }
    }
}

/// How often `one` beats `other`, a tie counting for half; with the part of ties.
pub(crate) fn win_rate(one: &[f64], other: &[f64]) -> (Interval, f64) {
    let (mut wins, mut ties, mut count) = (0.0, 0.0, 0.0);
    for (one, other) in one.iter().zip(other) {
        count += 1.0;
        if one > other {
            wins += 1.0;
        } else if one == other {
            ties += 1.0;
        }
    }
    let part = if count > 0.0 { ties / count } else { 0.0 };
    (Interval::of_rate(wins + ties / 2.0, count), part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(one: f64, other: f64) {
        assert!((one - other).abs() < 1e-6, "{one} is not {other}");
    }

    #[test]
    fn wilsons_interval_is_that_of_the_textbook() {
        // Newcombe 1998, Statistics in Medicine 17, Table I, method 3: 81/263, 15/148, 0/20, 1/29.
        for (wins, count, low, high) in [
            (81.0, 263.0, 0.2553, 0.3662),
            (15.0, 148.0, 0.0624, 0.1605),
            (0.0, 20.0, 0.0, 0.1611),
            (1.0, 29.0, 0.0061, 0.1718),
        ] {
            let found = Interval::of_rate(wins, count);
            assert!((found.low - low).abs() < 6e-5, "{found:?}");
            assert!((found.high - high).abs() < 6e-5, "{found:?}");
        }
        assert_eq!(Interval::of_rate(0.0, 0.0).high, 1.0);
    }

    #[test]
    fn a_mean_has_the_normal_interval() {
        let found = Interval::of_mean(&[1.0, 2.0, 3.0, 4.0]);
        // s = √(5/3); s/√4 = 0.645497.
        close(found.value, 2.5);
        close(found.high - found.value, 1.959_964 * 0.645_497_2);
        close(found.value - found.low, 1.959_964 * 0.645_497_2);
        let one = Interval::of_mean(&[7.0]);
        assert_eq!((one.low, one.high), (7.0, 7.0));
        assert_eq!(Interval::of_mean(&[]).value, 0.0);
        let found = Interval::of_difference(&[2.0, 4.0], &[1.0, 1.0]);
        close(found.value, 2.0);
    }

    #[test]
    fn a_tie_is_half_a_win() {
        let (rate, ties) = win_rate(&[1.0, 0.0, 2.0, 5.0], &[0.0, 0.0, 3.0, 5.0]);
        close(rate.value, 0.5);
        close(ties, 0.5);
        let (same, ties) = win_rate(&[1.0; 3], &[1.0; 3]);
        close(same.value, 0.5);
        close(ties, 1.0);
    }
}
