use begat_schemas::api::{ReproduceRequest, ReproduceState, ReproduceView};
use begat_schemas::{Device, THREADS_MAX};
use clap::Args;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::{follow, render};

/// Make a result again, and compare every bit
#[derive(Debug, Args)]
#[command(after_help = "\
The run is executed anew, in an attempt of its own; its result is compared with the stored one and replaces nothing.
Exit codes: 0 every output is bit-identical, 8 something differs, 9 the stored output is damaged, 7 the new attempt
failed, 10 no run made it.")]
pub struct Arguments {
    /// A ref, a run, or the digest of a tree
    name: String,
    /// Make its whole ancestry again, oldest first
    #[arg(long)]
    deep: bool,
    /// Threads to do it with [default: as before]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(THREADS_MAX)))]
    threads: Option<u32>,
    /// cpu, cuda or cuda:N [default: as before]
    #[arg(long, value_parser = parse_device)]
    device: Option<Device>,
    /// Do not wait for the verdict
    #[arg(long)]
    no_wait: bool,
}

fn parse_device(text: &str) -> Result<Device, String> {
    Device::new(text).ok_or_else(|| "expected `cpu`, `cuda` or `cuda:N`".to_owned())
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let client = context.client().await?;
        let request = ReproduceRequest {
            target: self.name,
            deep: self.deep,
            threads: self.threads,
            device: self.device,
        };
        let mut view = client.reproduce(&request).await?;
        if !self.no_wait {
            view = follow::reproduction(context, &client, view).await?;
        }
        context.print(&view, |view| render::reproduction(view, super::look(context)))?;
        Ok(code(&view))
    }
}

fn code(view: &ReproduceView) -> ExitCode {
    match view.state {
        ReproduceState::Running | ReproduceState::Identical => ExitCode::Success,
        ReproduceState::Different => ExitCode::Different,
        ReproduceState::Corrupt => ExitCode::Corrupt,
        ReproduceState::Failed => ExitCode::RunFailed,
    }
}
