//! What every command has at hand.

use std::sync::{Mutex, PoisonError};

use begat_client::{ApiError, Client};
use serde::Serialize;

use crate::daemon_process;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal::Terminal;

/// Settings, terminal and daemon.
pub struct Context {
    /// What was asked for.
    pub settings: Settings,
    /// Where to say it.
    pub terminal: Terminal,
    goes_on: Mutex<Option<String>>,
}

impl Context {
    /// A context that has not met its daemon yet.
    pub fn new(settings: Settings, terminal: Terminal) -> Self {
        Self {
            settings,
            terminal,
            goes_on: Mutex::new(None),
        }
    }

    /// A client of the daemon. With `--start`, one is started if none answers.
    pub async fn client(&self) -> Result<Client, Failure> {
        let client = Client::new(self.settings.endpoint()?)?;
        if self.settings.start {
            match client.is_ready().await {
                Ok(true) => {}
                Ok(false) | Err(ApiError::NoDaemon { .. }) => {
                    daemon_process::start(self, &[]).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(client)
    }

    /// Prints a result: as JSON if that was asked for, else as `text` makes it.
    pub fn print<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.settings.json {
            return self.print_json(value);
        }
        Ok(self.terminal.data(&text(value))?)
    }

    /// Prints a result as JSON.
    pub fn print_json<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::new(format!("the result is no JSON: {error}")))?;
        Ok(self.terminal.data(&format!("{text}\n"))?)
    }

    /// Prints one of several results as a line of JSON.
    pub fn print_json_line<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::new(format!("the result is no JSON: {error}")))?;
        Ok(self.terminal.data(&format!("{text}\n"))?)
    }

    /// Notes what the daemon goes on with if this command is interrupted.
    pub fn goes_on_without_me(&self, hint: String) {
        *self.goes_on.lock().unwrap_or_else(PoisonError::into_inner) = Some(hint);
    }

    /// What to say when interrupted.
    pub fn interrupted(&self) -> Failure {
        let mut failure = Failure::of(ExitCode::Interrupted, "interrupted");
        failure.hint = self
            .goes_on
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        failure
    }
}
