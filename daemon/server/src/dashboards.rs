//! `begatd dashboards --install DIR`: the boards, rules and configuration for monitoring, which this program carries along.

use std::path::{Path, PathBuf};

/// Why they could not be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// Files are there that are not what would be written; none was touched.
    #[error(
        "{} holds files that differ from those of this begat: {}. Expected none, or --overwrite",
        folder.display(),
        names.join(", ")
    )]
    Differs {
        /// Where they are.
        folder: PathBuf,
        /// Their names in it.
        names: Vec<String>,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Disk {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        /// Every file: its name below dashboards/, and its text.
        pub const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../dashboards/", $name)))),*];
    };
}

files!(
    "METRICS.md",
    "README.md",
    "RUNBOOKS.md",
    "compose.yml",
    "alertmanager/alertmanager.yml",
    "grafana/boards/begat-comparison.json",
    "grafana/boards/begat-daemon.json",
    "grafana/boards/begat-fleet.json",
    "grafana/boards/begat-run.json",
    "grafana/boards/begat-store.json",
    "grafana/provisioning/dashboards/begat.yml",
    "grafana/provisioning/datasources/begat.yml",
    "prometheus/prometheus.yml",
    "prometheus/rules/alerts.rules.yml",
    "prometheus/rules/begat.rules.yml",
    "prometheus/targets/alertmanager.yml",
    "prometheus/targets/begatd.yml",
);

/// Writes every file below `folder`. One that is there and differs is an error before anything is written, unless
/// `overwrite`.
pub fn install(folder: &Path, overwrite: bool) -> Result<(), InstallError> {
    let names = differing(folder)?;
    if !names.is_empty() && !overwrite {
        let folder = folder.to_owned();
        return Err(InstallError::Differs { folder, names });
    }
    FILES
        .iter()
        .try_for_each(|(name, text)| write(&folder.join(name), text))
}

fn differing(folder: &Path) -> Result<Vec<String>, InstallError> {
    let mut names = Vec::new();
    for (name, text) in FILES {
        let path = folder.join(name);
        match std::fs::read(&path) {
            Ok(found) if found != text.as_bytes() => names.push((*name).to_owned()),
            Ok(_) => {}
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(InstallError::Disk { path, source }),
        }
    }
    Ok(names)
}

fn write(path: &Path, text: &str) -> Result<(), InstallError> {
    let failed = |source| InstallError::Disk {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Names below `folder` of every file that is for users: not the generator, the tests, the pictures, nor what starts a Prometheus in a clone.
    fn names(folder: &Path, prefix: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match entry.file_type().unwrap().is_dir() {
                true => found.extend(names(&entry.path(), &format!("{name}/"))),
                false => drop(found.insert(name)),
            }
        }
        let own = [
            "generate/",
            "pictures/",
            "prometheus/tests/",
            "conditional.json",
            "start.sh",
        ];
        found.retain(|name| !own.iter().any(|own| name.starts_with(own)));
        found
    }

    #[test]
    fn carries_everything_that_is_for_users() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboards");
        let carried = FILES.iter().map(|(name, _)| (*name).to_owned());
        assert_eq!(carried.collect::<BTreeSet<_>>(), names(&folder, ""));
    }

    #[test]
    fn what_was_edited_is_kept_unless_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        install(folder.path(), false).unwrap();
        install(folder.path(), false).unwrap();
        let edited = folder.path().join("prometheus/targets/begatd.yml");
        let missing = folder.path().join("README.md");
        std::fs::write(&edited, "[]").unwrap();
        std::fs::remove_file(&missing).unwrap();
        let error = install(folder.path(), false).unwrap_err().to_string();
        assert!(error.contains("prometheus/targets/begatd.yml"), "{error}");
        assert!(!missing.exists(), "nothing is written");
        assert_eq!(std::fs::read(&edited).unwrap(), b"[]");
        install(folder.path(), true).unwrap();
        assert_ne!(std::fs::read(&edited).unwrap(), b"[]");
        assert!(missing.exists());
    }
}
