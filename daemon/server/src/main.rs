//! `begatd`: reads what it was told, and serves until it is told to stop.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use begatd::config::{
    Config, ConfigError, Environment, LogFormat, OtlpEnvironment, RawConfig, read_file, resolve,
};
use begatd::engine::Engine;
use begatd::{dashboards, engine, http, otlp, parent, telemetry};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Stores checkpoints by content, runs training recipes, and records who begat whom.
#[derive(Parser)]
#[command(name = "begatd", version)]
struct Arguments {
    /// The configuration file [default: $XDG_CONFIG_HOME/begat/begatd.toml, if it is there]
    #[arg(long, env = "BEGAT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder [default: $XDG_DATA_HOME/begat]
    #[arg(long, env = "BEGAT_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The Unix socket [default: begatd.sock in the data folder]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// A loopback address for TCP, or `none` [default: 127.0.0.1:7878]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The program of the built-in stages [default: `begat-stage` beside begatd]
    #[arg(long, value_name = "PATH")]
    stage_program: Option<PathBuf>,
    /// How log lines look
    #[arg(long, value_name = "human|json", value_parser = log_format)]
    log_format: Option<LogFormat>,
    /// What is logged, such as `info` or `begatd=debug`
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the indexes afresh from packs and log, while no daemon runs
    RebuildIndex,
    /// Writes the boards, rules and configuration for Grafana, Prometheus and Alertmanager into a folder
    Dashboards {
        /// The folder, made if it is not there
        #[arg(long, value_name = "DIR")]
        install: PathBuf,
        /// Write over files that differ
        #[arg(long)]
        overwrite: bool,
    },
    /// Prints the OpenAPI document
    #[command(hide = true)]
    Openapi,
    /// Prints the table of all metrics
    #[command(hide = true)]
    MetricsTable,
    /// Runs a stage and writes down how it ended
    #[command(hide = true)]
    StageParent {
        /// The work folder
        work: PathBuf,
    },
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        _ => Err("expected `human` or `json`".to_owned()),
    }
}

fn main() -> ExitCode {
    use_few_arenas();
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Some(Command::StageParent { work }) => parent::run(work).map_err(Into::into),
        Some(Command::Openapi) => {
            println!("{}", http::openapi_json());
            Ok(())
        }
        Some(Command::MetricsTable) => {
            print!("{}", telemetry::table());
            Ok(())
        }
        Some(Command::Dashboards { install, overwrite }) => {
            dashboards::install(install, *overwrite).map_err(Into::into)
        }
        Some(Command::RebuildIndex) => configure(&arguments).and_then(rebuild_index),
        None => configure(&arguments).and_then(serve),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("begatd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// glibc would give every thread an arena of its own, and an idle daemon tens of megabytes that nobody uses.
fn use_few_arenas() {
    // SAFETY: sets parameters of the allocator, before there is a second thread.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 20);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 256 << 10);
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn configure(arguments: &Arguments) -> Result<Config, Failure> {
    let flags = RawConfig {
        data: arguments.data.clone(),
        socket: arguments.socket.clone(),
        listen: arguments.listen.clone(),
        stage_program: arguments.stage_program.clone(),
        log: begatd::config::RawLog {
            format: arguments.log_format,
            level: arguments.log_level.clone(),
        },
        ..RawConfig::default()
    };
    let mut sources = vec![flags];
    sources.extend(configuration_file(arguments)?);
    Ok(resolve(&sources, &environment()?)?)
}

fn configuration_file(arguments: &Arguments) -> Result<Option<RawConfig>, ConfigError> {
    if let Some(path) = &arguments.config {
        return read_file(path).map(Some);
    }
    let base = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
    let path = base.map(|base| base.join("begat/begatd.toml"));
    path.filter(|path| path.exists())
        .map(|path| read_file(&path))
        .transpose()
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn environment() -> Result<Environment, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Environment {
        home: variable("HOME"),
        data_home: variable("XDG_DATA_HOME"),
        // A flag already, which clap also reads from the environment.
        data: None,
        folder: std::env::current_dir()?,
        cores: u32::try_from(cores).unwrap_or(u32::MAX),
        gpus: (0..=255)
            .filter(|gpu| Path::new(&format!("/dev/nvidia{gpu}")).exists())
            .collect(),
        otlp: OtlpEnvironment::read(|name| {
            Some(std::env::var_os(name)?.to_string_lossy().into_owned())
        }),
        executable: std::env::current_exe()?,
    })
}

fn rebuild_index(config: Config) -> Result<(), Failure> {
    engine::rebuild_index(&config)?;
    println!(
        "begatd: the indexes of {} are made afresh",
        config.data.display()
    );
    Ok(())
}

fn serve(config: Config) -> Result<(), Failure> {
    telemetry::logs::init(config.log.format, &config.log.level)?;
    warn_of_the_control_group();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_keep_alive(std::time::Duration::from_secs(2))
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let engine = Engine::open(config).await?;
        let exporter = exporter(&engine);
        let shutdown = shutdown()?;
        let served = http::serve(engine.clone(), shutdown).await;
        if let Some((stop, task)) = exporter {
            stop.cancel();
            let _ = task.await;
        }
        engine.stop().await;
        served.map(|()| engine).map_err(Failure::from)
    });
    // Requests that hang on to the engine must not keep a stopped daemon.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    served.map(Engine::close)
}

/// Sends OpenTelemetry until it is told to stop, if it is wanted.
fn exporter(engine: &Engine) -> Option<(CancellationToken, tokio::task::JoinHandle<()>)> {
    let config = engine.config().otlp.clone()?;
    let stop = CancellationToken::new();
    let task = tokio::spawn(otlp::export(engine.clone(), config, stop.clone()));
    Some((stop, task))
}

fn shutdown() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping; stages live on");
    })
}

/// As a systemd service without `KillMode=process`, a restart of the daemon would kill its stages.
fn warn_of_the_control_group() {
    let service = std::env::var_os("INVOCATION_ID").is_some();
    if service && std::env::var_os("BEGAT_KILL_MODE").is_none_or(|mode| mode != "process") {
        tracing::warn!(
            "running as a service: make sure that its unit says KillMode=process, as configs/begatd.service does, or stages \
             end with the daemon"
        );
    }
}
