//! Who wins, prompt by prompt.

use std::collections::{BTreeMap, VecDeque};

use begat_schemas::ReportSample;
use begat_schemas::api::Interval;

/// The quantile of the normal distribution that leaves 2.5 % above it.
const Z: f64 = 1.959_963_984_540_054;

/// Wins, ties and losses on the same prompts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    pub wins: u64,
    pub ties: u64,
    pub losses: u64,
    pub mean_difference: f64,
    /// None of a single prompt.
    pub mean_difference_interval: Option<Interval>,
}

impl Score {
    pub(super) fn prompts(&self) -> u64 {
        self.wins + self.ties + self.losses
    }

    /// Part of the prompts won, ties counted half.
    pub(super) fn win_rate(&self) -> f64 {
        (self.wins as f64 + self.ties as f64 / 2.0) / self.prompts() as f64
    }

    /// Wilson's interval of the win rate.
    pub(super) fn interval(&self) -> Interval {
        wilson(self.win_rate(), self.prompts() as f64)
    }
}

/// Wilson's 95 % interval of a proportion of `count`. Ties counted half vary less than wins and losses would, so with ties it
/// is wider than need be.
pub(super) fn wilson(proportion: f64, count: f64) -> Interval {
    let z2 = Z * Z;
    let middle = proportion + z2 / (2.0 * count);
    let half = Z
        * (proportion * (1.0 - proportion) / count + z2 / (4.0 * count * count))
            .max(0.0)
            .sqrt();
    let whole = 1.0 + z2 / count;
    Interval {
        low: ((middle - half) / whole).max(0.0),
        high: ((middle + half) / whole).min(1.0),
    }
}

/// The rows of both that have one prompt and one reference, in the order of the left.
pub(super) fn same_prompts<'a>(
    left: &'a [ReportSample],
    right: &'a [ReportSample],
) -> Vec<(&'a ReportSample, &'a ReportSample)> {
    let mut waiting: BTreeMap<(&str, Option<&str>), VecDeque<&ReportSample>> = BTreeMap::new();
    for sample in right {
        waiting.entry(key(sample)).or_default().push_back(sample);
    }
    let pairs = left.iter().filter_map(|sample| {
        let other = waiting.get_mut(&key(sample))?.pop_front()?;
        Some((sample, other))
    });
    pairs.collect()
}

pub(super) fn key(sample: &ReportSample) -> (&str, Option<&str>) {
    (&sample.prompt, sample.reference.as_deref())
}

/// How `left` does against `right` by the score `of` their answers; none if no prompt has both.
pub(super) fn score(
    left: &[ReportSample],
    right: &[ReportSample],
    of: impl Fn(&ReportSample) -> Option<f64>,
) -> Option<Score> {
    let gaps: Vec<f64> = same_prompts(left, right)
        .into_iter()
        .filter_map(|(left, right)| Some(of(left)? - of(right)?))
        .filter(|gap| gap.is_finite())
        .collect();
    let count = |wanted: &dyn Fn(f64) -> bool| gaps.iter().filter(|gap| wanted(**gap)).count();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    (!gaps.is_empty()).then(|| Score {
        wins: count(&|gap| gap > 0.0) as u64,
        ties: count(&|gap| gap == 0.0) as u64,
        losses: count(&|gap| gap < 0.0) as u64,
        mean_difference: mean,
        mean_difference_interval: interval_of_mean(&gaps, mean),
    })
}

/// The normal 95 % interval of a mean.
fn interval_of_mean(values: &[f64], mean: f64) -> Option<Interval> {
    let count = values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| {
        let half = Z * (squares / (count - 1.0) / count).sqrt();
        Interval {
            low: mean - half,
            high: mean + half,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(prompt: &str, score: Option<f64>) -> ReportSample {
        ReportSample {
            prompt: prompt.to_owned(),
            gold_score: score,
            ..super::super::samples::answer("")
        }
    }

    fn by_gold(left: &[ReportSample], right: &[ReportSample]) -> Option<Score> {
        score(left, right, |sample| sample.gold_score)
    }

    fn check_wilson(wins: f64, count: f64, low: f64, high: f64) {
        let found = wilson(wins / count, count);
        let near = |a: f64, b: f64| (a - b).abs() < 6e-5;
        assert!(near(found.low, low) && near(found.high, high), "{found:?}");
    }

    /// Newcombe 1998, Statistics in Medicine 17, Table I, method 3.
    #[test]
    fn wilsons_interval() {
        check_wilson(81.0, 263.0, 0.2553, 0.3662);
        check_wilson(15.0, 148.0, 0.0624, 0.1605);
        check_wilson(0.0, 20.0, 0.0, 0.1611);
        check_wilson(1.0, 29.0, 0.0061, 0.1718);
        assert!((0.999_999..=1.0).contains(&wilson(1.0, 10.0).high));
    }

    #[test]
    fn only_prompts_that_both_have_count_and_order_does_not() {
        let left = ["a", "b", "c", "a"].map(|prompt| sample(prompt, Some(0.5)));
        let right = [("d", 0.0), ("a", 0.1), ("c", 0.9), ("a", 0.5)]
            .map(|(prompt, score)| sample(prompt, Some(score)));
        let found = by_gold(&left, &right).unwrap();
        assert_eq!((found.wins, found.ties, found.losses), (1, 1, 1));
        assert_eq!(found.win_rate(), 0.5);
        assert!(found.mean_difference.abs() < 1e-12);
        let reverse = by_gold(&right, &left).unwrap();
        assert_eq!((reverse.wins, reverse.losses), (1, 1));
    }

    #[test]
    fn without_scores_nobody_wins() {
        let (scored, plain) = ([sample("a", Some(1.0))], [sample("a", None)]);
        assert_eq!(by_gold(&scored, &plain), None);
        assert_eq!(by_gold(&scored, &[]), None);
        let one = by_gold(&scored, &[sample("a", Some(0.0))]).unwrap();
        assert_eq!((one.win_rate(), one.mean_difference_interval), (1.0, None));
    }

    #[test]
    fn the_interval_of_a_mean() {
        let found = interval_of_mean(&[1.0, 2.0, 3.0, 4.0], 2.5).unwrap();
        assert!((found.high - 2.5 - 1.265_1).abs() < 1e-3, "{found:?}");
    }
}
