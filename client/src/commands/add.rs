use std::path::PathBuf;
use std::sync::Arc;

use begat_client::{AddProgress, Added, ProgressSink, Walk};
use begat_schemas::RefName;
use begat_schemas::api::RefPut;
use clap::Args;
use indicatif::ProgressBar;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::progress::byte_bar;
use crate::render::{bytes, several};

/// Store a file or folder; only what the store lacks is sent
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file or folder
    path: PathBuf,
    /// Ref to name it by
    #[arg(long, value_name = "REF")]
    name: Option<RefName>,
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let walk = begat_client::walk(&self.path)?;
        let client = context.client().await?;
        for folder in &walk.empty_folders {
            let line = format!("note: the empty folder {} is left out", folder.display());
            context.terminal.say(&line);
        }
        let bar = byte_bar(&context.terminal, "hashing", walk.bytes());
        let added = add(&client, walk, &bar).await;
        bar.finish_and_clear();
        let added = added?;
        if let Some(name) = &self.name {
            let put = RefPut {
                target: added.added.tree.to_string(),
                reason: Some("begat add".to_owned()),
            };
            client.put_ref(name, &put).await?;
        }
        context.terminal.say(&self.sentence(&added));
        context.print(&added.added, |added| format!("{}\n", added.tree))?;
        Ok(ExitCode::Success)
    }

    fn sentence(&self, added: &Added) -> String {
        let files = several(added.added.files, "file");
        let name = self.name.as_ref().map_or(String::new(), |name| format!(" as {name}"));
        format!(
            "added {files}, {}{name}; sent {}, the rest was there",
            bytes(added.added.bytes),
            bytes(added.bytes_sent)
        )
    }
}

async fn add(
    client: &begat_client::Client,
    walk: Walk,
    bar: &ProgressBar,
) -> Result<Added, Failure> {
    let shown = bar.clone();
    let sink: ProgressSink = Arc::new(move |progress| match progress {
        AddProgress::Hashed(more) | AddProgress::Sent(more) => shown.inc(more),
        AddProgress::Lacking { bytes, .. } => {
            shown.set_message("sending");
            shown.set_length(bytes);
            shown.reset();
        }
        _ => {}
    });
    Ok(begat_client::add(client, walk, sink).await?)
}
