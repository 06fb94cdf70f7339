use std::time::Duration;

use clap::Args;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::text::Printable;

/// Print what a stage wrote to its standard error
#[derive(Debug, Args)]
pub struct Arguments {
    /// A run, or a ref that a run made
    run: String,
    /// Go on as more is written, until the attempt ends
    #[arg(long, short)]
    follow: bool,
    /// An attempt of the run [default: the newest]
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
}

/// The pause between questions for more.
const PAUSE: Duration = Duration::from_millis(300);

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let client = context.client().await?;
        let run = client.run_name(&self.run).await?;
        let mut filter = Printable::default();
        let mut offset = 0;
        loop {
            let chunk = client.log(&run, self.attempt, offset).await?;
            let at_end = chunk.next_offset == offset;
            offset = chunk.next_offset;
            if context.settings.json {
                context.print_json(&chunk)?;
            } else if context.terminal.stdout_is_terminal {
                context.terminal.data(&filter.filter(&chunk.text))?;
            } else {
                context.terminal.data(&chunk.text)?;
            }
            match (at_end, self.follow && !chunk.ended) {
                (true, false) => return Ok(ExitCode::Success),
                (true, true) => tokio::time::sleep(PAUSE).await,
                (false, _) if context.settings.json => return Ok(ExitCode::Success),
                (false, _) => {}
            }
        }
    }
}
