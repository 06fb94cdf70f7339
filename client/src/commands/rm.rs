use begat_schemas::api::RunRemoved;
use clap::Args;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// Forget a finished run that no other needs; `gc` then frees its bytes
#[derive(Debug, Args)]
pub struct Arguments {
    /// The run
    run: String,
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let client = context.client().await?;
        let target = client.target(&self.run).await?;
        if !target.is_run() {
            let message = format!("`{}` names a {}: expected a run", self.run, target.kind_name());
            return Err(Failure::of(ExitCode::BadInput, message)
                .hint("`begat tag REF --delete` removes a ref"));
        }
        client.remove_run(&target.id).await?;
        context.terminal.say(&format!("forgot run {}", target.id));
        if context.settings.json {
            context.print_json(&RunRemoved { run: target.id })?;
        }
        Ok(ExitCode::Success)
    }
}
