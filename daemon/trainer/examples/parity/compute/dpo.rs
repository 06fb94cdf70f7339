//! The loss of DPO, its implicit rewards, and the log-probabilities under it.

use super::{Outputs, doubles, gradients, load, named, numbers, output, pack, trainer};
use begat_trainer::{
    Model, Result, Tensor, Unit,
    loss::{
        IGNORE,
        dpo::{Answer, Counts, DpoLoss, DpoOptions, MEASURED, reference_sums},
        log_probabilities,
    },
};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
pub struct Case {
    pairs: Vec<Pair>,
    beta: f64,
    label_smoothing: f64,
    sft_loss_weight: f64,
}

#[derive(Deserialize)]
struct Pair {
    prompt: Vec<u32>,
    chosen: Vec<u32>,
    rejected: Vec<u32>,
}

/// A sequence as the model reads it: without its last token, which predicts nothing.
struct Sequence {
    inputs: Vec<u32>,
    answer: Answer,
}

impl Sequence {
    fn new(prompt: &[u32], answer: &[u32]) -> Self {
        let all = [prompt, answer].concat();
        let target = |place: usize| {
            if place < prompt.len() {
                IGNORE
            } else {
                i64::from(all[place])
            }
        };
        let targets: Vec<i64> = (1..all.len()).map(target).collect();
        Self {
            inputs: all[..all.len() - 1].to_vec(),
            answer: Answer {
                counted: vec![true; targets.len()],
                targets,
                reference: 0.0,
            },
        }
    }
}

impl Case {
    pub fn compute(self, folder: &Path) -> Result<Outputs> {
        let mut chosen = self.sequences(|pair| &pair.chosen);
        let mut rejected = self.sequences(|pair| &pair.rejected);
        let reference = load(folder, "reference")?;
        let mut sums = add_reference(&reference, &mut chosen)?;
        sums.extend(add_reference(&reference, &mut rejected)?);
        let model = load(folder, "model")?;
        let mut outputs = per_token(&model, &chosen.iter().chain(&rejected).collect::<Vec<_>>())?;
        outputs.push(numbers("reference_sums", &sums));
        let pairs: Vec<[&Sequence; 2]> =
            chosen.iter().zip(&rejected).map(|(c, r)| [c, r]).collect();
        outputs.push(self.rewards(model.duplicate()?, &pairs)?);
        outputs.extend(self.loss(model, &pairs)?);
        Ok(outputs)
    }

    fn sequences(&self, answer: fn(&Pair) -> &Vec<u32>) -> Vec<Sequence> {
        let pairs = self.pairs.iter();
        pairs
            .map(|pair| Sequence::new(&pair.prompt, answer(pair)))
            .collect()
    }

    fn objective(&self, pairs: &[[&Sequence; 2]]) -> DpoLoss {
        let pairs: Vec<[Answer; 2]> = pairs
            .iter()
            .map(|pair| pair.map(|sequence| sequence.answer.clone()))
            .collect();
        let mut in_update = Counts::default();
        pairs.iter().for_each(|pair| in_update.add(pair));
        let options = DpoOptions {
            beta: self.beta,
            label_smoothing: self.label_smoothing,
            sft_loss_weight: self.sft_loss_weight,
        };
        DpoLoss {
            pairs,
            options,
            in_update,
        }
    }

    /// Implicit rewards of chosen answers, then of rejected ones: each pair as a batch of its own, whose means they are.
    fn rewards(&self, model: Model, pairs: &[[&Sequence; 2]]) -> Result<(String, Tensor)> {
        let mut trainer = trainer(model)?;
        let (mut chosen, mut rejected) = (Vec::new(), Vec::new());
        for pair in pairs {
            let objective = self.objective(&[*pair]);
            let measured = trainer.accumulate(&[unit(pair)], &objective)?;
            let values = doubles(&measured.values)?;
            chosen.push(values[0]);
            rejected.push(values[1]);
        }
        Ok(numbers("rewards", &[chosen, rejected].concat()))
    }

    fn loss(&self, model: Model, pairs: &[[&Sequence; 2]]) -> Result<Outputs> {
        let mut trainer = trainer(model)?;
        let units: Vec<Unit> = pairs.iter().map(unit).collect();
        let measured = trainer.accumulate(&units, &self.objective(pairs))?;
        let values = doubles(&measured.values)?;
        let [chosen, rejected, _, margins] = [0, 1, 2, 3].map(|number| values[number]);
        let mut outputs = vec![
            output("loss", measured.loss),
            numbers("reward_means", &[chosen, rejected, margins]),
        ];
        outputs.extend(named(&MEASURED, &values));
        outputs.extend(gradients(&mut trainer, "")?);
        Ok(outputs)
    }
}

fn unit(pair: &[&Sequence; 2]) -> Unit {
    Unit {
        sequences: pair.map(|sequence| sequence.inputs.clone()).to_vec(),
    }
}

fn inputs(sequences: &[&Sequence]) -> Vec<Vec<u32>> {
    sequences.iter().map(|one| one.inputs.clone()).collect()
}

fn targets(sequences: &[&Sequence]) -> Vec<i64> {
    let all = sequences.iter();
    all.flat_map(|one| one.answer.targets.iter().copied())
        .collect()
}

/// Gives each answer the reference's sum, and returns the sums.
fn add_reference(reference: &Model, sequences: &mut [Sequence]) -> Result<Vec<f64>> {
    let all: Vec<&Sequence> = sequences.iter().collect();
    let targets = targets(&all);
    let counted = vec![true; targets.len()];
    let sums = reference_sums(reference, &pack(&inputs(&all))?, &targets, &counted)?;
    for (sequence, sum) in sequences.iter_mut().zip(&sums) {
        sequence.answer.reference = *sum;
    }
    Ok(sums)
}

/// Log-probability of each token of the answers, and the entropy of the distribution that it is from.
fn per_token(model: &Model, sequences: &[&Sequence]) -> Result<Outputs> {
    let targets = targets(sequences);
    let hidden = model.hidden(&pack(&inputs(sequences))?)?;
    let found = log_probabilities(model, &hidden, &targets, 1.0, true)?;
    let of_answers = |values: &Tensor| -> Result<Vec<f64>> {
        let values = doubles(values)?.into_iter().zip(&targets);
        Ok(values
            .filter(|(_, target)| **target != IGNORE)
            .map(|(value, _)| value)
            .collect())
    };
    Ok(vec![
        numbers("log_probabilities", &of_answers(&found.values)?),
        numbers("entropies", &of_answers(&found.entropy)?),
    ])
}
