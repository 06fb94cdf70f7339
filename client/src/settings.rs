//! From what was typed and what the environment says to what is meant.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use begat_client::Endpoint;

use crate::arguments::Global;
use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// What a command goes by; nothing is optional any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The data folder, absolute.
    pub data: PathBuf,
    /// The daemon's address, if it is not the data folder's socket.
    url: Option<String>,
    /// The file that holds the token.
    token: PathBuf,
    /// Whether to print JSON.
    pub json: bool,
    /// Whether to start a daemon if none runs.
    pub start: bool,
}

/// What the environment says.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `HOME`.
    pub home: Option<OsString>,
    /// `XDG_DATA_HOME`.
    pub data_home: Option<OsString>,
    /// `BEGAT_TOKEN_FILE`.
    pub token_file: Option<OsString>,
}

impl Environment {
    /// Reads the process's own.
    pub fn read() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            home: variable("HOME"),
            data_home: variable("XDG_DATA_HOME"),
            token_file: variable("BEGAT_TOKEN_FILE"),
        }
    }

    fn default_data(&self) -> Option<PathBuf> {
        let absolute = |value: &OsString| Path::new(value).is_absolute().then(|| value.into());
        let data_home: Option<PathBuf> = self.data_home.as_ref().and_then(absolute);
        let home = || Some(Path::new(self.home.as_ref()?).join(".local/share"));
        Some(data_home.or_else(home)?.join("begat"))
    }
}

impl Settings {
    /// Resolves what was typed against the environment.
    pub fn resolve(typed: &Global, environment: &Environment) -> Result<Self, Failure> {
        let data = typed.data.clone().filter(|data| *data != Path::new(""));
        let data = data.or_else(|| environment.default_data()).ok_or_else(|| {
            Failure::usage("there is no telling where the data folder is")
                .hint("set BEGAT_DATA, or HOME")
        })?;
        let data = std::path::absolute(&data).unwrap_or(data);
        let token = environment.token_file.as_ref().map(PathBuf::from);
        Ok(Self {
            token: token.unwrap_or_else(|| data.join("token")),
            url: typed.url.clone().filter(|url| !url.is_empty()),
            json: typed.json,
            start: typed.start,
            data,
        })
    }

    /// The data folder's own socket.
    pub fn socket(&self) -> Endpoint {
        Endpoint::Socket(self.data.join("begatd.sock"))
    }

    /// Where the daemon is; over TCP the token is read now.
    pub fn endpoint(&self) -> Result<Endpoint, Failure> {
        let Some(url) = &self.url else {
            return Ok(self.socket());
        };
        let token = std::fs::read_to_string(&self.token).map_err(|error| {
            let message = format!("cannot read the token in {}: {error}", self.token.display());
            Failure::of(ExitCode::BadInput, message)
                .hint("BEGAT_TOKEN_FILE names the file; the daemon writes it to its data folder")
        })?;
        Ok(Endpoint::Tcp {
            url: url.clone(),
            token: token.trim().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(home: Option<&str>, data_home: Option<&str>) -> Environment {
        Environment {
            home: home.map(OsString::from),
            data_home: data_home.map(OsString::from),
            token_file: None,
        }
    }

    fn data(typed: Option<&str>, environment: &Environment) -> Result<PathBuf, Failure> {
        let typed = Global {
            data: typed.map(PathBuf::from),
            ..Global::default()
        };
        Settings::resolve(&typed, environment).map(|settings| settings.data)
    }

    #[test]
    fn the_data_folder_is_typed_or_the_users_own() {
        let both = environment(Some("/home/me"), Some("/xdg"));
        assert_eq!(data(Some("/d"), &both).unwrap(), Path::new("/d"));
        assert_eq!(data(None, &both).unwrap(), Path::new("/xdg/begat"));
        assert!(data(Some("d"), &both).unwrap().is_absolute());
        let home = environment(Some("/home/me"), None);
        let expected = Path::new("/home/me/.local/share/begat");
        assert_eq!(data(None, &home).unwrap(), expected);
        let relative = environment(Some("/home/me"), Some("xdg"));
        assert_eq!(
            data(None, &relative).unwrap(),
            expected,
            "XDG ignores relative paths"
        );
        let failure = data(None, &environment(None, None)).unwrap_err();
        assert_eq!(failure.code, ExitCode::Usage);
    }

    #[test]
    fn the_token_comes_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let typed = Global {
            data: Some(folder.path().to_owned()),
            url: Some("http://127.0.0.1:7878".to_owned()),
            ..Global::default()
        };
        let settings = Settings::resolve(&typed, &Environment::default()).unwrap();
        let failure = settings.endpoint().unwrap_err();
        assert_eq!(failure.code, ExitCode::BadInput);
        std::fs::write(folder.path().join("token"), "secret\n").unwrap();
        let endpoint = settings.endpoint().unwrap();
        assert!(matches!(&endpoint, Endpoint::Tcp { token, .. } if token == "secret"));
        assert!(!format!("{endpoint:?}").contains("secret"));
        let other = folder.path().join("other");
        std::fs::write(&other, "another").unwrap();
        let environment = Environment {
            token_file: Some(other.into()),
            ..Environment::default()
        };
        let settings = Settings::resolve(&typed, &environment).unwrap();
        let endpoint = settings.endpoint().unwrap();
        assert!(matches!(&endpoint, Endpoint::Tcp { token, .. } if token == "another"));
    }
}
