//! The batches of a DPO: pairs with the reference's sums.

use begat_schemas::DpoParams;

use super::super::preference::{ReferenceLogps, is_wanted};
use super::super::training::{Epochs, MicroBatch, NamedFigures, Source, StepBatch, listed};
use super::options;
use crate::Stream;
use crate::contract::StageResult;
use crate::data::ComparisonFile;
use crate::loss::dpo::{Answer, Counts, DpoLoss, MEASURED};
use crate::train::Unit;

/// Pairs to train on.
pub(super) struct Pairs<'a> {
    file: ComparisonFile,
    reference: ReferenceLogps,
    /// Row, chosen answer, rejected answer.
    pairs: Vec<[usize; 3]>,
    epochs: Epochs,
    params: &'a DpoParams,
}

/// Each wanted pair: its row and its two answers.
fn wanted(file: &ComparisonFile, params: &DpoParams) -> Vec<[usize; 3]> {
    let of_row = |row: usize| {
        let pairs = file.pairs(row).iter();
        let pairs = pairs.filter(|pair| is_wanted(pair, params.strengths.as_ref()));
        pairs.map(move |pair| [row, pair.better as usize, pair.worse as usize])
    };
    (0..file.len()).flat_map(of_row).collect()
}

impl<'a> Pairs<'a> {
    pub(super) fn new(
        file: ComparisonFile,
        reference: ReferenceLogps,
        params: &'a DpoParams,
        random: Stream,
    ) -> Self {
        let pairs = wanted(&file, params);
        let optimization = &params.optimization;
        let per_step = optimization.per_device_train_batch_size as usize
            * optimization.gradient_accumulation_steps as usize;
        let length = |&[row, chosen, rejected]: &[usize; 3]| {
            file.length(row, chosen) + file.length(row, rejected)
        };
        let lengths = params
            .group_by_length
            .then(|| pairs.iter().map(length).collect());
        let epochs = Epochs::new(
            pairs.len(),
            per_step,
            params.num_train_epochs,
            lengths,
            random,
        );
        Self {
            file,
            reference,
            pairs,
            epochs,
            params,
        }
    }

    fn pairs_of(&mut self, step: u64) -> Vec<[usize; 3]> {
        let elements = self.epochs.of_step(step).into_iter();
        elements.map(|element| self.pairs[element]).collect()
    }

    /// A pair's sequences, and what is to be predicted of them.
    fn unit(&self, [row, chosen, rejected]: [usize; 3]) -> (Unit, [Answer; 2]) {
        let mut sequences = Vec::new();
        let answers = [chosen, rejected].map(|answer| {
            let shifted = self.file.shifted(row, answer);
            let counted = shifted.counted(self.params.mask_format_tokens).collect();
            sequences.push(shifted.inputs);
            Answer {
                targets: shifted.targets,
                counted,
                reference: self.reference.of(row, answer),
            }
        });
        (Unit { sequences }, answers)
    }
}

impl Source for Pairs<'_> {
    fn total_steps(&self) -> u64 {
        self.epochs.total_steps()
    }

    fn batch(&mut self, step: u64) -> StageResult<StepBatch> {
        let pairs = self.pairs_of(step);
        let units: Vec<(Unit, [Answer; 2])> = pairs.iter().map(|&pair| self.unit(pair)).collect();
        let mut in_update = Counts::default();
        units.iter().for_each(|(_, answers)| in_update.add(answers));
        let size = self.params.optimization.per_device_train_batch_size as usize;
        let micro_batches = units.chunks(size).map(|chunk| {
            let (units, pairs) = chunk.iter().cloned().unzip();
            MicroBatch {
                units,
                objective: Box::new(DpoLoss {
                    pairs,
                    options: options(self.params),
                    in_update,
                }),
            }
        });
        Ok(StepBatch::new(micro_batches.collect(), pairs.len() as u64))
    }

    fn describe(&mut self, step: u64) -> String {
        let pairs = self.pairs_of(step);
        listed(pairs.into_iter().map(|[row, ..]| self.file.place(row)))
    }

    fn epoch(&self, steps: u64) -> f64 {
        self.epochs.seen(steps)
    }

    fn figures(&self, _: f64, values: &[f64]) -> NamedFigures {
        MEASURED.into_iter().zip(values.iter().copied()).collect()
    }
}
