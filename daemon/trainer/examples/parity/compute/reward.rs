//! The loss of a reward model, on pairs or on rankings.

use super::{Outputs, doubles, gradients, load, named, numbers, output, trainer};
use begat_trainer::{
    Result, Unit,
    loss::reward::{MEASURED, Pairing, RewardLoss},
};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
pub struct Case {
    units: Vec<Answers>,
    center_rewards_coefficient: f64,
}

/// The answers to one prompt.
#[derive(Deserialize)]
struct Answers {
    sequences: Vec<Vec<u32>>,
    /// Better, worse, margin.
    pairs: Vec<(usize, usize, f64)>,
}

impl Answers {
    fn pairings(&self) -> Vec<Pairing> {
        let pairs = self.pairs.iter();
        pairs
            .map(|&(better, worse, margin)| Pairing {
                better,
                worse,
                margin,
            })
            .collect()
    }
}

impl Case {
    pub fn compute(self, folder: &Path) -> Result<Outputs> {
        let mut trainer = trainer(load(folder, "model")?)?;
        let units: Vec<Unit> = self
            .units
            .iter()
            .map(|unit| Unit {
                sequences: unit.sequences.clone(),
            })
            .collect();
        let measured = trainer.accumulate(&units, &self.objective())?;
        let values = doubles(&measured.values)?;
        let mut outputs = vec![
            output("loss", measured.loss),
            numbers("scores", &values[MEASURED.len()..]),
        ];
        outputs.extend(named(&MEASURED, &values));
        outputs.extend(gradients(&mut trainer, "")?);
        Ok(outputs)
    }

    fn objective(&self) -> RewardLoss {
        let mut first_sequence = Vec::new();
        let mut sequences = 0;
        for unit in &self.units {
            first_sequence.push(sequences);
            sequences += unit.sequences.len();
        }
        RewardLoss {
            pairs: self.units.iter().map(Answers::pairings).collect(),
            first_sequence,
            units_in_update: self.units.len(),
            sequences_in_update: sequences,
            center_rewards_coefficient: self.center_rewards_coefficient,
        }
    }
}
