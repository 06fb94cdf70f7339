//! Tokens per second of training, at the demo's shapes by default: one JSON line, for `make bench`.
//!
//! `throughput gpt2|llama [threads] [steps]`

use begat_trainer::{
    AdamW, Device, Kind, Model, ModelConfig, Objective, Outcome, Pass, Result, Stream, Tensor,
    Trainer, TrainerOptions, Unit, device, loss,
};
use std::time::Instant;

struct NextToken {
    targets: Vec<Vec<i64>>,
}

impl Objective for NextToken {
    fn outcome(&self, pass: &Pass) -> Result<Outcome> {
        let targets = self.targets[pass.units.clone()].concat();
        let measured = loss::cross_entropy(pass.model, pass.hidden, &targets, false)?;
        let count = self.targets.iter().map(Vec::len).sum::<usize>() as f64;
        let loss = measured.sum.f_div_scalar(count)?;
        Ok(Outcome {
            values: Tensor::f_zeros([0], (Kind::Float, pass.hidden.device()))?,
            loss,
        })
    }
}

fn config(name: &str) -> ModelConfig {
    if name == "gpt2" {
        return ModelConfig::gpt2(2048, 128, 4, 4, 256);
    }
    let mut config = ModelConfig::llama(2048, 128, 4, 4, 2);
    (
        config.intermediate_size,
        config.tie_word_embeddings,
        config.max_position_embeddings,
    ) = (352, true, 256);
    config
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "gpt2".to_owned());
    let threads = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let steps: usize = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20);
    device::open("cpu", false)?;
    let model = Model::initialise(&config(&name), 1, Device::Cpu)?;
    let mut trainer = Trainer::new(
        model,
        TrainerOptions {
            threads,
            optimizer: AdamW::default(),
            ..Default::default()
        },
    )?;
    let stream = Stream::new(1, "bench", "tokens");
    let row = |r: u64| -> Vec<u32> { (0..129).map(|t| stream.below(r, t, 2048) as u32).collect() };
    let rows: Vec<Vec<u32>> = (0..8).map(row).collect();
    let units: Vec<Unit> = rows
        .iter()
        .map(|row| Unit::single(row[..128].to_vec()))
        .collect();
    let targets = rows
        .iter()
        .map(|row| row[1..].iter().map(|&token| i64::from(token)).collect())
        .collect();
    let objective = NextToken { targets };
    let mut seconds = Vec::new();
    for _ in 0..steps + 5 {
        let start = Instant::now();
        let measured = trainer.accumulate(&units, &objective)?;
        trainer.update(4e-3)?;
        f64::try_from(measured.loss)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let mut warm = seconds.split_off(5);
    warm.sort_by(f64::total_cmp);
    let median = warm[warm.len() / 2];
    println!(
        "{{\"model\": \"{name}\", \"threads\": {threads}, \"tokens_per_second\": {:.0}}}",
        1024.0 / median
    );
    Ok(())
}
