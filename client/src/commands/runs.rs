use begat_client::RunQuery;
use begat_schemas::RunState;
use clap::Args;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render;

/// List runs, the newest first
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only runs of this recipe
    #[arg(long)]
    recipe: Option<String>,
    /// Only runs that stand so
    #[arg(long, value_parser = parse_state)]
    state: Option<RunState>,
    /// The most there may be [default: 50 for people, all as JSON]
    #[arg(long)]
    limit: Option<usize>,
}

/// Runs that a person sees without asking for more.
const SHOWN: usize = 50;
/// As JSON a script gets them all.
const ALL: usize = 1_000_000;

pub fn parse_state(text: &str) -> Result<RunState, String> {
    let found = RunState::ALL.into_iter().find(|state| state.name() == text);
    found.ok_or_else(|| {
        let names = RunState::ALL.map(RunState::name);
        format!("expected one of {}", names.join(", "))
    })
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let client = context.client().await?;
        let default = if context.settings.json { ALL } else { SHOWN };
        let query = RunQuery {
            limit: Some(self.limit.unwrap_or(default)),
            state: self.state,
            recipe: self.recipe,
            input: None,
        };
        let runs = client.runs(&query).await?;
        context.print(&runs, |runs| render::runs(runs, super::look(context)))?;
        Ok(ExitCode::Success)
    }
}
