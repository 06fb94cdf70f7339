//! One whole optimizer step of supervised fine-tuning, in float64: losses of completions, accumulation, clipping, AdamW.

use super::{Outputs, load, output};
use begat_trainer::{
    AdamW, Kind, Result, Trainer, TrainerOptions, Unit,
    loss::{IGNORE, NextToken},
};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
pub struct Case {
    rows: Vec<Row>,
    micro_batch: usize,
    learning_rate: f64,
    adam_beta1: f64,
    adam_beta2: f64,
    adam_epsilon: f64,
    weight_decay: f64,
    max_grad_norm: f64,
}

#[derive(Deserialize)]
struct Row {
    prompt: Vec<u32>,
    completion: Vec<u32>,
}

impl Row {
    fn unit(&self) -> Unit {
        let mut tokens = [&self.prompt[..], &self.completion[..]].concat();
        tokens.pop();
        Unit::single(tokens)
    }

    fn targets(&self) -> Vec<i64> {
        let ignored = std::iter::repeat_n(IGNORE, self.prompt.len() - 1);
        let learned = self.completion.iter().map(|&token| i64::from(token));
        ignored.chain(learned).collect()
    }
}

impl Case {
    pub fn compute(self, folder: &Path) -> Result<Outputs> {
        let model = load(folder, "model")?.in_double()?;
        let mut trainer = Trainer::new(model, self.options())?;
        let learned: usize = self.rows.iter().map(|row| row.completion.len()).sum();
        let mut loss = 0.0;
        for rows in self.rows.chunks(self.micro_batch) {
            let objective = NextToken {
                targets: rows.iter().map(Row::targets).collect(),
                scale: 1.0 / learned as f64,
                measure: false,
            };
            let units: Vec<Unit> = rows.iter().map(Row::unit).collect();
            loss += f64::try_from(&trainer.accumulate(&units, &objective)?.loss)?;
        }
        let norm = trainer.update(self.learning_rate)?;
        let mut outputs = vec![output("loss", loss), output("gradient_norm", norm)];
        let gradients = trainer.gradients();
        outputs.extend(
            gradients.map(|(name, gradient)| (format!("gradient.{name}"), gradient.copy())),
        );
        let parameters = trainer.model().parameters().iter();
        outputs.extend(parameters.map(|(name, value)| (format!("parameter.{name}"), value.copy())));
        Ok(outputs)
    }

    fn options(&self) -> TrainerOptions {
        TrainerOptions {
            optimizer: AdamW {
                beta1: self.adam_beta1,
                beta2: self.adam_beta2,
                epsilon: self.adam_epsilon,
                weight_decay: self.weight_decay,
            },
            max_gradient_norm: self.max_grad_norm,
            kind: Kind::Double,
            ..TrainerOptions::default()
        }
    }
}
