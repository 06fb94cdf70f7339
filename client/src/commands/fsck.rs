use begat_schemas::api::FsckRequest;
use clap::Args;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render;

/// Check the store; the exit code is 9 if something is damaged
#[derive(Debug, Args)]
pub struct Arguments {
    /// Read and verify every byte
    #[arg(long)]
    read_data: bool,
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let request = FsckRequest {
            read_data: self.read_data,
        };
        let report = context.client().await?.fsck(&request).await?;
        context.print(&report, |report| render::fsck(report, super::look(context)))?;
        Ok(match report.faults.is_empty() {
            true => ExitCode::Success,
            false => ExitCode::Corrupt,
        })
    }
}
