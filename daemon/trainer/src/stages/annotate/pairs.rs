//! Which pairs of a prompt's candidates are written.

use super::candidates::Candidates;
use crate::Stream;

/// Two candidates by their places, the better one first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair {
    pub chosen: usize,
    pub rejected: usize,
    /// How far their scores lie apart; above 0.
    pub gap: f64,
}

/// The pairs whose scores lie further apart than `min_gap`, and how many do not.
pub(super) fn comparable(scores: &[f64], min_gap: f64) -> (Vec<Pair>, u64) {
    let (mut pairs, mut ties) = (Vec::new(), 0);
    for one in 0..scores.len() {
        for other in one + 1..scores.len() {
            let gap = scores[one] - scores[other];
            if gap.abs() <= min_gap || gap == 0.0 {
                ties += 1;
                continue;
            }
            let (chosen, rejected) = if gap > 0.0 {
                (one, other)
            } else {
                (other, one)
            };
            pairs.push(Pair {
                chosen,
                rejected,
                gap: gap.abs(),
            });
        }
    }
    (pairs, ties)
}

/// At most `most` of the pairs, drawn by the row's own random numbers, so that strengths come as often as they are: always
/// taking the widest gaps would leave few of the weaker ones.
pub(super) fn drawn(mut pairs: Vec<Pair>, most: usize, stream: Stream, row: u64) -> Vec<Pair> {
    if pairs.len() <= most {
        return pairs;
    }
    let mut kept = stream.permutation(row, pairs.len());
    kept.truncate(most);
    kept.sort_unstable();
    let mut number = 0;
    pairs.retain(|_| {
        number += 1;
        kept.binary_search(&(number - 1)).is_ok()
    });
    pairs
}

/// The candidates from best to worst without those that tie with the one before, by their places.
pub(super) fn ranked(candidates: &Candidates, scores: &[f64], min_gap: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|&one, &other| scores[other].total_cmp(&scores[one]));
    let mut kept: Vec<usize> = Vec::new();
    for place in order {
        let gap = kept.last().map(|&last| scores[last] - scores[place]);
        if gap.is_none_or(|gap| gap > min_gap && gap > 0.0) {
            kept.push(place);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::candidates::Candidate;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_make_no_pair() {
        let (pairs, ties) = comparable(&[0.5, 0.52, 0.9, 0.1], 0.03);
        let found: Vec<(usize, usize)> = pairs
            .iter()
            .map(|pair| (pair.chosen, pair.rejected))
            .collect();
        assert_eq!(found, [(2, 0), (0, 3), (2, 1), (1, 3), (2, 3)]);
        assert_eq!(ties, 1);
        assert_eq!(comparable(&[1.0, 1.0], 0.0), (vec![], 1));
        assert_eq!(comparable(&[], 0.0), (vec![], 0));
    }

    #[test]
    fn a_ranking_leaves_out_what_ties_with_a_better_one() {
        let candidate = |k| Candidate {
            k,
            text: k.to_string(),
            ended: true,
            gold: None,
        };
        let candidates: Vec<Candidate> = (0..5).map(candidate).collect();
        let scores = [0.2, 0.9, 0.88, 0.2, 0.5];
        assert_eq!(ranked(&candidates, &scores, 0.03), [1, 4, 0]);
        assert_eq!(ranked(&candidates, &scores, 0.0), [1, 2, 4, 0]);
    }

    proptest! {
        #[test]
        fn the_drawn_are_so_many_of_the_pairs_in_their_order(
            scores in prop::collection::vec(-1.0f64..1.0, 0..7), most in 1usize..8, row in 0u64..50,
        ) {
            let (pairs, _) = comparable(&scores, 0.0);
            let stream = Stream::new(1, "annotate", "pairs");
            let found = drawn(pairs.clone(), most, stream, row);
            prop_assert_eq!(found.len(), pairs.len().min(most));
            let places: Vec<usize> = found
                .iter()
                .map(|one| pairs.iter().position(|pair| pair == one).unwrap())
                .collect();
            prop_assert!(places.is_sorted());
        }
    }

    #[test]
    fn rows_draw_other_pairs() {
        let (pairs, _) = comparable(&[0.1, 0.2, 0.3, 0.4], 0.0);
        let stream = Stream::new(1, "annotate", "pairs");
        let of = |row| drawn(pairs.clone(), 3, stream, row);
        assert_eq!(of(3), of(3));
        assert!((0..20).any(|row| of(row) != of(0)));
    }
}
