//! `begat top`: what the daemon does, live, on the whole terminal.
//!
//! `state` is the core, without I/O: what was typed and what the daemon answered go in, what is to be seen comes out.
//! `fetch` asks the daemon, on tasks of its own, and never for anything but a reading; `draw` turns a state into cells;
//! `session` is the loop between them and the terminal.

mod draw;
mod fetch;
mod samples;
mod screen;
mod session;
mod state;
mod text;

use std::time::Duration;

use clap::Args;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// Watch runs, curves, devices, store and logs, live on the whole terminal
#[derive(Debug, Args)]
#[command(after_help = "\
It only reads. The keys: ↑↓ choose a run, ←→ a metric, / filters, f shows all, live or failed runs, Tab goes on to the next
pane, z zooms it, l shows the log, ? explains, q quits. It waits for a daemon that is away.

Examples:
  begat top                   the daemon of the data folder
  begat top --interval 5      a look every five seconds
  begat top --json            the runs that it would list, once, as `begat runs --json` prints them")]
pub struct Arguments {
    /// Seconds between two looks at the daemon
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = parse_interval)]
    interval: Duration,
}

const INTERVAL_SECONDS: std::ops::RangeInclusive<f64> = 0.1..=3600.0;

fn parse_interval(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    seconds
        .filter(|seconds| INTERVAL_SECONDS.contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "expected seconds, from 0.1 to 3600".to_owned())
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        if context.settings.json {
            let client = context.client().await?;
            let mut runs = fetch::picture(&client, &mut Default::default()).await?.runs;
            state::sort(&mut runs);
            context.print_json(&runs)?;
            return Ok(ExitCode::Success);
        }
        if !context.terminal.full_screen {
            return Err(no_screen(context.terminal.stdout_is_terminal));
        }
        let client = context.client().await?;
        session::watch(client, self.interval, context.terminal.stdout_color).await
    }
}

fn no_screen(is_terminal: bool) -> Failure {
    let message = match is_terminal {
        true => {
            "`begat top` draws on the whole screen, and TERM=dumb says that this terminal cannot"
        }
        false => "`begat top` draws on a terminal, and standard output is none",
    };
    Failure::usage(message)
        .hint("`begat runs --json` prints the runs, `begat runs` a table of them")
}
