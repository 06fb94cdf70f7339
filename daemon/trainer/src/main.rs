//! `begat-stage`: runs the stage whose work folder BEGAT_WORK names, or serves completions.

use std::path::PathBuf;
use std::process::ExitCode;

use begat_trainer::contract::{StageError, StageResult, StopFlag};
use begat_trainer::numerics::fingerprint;
use begat_trainer::stages::{Hooks, run, say, serve};
use begat_trainer::{device, tools};
use clap::{Parser, Subcommand};

/// Runs a stage of a begat recipe.
#[derive(Parser)]
#[command(name = "begat-stage", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the job in a work folder (the default).
    Run {
        /// The work folder.
        #[arg(env = begat_schemas::WORK_VARIABLE)]
        work: PathBuf,
    },
    /// Completes prompts: requests on standard input, answers on standard output, one JSON object a line.
    Serve {
        /// Where to compute: cpu, cuda or cuda:N.
        #[arg(long, default_value = "cpu")]
        device: String,
        /// Threads of arithmetic on the processor.
        #[arg(long, default_value_t = 1)]
        threads: usize,
    },
    /// Prints the numerics fingerprint of this machine and what it is made of.
    Numerics {
        /// Where to compute: cpu, cuda or cuda:N.
        #[arg(long, default_value = "cpu")]
        device: String,
    },
    /// Prints a model's logits for token sequences, as JSON.
    Logits {
        /// A model's folder.
        #[arg(long)]
        model: PathBuf,
        /// A JSON file: a list of lists of token ids.
        #[arg(long)]
        tokens: PathBuf,
    },
    /// Writes a freshly initialised model.
    Initialise {
        /// The shape: a `config.json`.
        #[arg(long)]
        config: PathBuf,
        /// What the values are a function of.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The folder to write to.
        #[arg(long)]
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command.or_else(from_environment) {
        Some(Command::Run { work }) => return run_stage(work),
        Some(Command::Serve { device, threads }) => serve(&device, threads).map(|()| None),
        Some(Command::Numerics { device }) => numerics(&device).map(Some),
        Some(Command::Logits { model, tokens }) => tools::logits(&model, &tokens)
            .map(Some)
            .map_err(StageError::from),
        Some(Command::Initialise { config, seed, out }) => tools::initialise(&config, seed, &out)
            .map(|()| None)
            .map_err(StageError::from),
        None => {
            say("no work folder: set BEGAT_WORK or name one, as in `begat-stage run FOLDER`");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(text) => {
            text.into_iter().for_each(|text| println!("{text}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

/// The fingerprint and, on a line each, the digests of its probes.
fn numerics(name: &str) -> StageResult<String> {
    let found = fingerprint(device::open(name, false)?)?;
    let probes = found.probes.iter();
    let lines = probes.map(|probe| format!("\n{} {}", probe.digest, probe.name));
    Ok(std::iter::once(found.digest.clone()).chain(lines).collect())
}

fn from_environment() -> Option<Command> {
    let work = std::env::var_os(begat_schemas::WORK_VARIABLE)?;
    Some(Command::Run { work: work.into() })
}

fn run_stage(work: PathBuf) -> ExitCode {
    let stop = match StopFlag::on_signals() {
        Ok(stop) => stop,
        Err(error) => {
            say(format_args!("signals cannot be watched: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let hooks = Hooks {
        stop,
        ..Hooks::default()
    };
    ExitCode::from(run(&work, &hooks))
}
