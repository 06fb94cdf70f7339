//! The batches of a reward model's training: rows with all their pairs.

use begat_schemas::RewardParams;

use super::super::preference::is_wanted;
use super::super::training::{Epochs, MicroBatch, NamedFigures, Source, StepBatch, listed};
use super::margin;
use crate::Stream;
use crate::contract::{StageError, StageResult};
use crate::data::ComparisonFile;
use crate::loss::reward::{MEASURED, Pairing, RewardLoss};
use crate::train::Unit;

/// Rows that have a pair to train on.
pub(super) struct Prompts<'a> {
    file: ComparisonFile,
    rows: Vec<usize>,
    epochs: Epochs,
    params: &'a RewardParams,
}

impl<'a> Prompts<'a> {
    pub(super) fn new(file: ComparisonFile, params: &'a RewardParams, random: Stream) -> Self {
        let strengths = params.strengths.as_ref();
        let wanted = |row: &usize| {
            file.pairs(*row)
                .iter()
                .any(|pair| is_wanted(pair, strengths))
        };
        let rows: Vec<usize> = (0..file.len()).filter(wanted).collect();
        let optimization = &params.optimization;
        let per_step = optimization.per_device_train_batch_size as usize
            * optimization.gradient_accumulation_steps as usize;
        let length = |row: &usize| {
            (0..file.answer_count(*row))
                .map(|one| file.length(*row, one))
                .sum()
        };
        let lengths = params
            .group_by_length
            .then(|| rows.iter().map(length).collect());
        let epochs = Epochs::new(
            rows.len(),
            per_step,
            params.num_train_epochs,
            lengths,
            random,
        );
        Self {
            file,
            rows,
            epochs,
            params,
        }
    }

    fn rows_of(&mut self, step: u64) -> Vec<usize> {
        let elements = self.epochs.of_step(step).into_iter();
        elements.map(|element| self.rows[element]).collect()
    }
}

/// A row's sequences and pairs; answers that are in no pair are left out.
pub(super) fn unit(
    file: &ComparisonFile,
    row: usize,
    params: &RewardParams,
    all: bool,
) -> StageResult<(Unit, Vec<Pairing>)> {
    let strengths = params.strengths.as_ref().filter(|_| !all);
    let pairs = file
        .pairs(row)
        .iter()
        .filter(|pair| is_wanted(pair, strengths));
    let pairs: Vec<_> = pairs.collect();
    let mut answers: Vec<u32> = pairs
        .iter()
        .flat_map(|pair| [pair.better, pair.worse])
        .collect();
    answers.sort_unstable();
    answers.dedup();
    let number = |answer: u32| answers.partition_point(|&one| one < answer);
    let pairing = |pair: &&crate::data::Compared| {
        Ok(Pairing {
            better: number(pair.better),
            worse: number(pair.worse),
            margin: margin(pair, params.margin)
                .map_err(|problem| super::super::preference::at_row(file, row, problem))?,
        })
    };
    let pairings = pairs.iter().map(pairing).collect::<StageResult<_>>()?;
    let sequences = answers
        .iter()
        .map(|&answer| file.sequence(row, answer as usize));
    let sequences = sequences.collect();
    Ok((Unit { sequences }, pairings))
}

impl Source for Prompts<'_> {
    fn total_steps(&self) -> u64 {
        self.epochs.total_steps()
    }

    fn batch(&mut self, step: u64) -> StageResult<StepBatch> {
        let rows = self.rows_of(step);
        let units = rows
            .iter()
            .map(|&row| unit(&self.file, row, self.params, false));
        let units: Vec<(Unit, Vec<Pairing>)> = units.collect::<StageResult<_>>()?;
        let sequences = |units: &[(Unit, _)]| units.iter().map(|one| one.0.sequences.len()).sum();
        let (units_in_update, sequences_in_update) = (units.len(), sequences(&units));
        let size = self.params.optimization.per_device_train_batch_size as usize;
        let mut next = 0;
        let micro_batches = units.chunks(size).map(|chunk| {
            let first_sequence = chunk.iter().map(|(unit, _)| {
                let first = next;
                next += unit.sequences.len();
                first
            });
            let first_sequence = first_sequence.collect();
            let (units, pairs) = chunk.iter().cloned().unzip();
            MicroBatch {
                units,
                objective: Box::new(RewardLoss {
                    pairs,
                    first_sequence,
                    units_in_update,
                    sequences_in_update,
                    center_rewards_coefficient: self.params.center_rewards_coefficient,
                }),
            }
        });
        let micro_batches: Vec<MicroBatch> = micro_batches.collect();
        if micro_batches.is_empty() {
            let problem = format!("step {step} has no rows");
            return Err(StageError::dataset("dataset", problem));
        }
        Ok(StepBatch::new(micro_batches, rows.len() as u64))
    }

    fn describe(&mut self, step: u64) -> String {
        let rows = self.rows_of(step);
        listed(rows.into_iter().map(|row| self.file.place(row)))
    }

    fn epoch(&self, steps: u64) -> f64 {
        self.epochs.seen(steps)
    }

    fn figures(&self, _: f64, values: &[f64]) -> NamedFigures {
        let (means, scores) = values.split_at(MEASURED.len().min(values.len()));
        let mut figures: NamedFigures = MEASURED.into_iter().zip(means.iter().copied()).collect();
        let lowest = scores.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        figures.extend([("min_reward", lowest), ("max_reward", highest)]);
        figures
    }
}
