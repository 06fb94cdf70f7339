//! Which samples go together: by like length into batches, or several into one sequence.

use crate::Stream;

/// Batches from which those of like length are gathered (as `transformers`' `LengthGroupedSampler`).
const BATCHES_IN_WINDOW: usize = 50;
/// Samples among which packing looks for what fits.
const SAMPLES_IN_WINDOW: usize = 1000;

/// The samples of an epoch in an order in which each batch gathers samples of like length.
///
/// Windows of 50 batches are drawn at random and sorted inside; then the batches of each window are shuffled, so that
/// training does not go from long to short again and again.
pub(crate) fn grouped_by_length(
    lengths: &[usize],
    batch: usize,
    random: Stream,
    epoch: u64,
) -> Vec<usize> {
    let mut order = random.permutation(2 * epoch, lengths.len());
    for (window, samples) in order.chunks_mut(batch * BATCHES_IN_WINDOW).enumerate() {
        samples.sort_by_key(|&sample| std::cmp::Reverse(lengths[sample]));
        let batches: Vec<Vec<usize>> = samples.chunks(batch).map(<[usize]>::to_vec).collect();
        // A batch that is not full stays last, where it is the epoch's last.
        let full = samples.len() / batch;
        let mut draw: Vec<usize> = (0..full).collect();
        for last in (1..full).rev() {
            let index = (window * BATCHES_IN_WINDOW + last) as u64;
            let other = random.below(2 * epoch + 1, index, last as u64 + 1);
            draw.swap(last, other as usize);
        }
        draw.extend(full..batches.len());
        let shuffled = draw.into_iter().flat_map(|number| batches[number].iter());
        let shuffled: Vec<usize> = shuffled.copied().collect();
        samples.copy_from_slice(&shuffled);
    }
    order
}

/// Samples gathered into sequences of at most `capacity` tokens: best fit, the longest first, window by window.
pub(crate) fn packed(lengths: &[usize], capacity: usize) -> Vec<Vec<usize>> {
    let mut sequences = Vec::new();
    let all: Vec<usize> = (0..lengths.len()).collect();
    for window in all.chunks(SAMPLES_IN_WINDOW) {
        pack_window(window, lengths, capacity, &mut sequences);
    }
    sequences
}

fn pack_window(
    window: &[usize],
    lengths: &[usize],
    capacity: usize,
    sequences: &mut Vec<Vec<usize>>,
) {
    let mut by_length = window.to_vec();
    by_length.sort_by_key(|&sample| (std::cmp::Reverse(lengths[sample]), sample));
    let first = sequences.len();
    let mut room: Vec<usize> = Vec::new();
    for sample in by_length {
        let length = lengths[sample];
        let fits = room.iter().enumerate().filter(|(_, room)| **room >= length);
        match fits.min_by_key(|(_, room)| **room) {
            Some((place, _)) => {
                room[place] -= length;
                sequences[first + place].push(sample);
            }
            None => {
                room.push(capacity.saturating_sub(length));
                sequences.push(vec![sample]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted(mut values: Vec<usize>) -> Vec<usize> {
        values.sort_unstable();
        values
    }

    proptest! {
        #[test]
        fn every_sample_comes_once(lengths in prop::collection::vec(1usize..90, 1..300), batch in 1usize..9, epoch in 0u64..3) {
            let random = Stream::new(1, "test", "order");
            let order = grouped_by_length(&lengths, batch, random, epoch);
            prop_assert_eq!(sorted(order.clone()), (0..lengths.len()).collect::<Vec<_>>());
            prop_assert_eq!(order, grouped_by_length(&lengths, batch, random, epoch));
        }

        #[test]
        fn packs_hold_every_sample_once_and_no_more_than_fits(lengths in prop::collection::vec(1usize..90, 1..300)) {
            let packs = packed(&lengths, 100);
            for pack in &packs {
                prop_assert!(pack.iter().map(|&sample| lengths[sample]).sum::<usize>() <= 100);
            }
            prop_assert_eq!(sorted(packs.concat()), (0..lengths.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn batches_hold_samples_of_like_length() {
        let lengths: Vec<usize> = (0..400).map(|index| index * 37 % 400).collect();
        let order = grouped_by_length(&lengths, 8, Stream::new(1, "test", "order"), 0);
        for batch in order.chunks(8) {
            let of: Vec<usize> = batch.iter().map(|&sample| lengths[sample]).collect();
            assert!(
                of.iter().max().unwrap() - of.iter().min().unwrap() <= 8,
                "{of:?}"
            );
        }
        assert_ne!(
            order,
            grouped_by_length(&lengths, 8, Stream::new(1, "test", "order"), 1)
        );
    }

    #[test]
    fn what_fits_exactly_is_put_together() {
        assert_eq!(
            packed(&[6, 10, 4, 3, 7], 10),
            [vec![1], vec![4, 3], vec![0, 2]]
        );
    }
}
