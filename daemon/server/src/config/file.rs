//! Reading the configuration's file, with errors that name the line and the nearest key.

use std::path::Path;

use super::{ConfigError, RawConfig};

/// Reads the file at `path`.
pub fn read_file(path: &Path) -> Result<RawConfig, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<RawConfig, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().map_or(0, |span| span.start.min(text.len()));
        ConfigError::File {
            path: path.to_owned(),
            line: 1 + text.as_bytes()[..before]
                .iter()
                .filter(|&&byte| byte == b'\n')
                .count(),
            problem: error.message().to_owned(),
            near: nearest_key(error.message()),
        }
    })
}

/// The key that was probably meant, from serde's own list of the known ones.
fn nearest_key(message: &str) -> Option<String> {
    let mut quoted = message.strip_prefix("unknown field `")?.split('`');
    let found = quoted.next()?;
    quoted
        .skip(1)
        .step_by(2)
        .map(|known| (strsim::jaro_winkler(found, known), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(Path::new("begatd.toml"), text)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_wrong_key_is_named_with_its_line_and_the_nearest() {
        let text = message("threads = 2\n[slots]\ncpus = 1\n");
        assert!(
            text.starts_with("begatd.toml:3: unknown field `cpus`")
                && text.ends_with("did you mean `cpu`?"),
            "{text}"
        );
    }

    #[test]
    fn a_wrong_type_is_named_with_its_line() {
        assert!(message("\nthreads = \"two\"").starts_with("begatd.toml:2: invalid type"));
    }

    #[test]
    fn the_file_in_configs_is_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/begatd.toml");
        let raw = read_file(&path).unwrap();
        assert!(raw.listen.is_some());
    }
}
