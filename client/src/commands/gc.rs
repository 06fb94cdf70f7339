use begat_schemas::api::GcRequest;
use clap::Args;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render;

/// Remove from the store what no ref and no run needs
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let request = GcRequest {
            dry_run: self.dry_run,
        };
        let report = context.client().await?.gc(&request).await?;
        context.print(&report, render::gc)?;
        Ok(ExitCode::Success)
    }
}
