use clap::Args;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render;

/// Say what the store holds, and on how many bytes of disk
#[derive(Debug, Args)]
pub struct Arguments {}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let usage = context.client().await?.disk_usage().await?;
        context.print(&usage, |usage| render::disk_usage(usage, super::look(context)))?;
        Ok(ExitCode::Success)
    }
}
