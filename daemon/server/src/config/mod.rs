//! The daemon's configuration: what was written (all optional, one [`RawConfig`] a source) and what it means ([`Config`],
//! nothing optional, paths absolute).
//!
//! Sources, the strongest first: flags, environment, file, defaults. Neither type is made from the process's own
//! environment here: `main` hands in what it found, so that tests need none.

mod daemons;
mod file;
mod otlp;
mod raw;
mod resolve;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use begat_schemas::RefName;
use begat_schemas::api::PrometheusTargets;

pub use file::read_file;
pub use otlp::{OtlpConfig, OtlpEnvironment, SECRET_VARIABLE};
pub use raw::{RawConfig, RawDaemon, RawInbox, RawLog, RawOtlp, RawPrometheus, RawSlots};
pub use resolve::{Environment, resolve};

/// What the daemon runs by.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// The Unix socket.
    pub socket: PathBuf,
    /// The address on TCP; none for no TCP.
    pub listen: Option<SocketAddr>,
    /// The file that holds the bearer token.
    pub token: PathBuf,
    /// How many stages run at once, and where.
    pub slots: Slots,
    /// Threads of arithmetic for a stage whose recipe names none.
    pub threads: u32,
    /// The program that runs the built-in stages.
    pub stage_program: PathBuf,
    /// The program that runs as a stage's parent: this one.
    pub parent_program: PathBuf,
    /// How long a stage may take to stop after SIGTERM before it is killed.
    pub stop_grace: Duration,
    /// How long an ended run's series stay in `/metrics`.
    pub metrics_retention: Duration,
    /// Pauses before an interrupted attempt goes on; as many as there are, so often it does by itself.
    pub resume_pauses: Vec<Duration>,
    /// Folders whose drops become datasets.
    pub inbox: Vec<InboxFolder>,
    /// Other daemons that a Prometheus which asks this one is told of.
    pub daemons: Vec<PrometheusTargets>,
    /// Where OpenTelemetry is sent to, if anywhere.
    pub otlp: Option<OtlpConfig>,
    /// What is logged, and how.
    pub log: LogConfig,
}

/// Device slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    /// Stages at once on the processor.
    pub cpu: u32,
    /// GPUs, by their CUDA ordinals; one stage at once on each.
    pub cuda: Vec<u32>,
}

/// A watched folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxFolder {
    /// The folder.
    pub path: PathBuf,
    /// What the names of its drops come below: a drop `rows.jsonl` becomes the ref `<name>/rows.jsonl`.
    pub name: RefName,
    /// How long a drop must be unchanged before it is taken.
    pub settle: Duration,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// For people or for programs.
    pub format: LogFormat,
    /// A filter such as `info` or `begatd=debug`.
    pub level: String,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Why a configuration cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML, or a key of it is not known or has a value of another type.
    #[error("{}:{line}: {problem}{}", path.display(), near.as_ref().map(|near| format!(", did you mean `{near}`?")).unwrap_or_default())]
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong.
        problem: String,
        /// The key that was probably meant.
        near: Option<String>,
    },
    /// A value that cannot be.
    #[error("{key}: expected {expected}, found `{found}`")]
    Value {
        /// The key.
        key: String,
        /// What may stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// There is no telling where the data folder is.
    #[error("no data folder: set BEGAT_DATA, or HOME")]
    NoData,
}

impl Config {
    /// Where the store lies.
    pub fn store_folder(&self) -> PathBuf {
        self.data.join("store")
    }

    /// Where the ledger lies.
    pub fn ledger_folder(&self) -> PathBuf {
        self.data.join("ledger")
    }

    /// Where the work folders lie.
    pub fn work_folder(&self) -> PathBuf {
        self.data.join("work")
    }

    /// Where the inputs of stages lie, by tree.
    pub fn cache_folder(&self) -> PathBuf {
        self.data.join("cache")
    }

    /// One for tests: everything below `data`, no TCP, short pauses.
    pub fn for_tests(data: &Path) -> Self {
        let environment = Environment {
            home: None,
            data: Some(data.to_owned()),
            cores: 2,
            executable: data.join("begatd"),
            ..Environment::default()
        };
        let mut config =
            resolve(&[], &environment).expect("the defaults of a config make a config");
        config.listen = None;
        config.resume_pauses = vec![Duration::from_millis(10); 3];
        config.stop_grace = Duration::from_millis(400);
        config
    }
}
