//! From what was written to what it means.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use begat_schemas::{RefName, THREADS_MAX};

use super::{
    Config, ConfigError, InboxFolder, LogConfig, OtlpEnvironment, RawConfig, RawInbox, Slots,
};

/// What the process finds around itself.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_DATA_HOME`.
    pub data_home: Option<PathBuf>,
    /// `BEGAT_DATA`.
    pub data: Option<PathBuf>,
    /// The working folder, which relative paths are below.
    pub folder: PathBuf,
    /// Processors.
    pub cores: u32,
    /// CUDA ordinals of the GPUs that the system shows.
    pub gpus: Vec<u32>,
    /// OpenTelemetry's own variables.
    pub otlp: OtlpEnvironment,
    /// This program.
    pub executable: PathBuf,
}

/// The default address on TCP.
const LISTEN: &str = "127.0.0.1:7878";
/// Pauses before an interrupted attempt goes on.
const RESUME_PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];
const SECONDS_MAX: f64 = 1e9;

/// Resolves `sources`, the strongest first.
pub fn resolve(sources: &[RawConfig], environment: &Environment) -> Result<Config, ConfigError> {
    let data = match first(sources, |raw| raw.data.clone()).or_else(|| environment.data.clone()) {
        Some(data) => data,
        None => default_data(environment).ok_or(ConfigError::NoData)?,
    };
    let data = absolute(environment, &data);
    let slots = slots(sources, environment)?;
    let beside = environment.executable.with_file_name("begat-stage");
    Ok(Config {
        socket: first(sources, |raw| raw.socket.clone()).map_or_else(
            || data.join("begatd.sock"),
            |path| absolute(environment, &path),
        ),
        listen: listen(
            first(sources, |raw| raw.listen.clone())
                .as_deref()
                .unwrap_or(LISTEN),
        )?,
        token: data.join("token"),
        threads: threads(sources, environment, &slots)?,
        slots,
        stage_program: first(sources, |raw| raw.stage_program.clone())
            .map_or(beside, |path| absolute(environment, &path)),
        parent_program: environment.executable.clone(),
        stop_grace: seconds(
            sources,
            "stop_grace_seconds",
            |raw| raw.stop_grace_seconds,
            30.0,
        )?,
        metrics_retention: seconds(
            sources,
            "metrics_retention_seconds",
            |raw| raw.metrics_retention_seconds,
            300.0,
        )?,
        resume_pauses: RESUME_PAUSES.to_vec(),
        inbox: inboxes(sources, environment)?,
        daemons: super::daemons::daemons(sources)?,
        otlp: super::otlp::otlp(sources, &environment.otlp)?,
        log: LogConfig {
            format: first(sources, |raw| raw.log.format).unwrap_or_default(),
            level: first(sources, |raw| raw.log.level.clone()).unwrap_or_else(|| "info".to_owned()),
        },
        data,
    })
}

fn first<T>(sources: &[RawConfig], get: impl Fn(&RawConfig) -> Option<T>) -> Option<T> {
    sources.iter().find_map(get)
}

fn default_data(environment: &Environment) -> Option<PathBuf> {
    let below_home = || {
        environment
            .home
            .as_ref()
            .map(|home| home.join(".local/share"))
    };
    let base = environment.data_home.clone().or_else(below_home)?;
    Some(base.join("begat"))
}

fn absolute(environment: &Environment, path: &Path) -> PathBuf {
    environment.folder.join(path)
}

pub(super) fn value(key: &str, expected: &str, found: impl ToString) -> ConfigError {
    ConfigError::Value {
        key: key.to_owned(),
        expected: expected.to_owned(),
        found: found.to_string(),
    }
}

fn listen(text: &str) -> Result<Option<SocketAddr>, ConfigError> {
    if text == "none" {
        return Ok(None);
    }
    let expected = "a loopback address such as 127.0.0.1:7878, or `none`";
    let address: SocketAddr = text.parse().map_err(|_| value("listen", expected, text))?;
    // Any other address would need TLS, which begatd does not speak.
    if address.ip().is_loopback() {
        Ok(Some(address))
    } else {
        Err(value("listen", expected, text))
    }
}

