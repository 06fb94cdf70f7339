//! `begat`: the command line of begatd.
//!
//! `main` parses, resolves what was typed and found in the environment, runs one command and turns its result into an
//! exit code. What a command is for stands in its file in `commands/`, what its result looks like in `render/`.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod arguments;
mod commands;
mod context;
mod daemon_process;
mod exit_code;
mod failure;
mod follow;
mod progress;
mod render;
mod settings;
mod terminal;
mod text;

use std::process::ExitCode as ProcessExit;

use clap::{CommandFactory, FromArgMatches};

use arguments::Arguments;
use context::Context;
use exit_code::ExitCode;
use failure::Failure;
use settings::{Environment, Settings};
use terminal::Terminal;

fn main() -> ProcessExit {
    let matches = match Arguments::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            let code = match error.exit_code() {
                0 => ExitCode::Success,
                _ => ExitCode::Usage,
            };
            // A closed pipe is no reason to complain about help.
            let _ = error.print();
            return code.into();
        }
    };
    let terminal = Terminal::detect();
    let result = Arguments::from_arg_matches(&matches)
        .map_err(|error| Failure::usage(error.to_string()))
        .and_then(|arguments| run(arguments, terminal));
    match result {
        Ok(code) => code.into(),
        Err(failure) => {
            failure.report(&terminal);
            failure.code.into()
        }
    }
}

fn run(arguments: Arguments, terminal: Terminal) -> Result<ExitCode, Failure> {
    let settings = Settings::resolve(&arguments.global, &Environment::read())?;
    let context = Context::new(settings, terminal);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let result = runtime.block_on(async {
        tokio::select! {
            result = arguments.command.run(&context) => result,
            _ = tokio::signal::ctrl_c() => Err(context.interrupted()),
        }
    });
    // A command that was interrupted may have left a thread waiting for a line of input.
    runtime.shutdown_background();
    result
}
