//! The configuration as it is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::LogFormat;

/// One source of the configuration; whatever it does not say is for a weaker source.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    /// The data folder.
    pub data: Option<PathBuf>,
    /// The Unix socket; `begatd.sock` in the data folder by default.
    pub socket: Option<PathBuf>,
    /// An address such as `127.0.0.1:7878`, or `none`.
    pub listen: Option<String>,
    /// Device slots.
    pub slots: RawSlots,
    /// Threads of arithmetic per stage.
    pub threads: Option<u32>,
    /// The program of the built-in stages.
    pub stage_program: Option<PathBuf>,
    /// Seconds from SIGTERM to SIGKILL.
    pub stop_grace_seconds: Option<f64>,
    /// Seconds that an ended run's series stay in `/metrics`.
    pub metrics_retention_seconds: Option<f64>,
    /// Watched folders.
    pub inbox: Vec<RawInbox>,
    /// Monitoring.
    pub prometheus: RawPrometheus,
    /// OpenTelemetry.
    pub otlp: RawOtlp,
    /// Logging.
    pub log: RawLog,
}

/// `[slots]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawSlots {
    /// Stages at once on the processor.
    pub cpu: Option<u32>,
    /// GPUs by ordinal.
    pub cuda: Option<Vec<u32>>,
}

/// `[[inbox]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawInbox {
    /// The folder.
    pub path: PathBuf,
    /// The ref below which its drops are named.
    pub name: String,
    /// Seconds without a change before a drop is taken.
    #[serde(default)]
    pub settle_seconds: Option<f64>,
}

/// `[prometheus]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawPrometheus {
    /// Other daemons to be scraped.
    pub daemon: Vec<RawDaemon>,
}

/// `[[prometheus.daemon]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawDaemon {
    /// Where it is, `HOST:PORT`.
    pub address: String,
    /// Labels that its series get.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// `[otlp]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawOtlp {
    /// A collector, such as `http://127.0.0.1:4318`.
    pub endpoint: Option<String>,
    /// Seconds between two tellings.
    pub interval_seconds: Option<f64>,
}

/// `[log]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawLog {
    /// `human` or `json`.
    pub format: Option<LogFormat>,
    /// A filter such as `info` or `begatd=debug`.
    pub level: Option<String>,
}