fn slots(sources: &[RawConfig], environment: &Environment) -> Result<Slots, ConfigError> {
    let cpu = first(sources, |raw| raw.slots.cpu).unwrap_or(environment.cores.clamp(1, 2));
    if !(1..=THREADS_MAX).contains(&cpu) {
        return Err(value("slots.cpu", "1 to 1024", cpu));
    }
    let cuda =
        first(sources, |raw| raw.slots.cuda.clone()).unwrap_or_else(|| environment.gpus.clone());
    let mut distinct = cuda.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() != cuda.len() || cuda.iter().any(|&gpu| gpu > 255) {
        return Err(value(
            "slots.cuda",
            "distinct ordinals from 0 to 255",
            format!("{cuda:?}"),
        ));
    }
    Ok(Slots { cpu, cuda })
}

fn threads(
    sources: &[RawConfig],
    environment: &Environment,
    slots: &Slots,
) -> Result<u32, ConfigError> {
    let threads =
        first(sources, |raw| raw.threads).unwrap_or_else(|| (environment.cores / slots.cpu).max(1));
    if (1..=THREADS_MAX).contains(&threads) {
        Ok(threads)
    } else {
        Err(value("threads", "1 to 1024", threads))
    }
}

fn seconds(
    sources: &[RawConfig],
    key: &str,
    get: impl Fn(&RawConfig) -> Option<f64>,
    default: f64,
) -> Result<Duration, ConfigError> {
    duration(key, first(sources, get).unwrap_or(default))
}

fn duration(key: &str, seconds: f64) -> Result<Duration, ConfigError> {
    if (0.0..=SECONDS_MAX).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(value(key, "seconds from 0 to 1e9", seconds))
    }
}

fn inboxes(
    sources: &[RawConfig],
    environment: &Environment,
) -> Result<Vec<InboxFolder>, ConfigError> {
    let raw = sources.iter().find(|raw| !raw.inbox.is_empty());
    raw.map_or(&[][..], |raw| &raw.inbox)
        .iter()
        .map(|raw| inbox(raw, environment))
        .collect()
}

fn inbox(raw: &RawInbox, environment: &Environment) -> Result<InboxFolder, ConfigError> {
    let name = RefName::new(raw.name.clone())
        .map_err(|error| value("inbox.name", error.expected, &raw.name))?;
    Ok(InboxFolder {
        path: absolute(environment, &raw.path),
        name,
        settle: duration("inbox.settle_seconds", raw.settle_seconds.unwrap_or(2.0))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment {
            home: Some("/home/ada".into()),
            folder: "/here".into(),
            cores: 8,
            executable: "/opt/begatd".into(),
            ..Environment::default()
        }
    }

    #[test]
    fn defaults_need_only_a_home() {
        let config = resolve(&[], &environment()).unwrap();
        assert_eq!(config.data, Path::new("/home/ada/.local/share/begat"));
        assert_eq!(config.socket, config.data.join("begatd.sock"));
        assert_eq!(config.stage_program, Path::new("/opt/begat-stage"));
        assert_eq!((config.slots.cpu, config.threads), (2, 4));
        let nowhere = Environment {
            home: None,
            ..environment()
        };
        assert!(matches!(resolve(&[], &nowhere), Err(ConfigError::NoData)));
    }

    #[test]
    fn the_strongest_source_wins() {
        let flags = RawConfig {
            data: Some("data".into()),
            ..RawConfig::default()
        };
        let file = RawConfig {
            data: Some("/other".into()),
            threads: Some(3),
            ..RawConfig::default()
        };
        let config = resolve(&[flags, file], &environment()).unwrap();
        assert_eq!(
            (config.data.as_path(), config.threads),
            (Path::new("/here/data"), 3)
        );
    }

    #[test]
    fn what_cannot_be_is_named() {
        let check = |raw: RawConfig| resolve(&[raw], &environment()).unwrap_err().to_string();
        let listen = RawConfig {
            listen: Some("0.0.0.0:80".into()),
            ..RawConfig::default()
        };
        assert!(check(listen).starts_with("listen: expected a loopback address"));
        let threads = RawConfig {
            threads: Some(0),
            ..RawConfig::default()
        };
        assert_eq!(check(threads), "threads: expected 1 to 1024, found `0`");
        let grace = RawConfig {
            stop_grace_seconds: Some(-1.0),
            ..RawConfig::default()
        };
        assert!(check(grace).starts_with("stop_grace_seconds: expected seconds"));
    }
}
