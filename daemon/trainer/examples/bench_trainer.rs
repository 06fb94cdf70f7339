//! The two workloads that `make bench` compares with PyTorch, at the demo's shapes.
//!
//! `bench_trainer train|generate gpt2|llama THREADS`: after each line on standard input that holds a number it does so many
//! steps (or batches of completions) and prints one JSON line, so that one driver can let two programs take turns.
//! tests/bench/torch_worker.py is the other one.

use std::io::{BufRead, Write};
use std::time::Instant;

use begat_trainer::{
    AdamW, Device, GenerateOptions, Kind, Model, ModelConfig, Objective, Outcome, Pass, Result,
    Sampling, Stream, Tensor, Trainer, TrainerOptions, Unit, device, generate, loss,
};

const VOCABULARY: u64 = 2048;
const ROWS: u64 = 8;
const LENGTH: u64 = 128;
const PROMPTS: u64 = 32;
const NEW_TOKENS: usize = 32;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (what, architecture, threads) = match arguments[..] {
        [what @ ("train" | "generate"), architecture, threads] => {
            (what, architecture, threads.parse().unwrap_or(1))
        }
        _ => {
            eprintln!("usage: bench_trainer train|generate gpt2|llama THREADS");
            std::process::exit(2);
        }
    };
    device::open("cpu", false)?;
    let model = Model::initialise(&config(architecture), 1, Device::Cpu)?;
    println!("{{\"parameters\": {}}}", model.parameter_count());
    if what == "train" {
        let mut training = Training::new(model, threads)?;
        take_turns(|| training.step())
    } else {
        let completing = Completing::new(model, threads);
        take_turns(|| completing.batch())
    }
}

/// Does `work` as often as each line asks for, and says how long that took and how many tokens it was.
fn take_turns(mut work: impl FnMut() -> Result<u64>) -> Result<()> {
    for line in std::io::stdin().lock().lines() {
        let Some(times) = line.ok().and_then(|line| line.trim().parse::<u64>().ok()) else {
            break;
        };
        let start = Instant::now();
        let tokens: u64 = (0..times).map(|_| work()).sum::<Result<u64>>()?;
        let seconds = start.elapsed().as_secs_f64();
        println!("{{\"tokens\": {tokens}, \"seconds\": {seconds}}}");
        let _ = std::io::stdout().flush();
    }
    Ok(())
}

fn config(architecture: &str) -> ModelConfig {
    if architecture == "gpt2" {
        return ModelConfig::gpt2(2048, 128, 4, 4, 256);
    }
    let mut config = ModelConfig::llama(2048, 128, 4, 4, 2);
    config.intermediate_size = 352;
    config.tie_word_embeddings = true;
    config.max_position_embeddings = 256;
    config
}

fn sequence(stream: &Stream, row: u64, length: u64) -> Vec<u32> {
    (0..length)
        .map(|position| stream.below(row, position, VOCABULARY) as u32)
        .collect()
}

struct Training {
    trainer: Trainer,
    units: Vec<Unit>,
    objective: NextToken,
}

impl Training {
    fn new(model: Model, threads: usize) -> Result<Self> {
        let stream = Stream::new(1, "bench", "tokens");
        let rows: Vec<Vec<u32>> = (0..ROWS)
            .map(|row| sequence(&stream, row, LENGTH + 1))
            .collect();
        let inputs = |row: &Vec<u32>| Unit::single(row[..row.len() - 1].to_vec());
        let targets = |row: &Vec<u32>| row[1..].iter().map(|&token| i64::from(token)).collect();
        let units = rows.iter().map(inputs).collect();
        let targets = rows.iter().map(targets).collect();
        let options = TrainerOptions {
            threads,
            optimizer: AdamW::default(),
            ..Default::default()
        };
        Ok(Self {
            trainer: Trainer::new(model, options)?,
            units,
            objective: NextToken { targets },
        })
    }

    fn step(&mut self) -> Result<u64> {
        let measured = self.trainer.accumulate(&self.units, &self.objective)?;
        let _norm = self.trainer.update(4e-3)?;
        f64::try_from(measured.loss)?;
        Ok(ROWS * LENGTH)
    }
}

struct NextToken {
    targets: Vec<Vec<i64>>,
}

impl Objective for NextToken {
    fn outcome(&self, pass: &Pass) -> Result<Outcome> {
        let targets = self.targets[pass.units.clone()].concat();
        let measured = loss::cross_entropy(pass.model, pass.hidden, &targets, false)?;
        Ok(Outcome {
            values: Tensor::f_zeros([0], (Kind::Float, pass.hidden.device()))?,
            loss: measured.sum.f_div_scalar((ROWS * LENGTH) as f64)?,
        })
    }
}

struct Completing {
    model: Model,
    prompts: Vec<Vec<u32>>,
    options: GenerateOptions,
}

impl Completing {
    /// Prompts of 12 to 28 tokens: 20 on average.
    fn new(model: Model, threads: usize) -> Self {
        let stream = Stream::new(1, "bench", "prompts");
        let prompts = (0..PROMPTS).map(|row| sequence(&stream, row, 12 + row % 17));
        Self {
            model,
            prompts: prompts.collect(),
            options: GenerateOptions {
                sampling: Sampling::at(1.0),
                max_new_tokens: NEW_TOKENS,
                stop_tokens: Vec::new(),
                stream: Stream::new(1, "bench", "sampling"),
                first_row: 0,
                batch: PROMPTS as usize,
                threads,
            },
        }
    }

    fn batch(&self) -> Result<u64> {
        let completions = generate(&self.model, &self.prompts, &self.options, None)?;
        Ok(completions
            .iter()
            .map(|completion| completion.tokens.len() as u64)
            .sum())
    }
}
