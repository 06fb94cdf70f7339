use std::time::Duration;

use begat_schemas::api::LogChunk;
use clap::Args;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::text::Printable;

/// Print what a stage wrote to its standard error
#[derive(Debug, Args)]
#[command(after_help = "\
With --json, the log comes in pieces of up to a mebibyte, each a JSON object on a line of its own (JSON Lines), in the
shape of `schemas/json/log.schema.json`: at least one, and with --follow as they are written.")]
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
            if !at_end || offset == 0 {
                print(context, &chunk, &mut filter)?;
            }
            offset = chunk.next_offset;
            match (at_end, self.follow && !chunk.ended) {
                (true, false) => return Ok(ExitCode::Success),
                (true, true) => tokio::time::sleep(PAUSE).await,
                (false, _) => {}
            }
        }
    }
}

fn print(context: &Context, chunk: &LogChunk, filter: &mut Printable) -> Result<(), Failure> {
    if context.settings.json {
        return context.print_json_line(chunk);
    }
    let text = match context.terminal.stdout_is_terminal {
        true => filter.filter(&chunk.text),
        false => chunk.text.clone(),
    };
    Ok(context.terminal.data(&text)?)
}
