use begat_schemas::RefName;
use begat_schemas::api::RefPut;
use clap::Args;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render;

/// List refs, or move, remove or follow one back
#[derive(Debug, Args)]
pub struct Arguments {
    /// The ref [default: list all]
    name: Option<RefName>,
    /// What it shall name: a ref, a run, or the digest of a tree
    #[arg(conflicts_with_all = ["delete", "history"])]
    target: Option<String>,
    /// Why, kept in its history
    #[arg(long, requires = "target")]
    reason: Option<String>,
    /// Remove it; its history stays
    #[arg(long, requires = "name", conflicts_with = "history")]
    delete: bool,
    /// Show where it pointed
    #[arg(long, requires = "name")]
    history: bool,
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let client = context.client().await?;
        let look = super::look(context);
        let Some(name) = self.name else {
            context.print(&client.refs().await?, |refs| render::refs(refs, look))?;
            return Ok(ExitCode::Success);
        };
        if self.delete {
            client.delete_ref(&name).await?;
            context.terminal.say(&format!("removed {name}"));
        } else if let Some(target) = self.target {
            let put = RefPut {
                target,
                reason: Some(self.reason.unwrap_or_else(|| "begat tag".to_owned())),
            };
            let view = client.put_ref(&name, &put).await?;
            context.print(&view, |view| format!("{} {}\n", view.name, view.tree))?;
        } else if self.history {
            let changes = client.ref_history(&name).await?;
            context.print(&changes, |changes| render::ref_history(changes, look))?;
        } else {
            let refs = client.refs().await?;
            let view = refs.into_iter().find(|one| one.name == name).ok_or_else(|| {
                Failure::of(ExitCode::NotFound, format!("there is no ref {name}"))
                    .hint("`begat tag` lists them")
            })?;
            context.print(&view, |view| format!("{} {}\n", view.name, view.tree))?;
        }
        Ok(ExitCode::Success)
    }
}
