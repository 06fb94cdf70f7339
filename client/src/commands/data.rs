use std::path::PathBuf;

use begat_schemas::api::DataPurpose;
use begat_schemas::nearest;
use clap::{Args, Subcommand};

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render;

/// Check a dataset before it is used; the exit code is 6 if something is wrong
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Name the line and column of what is wrong, and count what is in there
    Check(Check),
}

const FORMS: &str = "\
What a row may be, in .jsonl, .ndjson and .parquet files:
  pretrain                          {text}
  sft, evaluate                     {prompt, completion}, {messages} or {text}
  reward                            {prompt, chosen, rejected} or {prompt, responses}, the best first
  dpo                               {prompt, chosen, rejected}
  ppo, annotate, rejection_sampling {prompt}

Prompts and answers are texts, or lists of messages with `role` and `content`. Where `chosen` and
`rejected` begin with the prompt it may be left out. A preference may have a `strength`
(significantly, better, slightly, negligibly), a `margin` and an `edited` answer, better than the
chosen one; a ranking may have `scores`. Further fields are left alone.";

#[derive(Debug, Args)]
#[command(after_help = FORMS)]
struct Check {
    /// Files of JSON Lines or Parquet, or folders of them
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// The kind of stage that is to use it: pretrain, sft, reward, dpo, ppo, annotate, rejection_sampling or evaluate
    #[arg(long = "for", value_name = "KIND", value_parser = purpose)]
    purpose: DataPurpose,
    /// How many problems to name; the others are counted
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    problems: usize,
}

fn purpose(text: &str) -> Result<DataPurpose, String> {
    let known = DataPurpose::ALL.into_iter().find(|one| one.name() == text);
    known.ok_or_else(|| {
        let names = DataPurpose::ALL.map(DataPurpose::name);
        let hint = nearest(text, names.into_iter());
        let hint = hint.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        format!("expected one of {}{hint}", names.join(", "))
    })
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        match self.action {
            Action::Check(check) => check.run(context).await,
        }
    }
}

impl Check {
    async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        // Not on a thread of the runtime, so that the keyboard can interrupt it.
        let checked = tokio::task::spawn_blocking(move || {
            begat_data::check(&self.paths, self.purpose, self.problems)
        });
        let report = checked
            .await
            .map_err(|error| Failure::new(format!("the check broke off: {error}")))??;
        context.print(&report, |report| render::data_report(report, super::look(context)))?;
        Ok(match report.problem_count() {
            0 => ExitCode::Success,
            _ => ExitCode::BadInput,
        })
    }
}
