//! The command line, as a script would use it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program;

/// `begat` against one data folder, with a cleared environment.
pub struct Cli {
    home: PathBuf,
    data: PathBuf,
    folder: PathBuf,
}

/// What a command answered.
#[must_use]
#[derive(Debug)]
pub struct Answer {
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Cli {
    pub(crate) fn new(home: &Path, data: &Path) -> Self {
        Self {
            home: home.to_owned(),
            data: data.to_owned(),
            folder: crate::root().to_owned(),
        }
    }

    /// The data folder of the daemon it talks to.
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// The same, started in `folder`.
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.folder = folder.to_owned();
        self
    }

    /// The command, not yet started.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(program("begat"));
        command
            .env_clear()
            .env("HOME", &self.home)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("BEGAT_DATA", &self.data)
            .env("BEGAT_CONFIG", self.home.join("begatd.toml"))
            .env("COLUMNS", "120")
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Answer {
        let output = self.command(arguments).output().unwrap();
        Answer {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs it and insists on success; its standard output without the last line end.
    #[track_caller]
    pub fn ok<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        let answer = self.run(arguments);
        assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
        answer.stdout.trim_end().to_owned()
    }

    /// The JSON that a successful `begat --json …` prints.
    #[track_caller]
    pub fn json<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Value {
        let mut all = vec!["--json".into()];
        all.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        let text = self.ok(all);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}
