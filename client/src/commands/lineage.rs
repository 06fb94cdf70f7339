use clap::{Args, ValueEnum};

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render;

/// Show where something came from, back to what was added
#[derive(Debug, Args)]
pub struct Arguments {
    /// A ref, a run, or the digest of a tree
    name: String,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Tree)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Tree,
    /// For Graphviz
    Dot,
    /// For Markdown pages that draw Mermaid
    Mermaid,
    /// For programs
    Json,
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let lineage = context.client().await?.lineage(&self.name).await?;
        if context.settings.json || self.format == Format::Json {
            context.print_json(&lineage)?;
            return Ok(ExitCode::Success);
        }
        let text = match self.format {
            Format::Dot => render::dot(&lineage),
            Format::Mermaid => render::mermaid(&lineage),
            Format::Tree | Format::Json => render::tree(&lineage, super::look(context)),
        };
        context.terminal.data(&text)?;
        Ok(ExitCode::Success)
    }
}
