use begat_client::MetricsQuery;
use clap::Args;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render;

/// Draw a run's curves, or print every step
#[derive(Debug, Args)]
pub struct Arguments {
    /// A run, or a ref that a run made
    run: String,
    /// Metrics [default: all; the most telling one is drawn]
    keys: Vec<String>,
    /// Print comma-separated values, a step a line
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// An attempt of the run [default: the one that counts]
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// The first step
    #[arg(long, value_name = "STEP")]
    from: Option<u64>,
    /// The last step
    #[arg(long, value_name = "STEP")]
    to: Option<u64>,
    /// The most points of a curve [default: every step for --csv and --json]
    #[arg(long, value_name = "N")]
    points: Option<u64>,
}

/// More points than a chart has dots.
const DRAWN: u64 = 2_000;
/// Every step that a run can have.
const ALL: u64 = 1 << 40;

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let client = context.client().await?;
        let for_people = !self.csv && !context.settings.json;
        let asked = !self.keys.is_empty();
        let query = MetricsQuery {
            attempt: self.attempt,
            from: self.from,
            to: self.to,
            points: Some(self.points.unwrap_or(if for_people { DRAWN } else { ALL })),
            keys: self.keys,
        };
        let run = client.run_name(&self.run).await?;
        let view = client.metrics(&run, &query).await?;
        if view.series.is_empty() {
            context.terminal.say(&format!("{} has no such metrics yet", self.run));
        }
        if view.thinned && !for_people {
            context.terminal.say("note: the curves were thinned; `--from` and `--to` ask for parts");
        }
        if self.csv {
            context.terminal.data(&render::csv(&view))?;
        } else {
            context.print(&view, |view| render::curves(view, asked, super::look(context)))?;
        }
        Ok(ExitCode::Success)
    }
}
