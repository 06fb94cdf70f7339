//! A folder with a data folder in it, and the daemon that serves it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{Cli, processes, program, wait_for};

/// A fresh home: everything below it belongs to one test.
pub struct Home {
    folder: tempfile::TempDir,
    config: String,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// An empty home. Its daemon has one slot of one thread per processor that tests may count on: two.
    pub fn new() -> Self {
        Self::with_config("threads = 1\n[slots]\ncpu = 2\n")
    }

    /// An empty home with this configuration file.
    pub fn with_config(config: &str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            config: config.to_owned(),
        }
    }

    /// The home's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The command line, talking to this home's daemon.
    pub fn cli(&self) -> Cli {
        Cli::new(self.path(), &self.data())
    }

    /// A command with a cleared environment.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("BEGAT_DATA", self.data())
            .current_dir(crate::root());
        command
    }

    /// The same home with another configuration for its next daemon.
    pub fn reconfigured(mut self, config: &str) -> Self {
        self.config = config.to_owned();
        self
    }

    /// Starts the daemon and waits until it is ready.
    #[must_use]
    pub fn start(&self) -> Daemon {
        self.start_with(&[])
    }

    /// The same with these variables in its environment.
    #[must_use]
    pub fn start_with(&self, variables: &[(&str, &str)]) -> Daemon {
        let config = self.path().join("begatd.toml");
        std::fs::write(&config, &self.config).unwrap();
        let log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(self.path().join("begatd.log"))
            .unwrap();
        let mut child = self
            .command(&program("begatd"))
            .arg("--config")
            .arg(&config)
            .args(["--listen", "127.0.0.1:0"])
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        wait_for("the daemon to be ready", || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("begatd ended with {status}:\n{}", self.log());
            }
            self.is_ready(child.id()).then_some(())
        });
        Daemon {
            child,
            data: self.data(),
        }
    }

    fn is_ready(&self, pid: u32) -> bool {
        let text = std::fs::read(self.data().join("endpoint.json")).unwrap_or_default();
        let endpoint: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        endpoint["pid"] == pid && self.cli().run(["daemon", "status"]).code == 0
    }

    /// What the daemon has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("begatd.log")).unwrap_or_default()
    }

    /// The address of the daemon's TCP listener, and its token.
    pub fn endpoint(&self) -> (String, String) {
        let text = std::fs::read(self.data().join("endpoint.json")).unwrap();
        let endpoint: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let token = std::fs::read_to_string(self.data().join("token")).unwrap();
        (
            endpoint["tcp"].as_str().unwrap().to_owned(),
            token.trim().to_owned(),
        )
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        processes::kill_all_below(&self.data());
        if std::thread::panicking() {
            eprintln!("--- begatd's log\n{}", self.log());
        }
    }
}

/// A running daemon; dropped, it is killed.
pub struct Daemon {
    child: Child,
    data: PathBuf,
}

impl Daemon {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL; stages live on.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop with SIGTERM, and waits until it has.
    pub fn stop(mut self) {
        processes::signal(self.child.id(), rustix::process::Signal::TERM);
        let status = self.child.wait().unwrap();
        assert!(status.success(), "begatd ended with {status}");
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The data folder it serves.
    pub fn data(&self) -> &Path {
        &self.data
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
