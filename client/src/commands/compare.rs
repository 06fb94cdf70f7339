use begat_client::CompareQuery;
use clap::Args;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render;

/// Show lineages side by side: what they share, where they part, what each cost, how good each got
#[derive(Debug, Args)]
#[command(after_help = "\
A lineage is a launch's stages, or the runs that lead to a checkpoint with the evaluations that judge what they made. The
same run is shared; stages of one kind are counterparts; the rest only one lineage has. The others are measured against
the first. Win rates are from a report where one model was evaluated with the other as its reference, else from the gold
scores of both to the same prompts: by a rule, not by people.

Examples:
  begat compare gpt llama                 the newest launches of two recipes
  begat compare gpt/sft gpt/ppo           a checkpoint and what was made of it
  begat --json compare gpt llama          everything, every metric and key included")]
pub struct Arguments {
    /// Refs, runs, recipes (their newest launches), launches, or digests of trees
    #[arg(required = true, num_args = 2..=16, value_name = "NAME")]
    names: Vec<String>,
    /// The most held-out prompts whose answers are shown; the first ones, never picked
    #[arg(long, value_name = "N", default_value_t = 4)]
    samples: usize,
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let client = context.client().await?;
        let query = CompareQuery {
            names: self.names,
            samples: self.samples,
        };
        let found = client.compare(&query).await?;
        context.print(&found, |found| render::comparison(found, super::look(context)))?;
        Ok(ExitCode::Success)
    }
}
