//! The token that a client over TCP must show: 32 random bytes in a file that only its owner can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq;

const TOKEN_BYTES: usize = 32;
const TOKEN_DIGITS: usize = 2 * TOKEN_BYTES;

/// The token. It is never printed.
#[derive(Clone)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file cannot be read or written.
    #[error("cannot {action} the token file `{path}`: {source}", path = path.display())]
    Io {
        /// What failed.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No random bytes.
    #[error("the operating system gives no random bytes for the token: {0}")]
    Random(getrandom::Error),
    /// Others can read it.
    #[error("the token file `{path}` has mode {mode:04o}: expected 0600, so that nobody else can read it", path = path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It holds something else.
    #[error("the token file `{path}` does not hold a token: expected {TOKEN_DIGITS} hexadecimal digits", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl Token {
    /// The token in the file at `path`, which is made if it is not there.
    pub fn load_or_create(path: &Path) -> Result<Self, TokenError> {
        match fs::symlink_metadata(path) {
            Ok(metadata) => Self::load(path, metadata.permissions().mode() & 0o7777),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(path),
            Err(source) => Err(failed("look at", path, source)),
        }
    }

    fn load(path: &Path, mode: u32) -> Result<Self, TokenError> {
        if mode & 0o077 != 0 {
            let path = path.to_owned();
            return Err(TokenError::Readable { path, mode });
        }
        let text = fs::read_to_string(path).map_err(|source| failed("read", path, source))?;
        let text = text.trim_end();
        let whole = text.len() == TOKEN_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match whole {
            true => Ok(Self(text.to_owned())),
            false => Err(TokenError::Malformed {
                path: path.to_owned(),
            }),
        }
    }

    /// Writes a new token beside its place and renames it there, so that no crash leaves half of one.
    fn create(path: &Path) -> Result<Self, TokenError> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(TokenError::Random)?;
        let token = Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
        let beside = path.with_extension("new");
        let written = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            writeln!(file, "{}", token.0)?;
            file.sync_all()?;
            fs::rename(&beside, path)
        };
        written().map_err(|source| failed("write", path, source))?;
        Ok(token)
    }

    /// Whether `shown` is the token, in a time that does not depend on how much of it is right.
    pub(super) fn matches(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> TokenError {
    TokenError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = Token::load_or_create(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        let again = Token::load_or_create(&path).unwrap();
        assert!(again.matches(token.text().as_bytes()));
        assert!(!again.matches(b""));
        assert!(!again.matches("0".repeat(TOKEN_DIGITS).as_bytes()));
        assert!(!format!("{token:?}").contains(token.text()));
    }

    #[test]
    fn two_folders_have_two_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| Token::load_or_create(&folder.path().join(name)));
        assert!(!a.unwrap().matches(b.unwrap().text().as_bytes()));
    }

    #[test]
    fn refuses_a_file_that_others_read_or_that_holds_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = Token::load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Token::load_or_create(&path).unwrap_err();
        assert!(matches!(error, TokenError::Readable { mode: 0o640, .. }));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, &token.text()[..20]).unwrap();
        let error = Token::load_or_create(&path).unwrap_err();
        assert!(matches!(error, TokenError::Malformed { .. }));
    }
}
