//! How often a reward model agrees with held-out preferences, by their strength.

use begat_schemas::{RewardParams, Strength};

use super::super::scoring::raw_scores;
use super::super::training::{HeldOut, NamedFigures};
use super::source::unit;
use crate::contract::StageResult;
use crate::data::ComparisonFile;
use crate::loss::preference::negative_log_sigmoid;
use crate::model::Model;

/// The names of a set's figures.
pub(super) struct Names {
    loss: &'static str,
    accuracy: &'static str,
    pairs: &'static str,
    accuracies: [&'static str; 4],
    counts: [&'static str; 4],
}

macro_rules! names {
    ($prefix:literal) => {
        Names {
            loss: concat!($prefix, "loss"),
            accuracy: concat!($prefix, "accuracy"),
            pairs: concat!($prefix, "pairs"),
            accuracies: [
                concat!($prefix, "accuracy_significantly"),
                concat!($prefix, "accuracy_better"),
                concat!($prefix, "accuracy_slightly"),
                concat!($prefix, "accuracy_negligibly"),
            ],
            counts: [
                concat!($prefix, "pairs_significantly"),
                concat!($prefix, "pairs_better"),
                concat!($prefix, "pairs_slightly"),
                concat!($prefix, "pairs_negligibly"),
            ],
        }
    };
}

/// Of the input `validation`, or of the dataset's own split where there is no such input.
pub(super) static OF_INPUT: Names = names!("eval_");
/// Of the dataset's own split beside the input.
pub(super) static OF_SPLIT: Names = names!("eval_dataset_");

/// Held-out pairs of one dataset.
pub(super) struct HeldOutPairs<'a> {
    file: ComparisonFile,
    params: &'a RewardParams,
    names: &'static Names,
}

/// All held-out pairs.
pub(super) struct HeldOutSets<'a>(pub Vec<HeldOutPairs<'a>>);

/// How many pairs there were, and how many of them the model ranked right.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Agreement {
    pairs: u64,
    right: u64,
}

impl Agreement {
    fn add(&mut self, right: bool) {
        self.pairs += 1;
        self.right += u64::from(right);
    }

    fn accuracy(self) -> f64 {
        self.right as f64 / self.pairs as f64
    }
}

impl<'a> HeldOutPairs<'a> {
    pub(super) fn new(
        file: ComparisonFile,
        params: &'a RewardParams,
        names: &'static Names,
    ) -> Self {
        Self {
            file,
            params,
            names,
        }
    }

    fn judge(&self, model: &Model, batch: usize, threads: usize) -> StageResult<NamedFigures> {
        let file = &self.file;
        let places: Vec<(usize, usize)> = (0..file.len())
            .flat_map(|row| (0..file.answer_count(row)).map(move |answer| (row, answer)))
            .collect();
        let scores = raw_scores(model, places.len(), batch * 2, threads, |index| {
            let (row, answer) = places[index];
            file.sequence(row, answer)
        })?;
        self.figures(&scores)
    }

    /// `scores` are those of all answers of all rows. Equal scores are no agreement.
    fn figures(&self, scores: &[f64]) -> StageResult<NamedFigures> {
        let (mut loss, mut all, mut by_strength) =
            (0.0, Agreement::default(), [Agreement::default(); 4]);
        let mut first = 0;
        for row in 0..self.file.len() {
            let of_row = &scores[first..first + self.file.answer_count(row)];
            first += of_row.len();
            let (_, pairings) = unit(&self.file, row, self.params, true)?;
            let pairs = self.file.pairs(row);
            for (pair, pairing) in pairs.iter().zip(&pairings) {
                let (better, worse) = (of_row[pair.better as usize], of_row[pair.worse as usize]);
                let centring = self.params.center_rewards_coefficient * (better + worse).powi(2);
                let ranked = negative_log_sigmoid(better - worse - pairing.margin);
                loss += (ranked + centring) / pairs.len() as f64;
                all.add(better > worse);
                if let Some(strength) = pair.strength {
                    by_strength[place(strength)].add(better > worse);
                }
            }
        }
        let names = self.names;
        let mut figures = vec![
            (names.loss, loss / self.file.len() as f64),
            (names.accuracy, all.accuracy()),
            (names.pairs, all.pairs as f64),
        ];
        for (index, found) in by_strength.iter().enumerate() {
            if found.pairs > 0 {
                figures.push((names.accuracies[index], found.accuracy()));
                figures.push((names.counts[index], found.pairs as f64));
            }
        }
        Ok(figures)
    }
}

/// The number of a strength in [`Strength::ALL`].
fn place(strength: Strength) -> usize {
    let mut all = Strength::ALL.iter();
    all.position(|one| *one == strength).unwrap_or_default()
}

impl HeldOut for HeldOutSets<'_> {
    fn judge(&self, model: &Model, batch: usize, threads: usize) -> StageResult<NamedFigures> {
        let sets = self.0.iter().map(|set| set.judge(model, batch, threads));
        Ok(sets.collect::<StageResult<Vec<_>>>()?.concat())
    }

    /// A reward model completes nothing.
    fn prompt(&self, _: usize) -> Option<Vec<u32>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_strengths() {
        for (name, strength) in OF_INPUT.accuracies.iter().zip(Strength::ALL) {
            assert_eq!(*name, format!("eval_accuracy_{strength}"));
            assert_eq!(
                OF_SPLIT.counts[place(strength)],
                format!("eval_dataset_pairs_{strength}")
            );
        }
    }
}
