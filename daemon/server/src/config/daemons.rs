//! Other daemons, for Prometheus's service discovery. begatd tells of them and asks them nothing.

use begat_schemas::api::PrometheusTargets;

use super::resolve::value;
use super::{ConfigError, RawConfig, RawDaemon};

/// The daemons of the strongest source that names any.
pub(super) fn daemons(sources: &[RawConfig]) -> Result<Vec<PrometheusTargets>, ConfigError> {
    let mut named = sources.iter().map(|raw| &raw.prometheus.daemon);
    let named = named.find(|daemons| !daemons.is_empty());
    named.into_iter().flatten().map(daemon).collect()
}

fn daemon(raw: &RawDaemon) -> Result<PrometheusTargets, ConfigError> {
    if !is_address(&raw.address) {
        let expected = "HOST:PORT, such as `machine-b:7878`";
        return Err(value("prometheus.daemon.address", expected, &raw.address));
    }
    if let Some(name) = raw.labels.keys().find(|name| !is_label(name)) {
        let expected = "names of letters, digits and `_` that begin with neither a digit nor `__`";
        return Err(value("prometheus.daemon.labels", expected, name));
    }
    Ok(PrometheusTargets {
        targets: vec![raw.address.clone()],
        labels: raw.labels.clone(),
    })
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let fits = |character: char| character.is_ascii_alphanumeric() || "-_.[]:".contains(character);
    !host.is_empty() && host.chars().all(fits) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_label(name: &str) -> bool {
    let fits = |character: char| character.is_ascii_alphanumeric() || character == '_';
    !name.starts_with("__")
        && name.chars().all(fits)
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawPrometheus;

    fn check(address: &str, label: &str) -> Result<(), String> {
        let daemon = RawDaemon {
            address: address.to_owned(),
            labels: [(label.to_owned(), "b".to_owned())].into(),
        };
        let raw = RawConfig {
            prometheus: RawPrometheus {
                daemon: vec![daemon],
            },
            ..RawConfig::default()
        };
        let found = daemons(&[RawConfig::default(), raw]).map_err(|error| error.to_string())?;
        assert_eq!(found[0].targets, [address]);
        Ok(())
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for address in ["machine-b:7878", "127.0.0.1:1", "[::1]:7878"] {
            assert_eq!(check(address, "site"), Ok(()));
        }
        for address in [
            "machine-b",
            "http://b:1/metrics",
            ":7878",
            "b:0",
            "b:70000",
            "b :1",
        ] {
            let told = check(address, "site").unwrap_err();
            assert!(
                told.starts_with("prometheus.daemon.address: expected HOST:PORT"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_label_is_a_name_that_prometheus_takes() {
        for label in ["__address__", "a-b", "1st", ""] {
            let told = check("b:1", label).unwrap_err();
            assert!(
                told.starts_with("prometheus.daemon.labels: expected names"),
                "{told}"
            );
        }
    }
}
