//! Which elements of a dataset each step learns from: all of them once an epoch, in an order of its own.

use crate::Stream;
use crate::data::grouped_by_length;

/// The order of a dataset's elements; an epoch's last batch may be smaller.
pub(crate) struct Epochs {
    count: usize,
    /// The tokens of each element, if batches gather those of like length.
    lengths: Option<Vec<usize>>,
    random: Stream,
    per_step: usize,
    epochs: f64,
    order: (u64, Vec<usize>),
}

impl Epochs {
    /// `count` elements, `per_step` of them a step, seen `epochs` times.
    pub(crate) fn new(
        count: usize,
        per_step: usize,
        epochs: f64,
        lengths: Option<Vec<usize>>,
        random: Stream,
    ) -> Self {
        Self {
            count,
            lengths,
            random,
            per_step,
            epochs,
            order: (u64::MAX, Vec::new()),
        }
    }

    fn steps_per_epoch(&self) -> u64 {
        self.count.div_ceil(self.per_step) as u64
    }

    /// How many steps all epochs take.
    pub(crate) fn total_steps(&self) -> u64 {
        ((self.steps_per_epoch() as f64 * self.epochs).ceil() as u64).max(1)
    }

    /// The elements of a step, counted from 1.
    pub(crate) fn of_step(&mut self, step: u64) -> Vec<usize> {
        let per_epoch = self.steps_per_epoch();
        let (epoch, number) = ((step - 1) / per_epoch, (step - 1) % per_epoch);
        if self.order.0 != epoch {
            let order = match &self.lengths {
                Some(lengths) => grouped_by_length(lengths, self.per_step, self.random, epoch),
                None => self.random.permutation(epoch, self.count),
            };
            self.order = (epoch, order);
        }
        let first = number as usize * self.per_step;
        let last = (first + self.per_step).min(self.count);
        self.order.1[first..last].to_vec()
    }

    /// How often the data has been seen after that many steps.
    pub(crate) fn seen(&self, steps: u64) -> f64 {
        steps as f64 / self.steps_per_epoch() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_comes_once_an_epoch_wherever_one_begins() {
        for lengths in [None, Some((0..10).collect())] {
            let new = || Epochs::new(10, 4, 1.5, lengths.clone(), Stream::new(1, "test", "order"));
            let mut epochs = new();
            assert_eq!(epochs.total_steps(), 5);
            let steps: Vec<Vec<usize>> = (1..=5).map(|step| epochs.of_step(step)).collect();
            let mut first = steps[..3].concat();
            first.sort_unstable();
            assert_eq!(first, (0..10).collect::<Vec<_>>());
            assert_eq!(new().of_step(4), steps[3]);
            assert_eq!(epochs.seen(3), 1.0);
        }
    }
}
