//! `begat-stage`: runs the stage whose work folder BEGAT_WORK names, or serves completions.

use std::path::PathBuf;
use std::process::ExitCode;

use begat_trainer::contract::StopFlag;
use begat_trainer::stages::{Hooks, run};
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
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command.or_else(from_environment) {
        Some(Command::Run { work }) => run_stage(work),
        None => {
            eprintln!(
                "begat-stage: no work folder: set BEGAT_WORK or name one, as in `begat-stage run FOLDER`"
            );
            ExitCode::from(2)
        }
    }
}

fn from_environment() -> Option<Command> {
    let work = std::env::var_os(begat_schemas::WORK_VARIABLE)?;
    Some(Command::Run { work: work.into() })
}

fn run_stage(work: PathBuf) -> ExitCode {
    let stop = match StopFlag::on_signals() {
        Ok(stop) => stop,
        Err(error) => {
            eprintln!("begat-stage: signals cannot be watched: {error}");
            return ExitCode::FAILURE;
        }
    };
    let hooks = Hooks {
        stop,
        ..Hooks::default()
    };
    ExitCode::from(run(&work, &hooks))
}
