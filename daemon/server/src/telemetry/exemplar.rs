//! Histograms that name an example for each of their buckets, which the prometheus crate's cannot.

use begat_schemas::Time;
use prometheus::proto::{Bucket, Histogram};

/// The most characters that OpenMetrics allows an exemplar's labels, names and values together.
const LABEL_CHARACTERS_MAX: usize = 128;

/// One observation, named.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Names and values that tell it from others.
    pub labels: Vec<(&'static str, String)>,
    /// What was observed.
    pub value: f64,
    /// When.
    pub time: Time,
}

impl Exemplar {
    /// None if its labels are longer than OpenMetrics allows.
    pub fn new(labels: Vec<(&'static str, String)>, value: f64, time: Time) -> Option<Self> {
        let characters: usize = labels
            .iter()
            .map(|(name, value)| name.chars().count() + value.chars().count())
            .sum();
        (characters <= LABEL_CHARACTERS_MAX).then_some(Self {
            labels,
            value,
            time,
        })
    }
}

/// Counts values by size, and keeps the last exemplar of each bucket.
#[derive(Debug, Clone)]
pub(super) struct Examples {
    bounds: &'static [f64],
    /// One more than there are bounds: the last is for what is larger than all.
    counts: Vec<u64>,
    exemplars: Vec<Option<Exemplar>>,
    sum: f64,
}

impl Examples {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len() + 1],
            exemplars: vec![None; bounds.len() + 1],
            sum: 0.0,
        }
    }

    /// `value` was observed `times` times.
    pub(super) fn observe(&mut self, value: f64, times: u64, exemplar: Option<Exemplar>) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += times;
        self.sum += value * times as f64;
        if exemplar.is_some() {
            self.exemplars[bucket] = exemplar;
        }
    }

    pub(super) fn exemplars(&self) -> Vec<Option<Exemplar>> {
        self.exemplars.clone()
    }

    pub(super) fn histogram(&self) -> Histogram {
        let mut cumulated = 0;
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets = bounds.zip(&self.counts).map(|(bound, count)| {
            cumulated += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(cumulated);
            bucket
        });
        let buckets = buckets.collect();
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(cumulated);
        histogram.set_sample_sum(self.sum);
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_belongs_below_it_and_the_last_exemplar_stays() {
        let mut examples = Examples::new(&[0.1, 1.0]);
        let exemplar = |step: &str, value| {
            let labels = vec![("step", step.to_owned())];
            Exemplar::new(labels, value, Time::from_milliseconds(0))
        };
        for (step, value, times) in [("1", 0.1, 1), ("2", 0.5, 3), ("3", 0.6, 1), ("4", 7.0, 1)] {
            examples.observe(value, times, exemplar(step, value));
        }
        let histogram = examples.histogram();
        let counts: Vec<u64> = histogram
            .get_bucket()
            .iter()
            .map(|bucket| bucket.cumulative_count())
            .collect();
        assert_eq!(counts, [1, 5, 6]);
        assert_eq!(histogram.get_sample_count(), 6);
        assert!((histogram.get_sample_sum() - 9.2).abs() < 1e-9);
        let steps: Vec<String> = examples
            .exemplars()
            .into_iter()
            .map(|exemplar| exemplar.unwrap().labels[0].1.clone())
            .collect();
        assert_eq!(steps, ["1", "3", "4"]);
    }

    #[test]
    fn labels_that_are_too_long_make_no_exemplar() {
        let labelled = |length| {
            let labels = vec![("run", "a".repeat(length))];
            Exemplar::new(labels, 1.0, Time::from_milliseconds(0))
        };
        assert!(labelled(125).is_some());
        assert!(labelled(126).is_none());
    }
}
