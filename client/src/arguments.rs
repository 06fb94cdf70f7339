//! What was typed.

use std::path::PathBuf;

use clap::{Args, Parser};

use crate::commands::Command;

const EXAMPLES: &str = "\
Examples:
  begat add corpus/ --name my/corpus --start      store a folder and name it; start a daemon
  begat launch configs/recipes/gpt.toml --plan    what would run, what is there already, and why
  begat launch configs/recipes/gpt.toml --follow  run it and watch
  begat runs                                      the newest runs
  begat top                                       runs, curves, devices and logs, live
  begat metrics gpt/sft loss                      a curve
  begat lineage gpt/sft                           where a checkpoint came from
  begat compare gpt llama                         two lineages, stage by stage
  begat reproduce gpt/sft                         make it again, and compare every bit
  begat checkout gpt/sft model/                   a folder that other tools load
  begat sample gpt/sft 'Once upon a time'         ask it something

A NAME is a ref (gpt/sft), a recipe (its newest launch), or a digest of a run, launch, tree or
file; its first digits will do where they are unique. Results go to standard output, everything
else to standard error. `begat help exit-codes` lists the exit codes.";

/// Trains language models from recipes, and can say of each checkpoint where it came from.
#[derive(Debug, Parser)]
#[command(
    name = "begat",
    version,
    disable_help_subcommand = true,
    after_help = EXAMPLES,
    max_term_width = 100
)]
pub struct Arguments {
    /// What every command may be told.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Print JSON instead of text, in the shapes of `schemas/json/`
    #[arg(long, global = true)]
    pub json: bool,
    /// Data folder; its daemon is the one to talk to [default: $XDG_DATA_HOME/begat, else ~/.local/share/begat]
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        env = "BEGAT_DATA",
        hide_env_values = true
    )]
    pub data: Option<PathBuf>,
    /// Talk over TCP, as in http://127.0.0.1:7878; the token is read from the file that BEGAT_TOKEN_FILE names, else
    /// from the data folder [default: the data folder's socket]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "BEGAT_URL",
        hide_env_values = true
    )]
    pub url: Option<String>,
    /// Start a daemon if none runs
    #[arg(long, global = true)]
    pub start: bool,
}
