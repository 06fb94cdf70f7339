use clap::Args;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::follow::LastValues;
use crate::render;

/// Go on from the checkpoint of what failed or was cancelled
#[derive(Debug, Args)]
pub struct Arguments {
    /// The launch, recipe or run
    name: String,
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let client = context.client().await?;
        let target = client.target(&self.name).await?;
        let look = super::look(context);
        if target.is_launch() {
            let view = client.resume_launch(&target.id).await?;
            context.print(&view, |view| render::stage_table(view, &LastValues::new(), look))?;
        } else {
            let run = client.resume_run(&target.id).await?;
            context.print(&run, |run| format!("{} {}\n", run.view.run, run.view.state))?;
        }
        Ok(ExitCode::Success)
    }
}
