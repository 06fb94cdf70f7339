use std::path::PathBuf;

use begat_client::CheckoutProgress;
use begat_schemas::api::CheckedOut;
use clap::Args;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::progress::byte_bar;
use crate::render::{bytes, several};

/// Write a tree to a folder, every byte verified
#[derive(Debug, Args)]
pub struct Arguments {
    /// A ref, the digest of a tree, or a run (its main output)
    name: String,
    /// The folder; it must be new or empty
    folder: PathBuf,
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let client = context.client().await?;
        let digest = client.tree_of(&self.name).await?;
        let tree = client.tree(digest).await?;
        let bar = byte_bar(&context.terminal, "writing", tree.size());
        let report = |progress| {
            if let CheckoutProgress::Written(more) = progress {
                bar.inc(more);
            }
        };
        let done = begat_client::checkout(&client, &tree, &self.folder, &report).await;
        bar.finish_and_clear();
        done?;
        context.terminal.say(&format!(
            "wrote {}, {}, to {}",
            several(tree.entries().len() as u64, "file"),
            bytes(tree.size()),
            self.folder.display()
        ));
        let result = CheckedOut {
            tree: digest,
            folder: self.folder.display().to_string(),
        };
        context.print(&result, |_| format!("{digest}\n"))?;
        Ok(ExitCode::Success)
    }
}
