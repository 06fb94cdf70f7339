use std::ffi::OsString;

use begat_client::{ApiError, Client};
use begat_schemas::api::Version;
use clap::{Args, Subcommand};

use crate::context::Context;
use crate::daemon_process;
use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// Start, stop or ask after the daemon
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start it in a session of its own, and wait until it is ready
    Start {
        /// Further arguments for begatd, after `--`
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Ask it to end, and wait until it has; stages live on
    Stop,
    /// Say which daemon answers; the exit code is 5 if none does
    Status,
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        match self.action {
            Action::Start { arguments } => start(context, &arguments).await,
            Action::Stop => stop(context).await,
            Action::Status => status(context).await,
        }
    }
}

async fn start(context: &Context, arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let client = Client::new(context.settings.socket())?;
    match client.version().await {
        Ok(version) => {
            context.terminal.say("a daemon runs already; nothing was started");
            print(context, &version)?;
        }
        Err(ApiError::NoDaemon { .. }) => {
            daemon_process::start(context, arguments).await?;
            print(context, &client.version().await?)?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::Success)
}

async fn stop(context: &Context) -> Result<ExitCode, Failure> {
    let client = Client::new(context.settings.socket())?;
    match client.version().await {
        Ok(version) => {
            daemon_process::stop(context, version.pid).await?;
            context.terminal.say(&format!("begatd, process {}, has ended", version.pid));
        }
        Err(ApiError::NoDaemon { .. }) => context.terminal.say("no daemon runs"),
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::Success)
}

async fn status(context: &Context) -> Result<ExitCode, Failure> {
    let version = context.client().await?.version().await?;
    print(context, &version)?;
    Ok(ExitCode::Success)
}

fn print(context: &Context, version: &Version) -> Result<(), Failure> {
    context.print(version, |version| {
        format!(
            "begatd {}, process {}, on {} (data format {}, stage contract {})\n",
            version.version, version.pid, version.data, version.data_format, version.contract
        )
    })
}
