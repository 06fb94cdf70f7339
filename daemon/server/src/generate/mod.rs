//! Completions from checkpoints, by a program of their own.
//!
//! The daemon links no libtorch, and a model that is being talked to must not take the daemon's memory with it. So
//! `begat-stage serve` is started when someone asks, kept while it is used, and ended when nobody has asked anything for a
//! while. Should it die, those who wait for it are told, and the next request starts it anew.

mod process;
mod protocol;

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use begat_schemas::Device;
use begat_schemas::api::{GenerateEvent, GenerateRequest};
use futures::Stream;
use futures::future::BoxFuture;
use tokio::sync::Mutex;

use self::process::Process;

/// Where the program is to compute, and what holds that place for it as long as it runs.
pub struct Place {
    /// The device.
    pub device: Device,
    /// Gives the place back when dropped.
    #[expect(dead_code, reason = "it is held, not read")]
    pub lease: Option<Box<dyn Any + Send + Sync>>,
}

/// Finds a place for the program.
pub type FindPlace = Box<dyn Fn() -> BoxFuture<'static, Place> + Send + Sync>;

/// How the program is run.
pub struct GeneratorOptions {
    /// The program.
    pub program: PathBuf,
    /// Threads of arithmetic on the processor.
    pub threads: u32,
    /// How long it stays when nobody asks it anything.
    pub idle: Duration,
    /// Finds a place for it.
    pub find_place: FindPlace,
}

/// Answers requests for completions.
pub struct Generator {
    options: GeneratorOptions,
    process: Mutex<Option<Arc<Process>>>,
}

impl Generator {
    /// A generator that has started nothing yet.
    pub fn new(options: GeneratorOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            process: Mutex::new(None),
        })
    }

    /// Completes what `request` gives, with the model in `folder`. The stream ends after the last completion, or after an
    /// error; whoever drops it earlier cancels the rest.
    pub async fn generate(
        &self,
        folder: PathBuf,
        request: GenerateRequest,
    ) -> impl Stream<Item = GenerateEvent> + Send + use<> {
        match self.ask(folder, request).await {
            Ok(events) => futures::future::Either::Left(events),
            Err(reason) => {
                let error = GenerateEvent::Error { reason };
                futures::future::Either::Right(futures::stream::iter([error]))
            }
        }
    }

    /// Hands a request over, once more if the program was just about to end.
    async fn ask(
        &self,
        folder: PathBuf,
        request: GenerateRequest,
    ) -> Result<impl Stream<Item = GenerateEvent> + Send + use<>, String> {
        let process = self.process().await?;
        match Process::ask(&process, folder.clone(), request.clone()) {
            Err(_) => Process::ask(&self.process().await?, folder, request),
            asked => asked,
        }
    }

    /// The running program, started if it does not run.
    async fn process(&self) -> Result<Arc<Process>, String> {
        let mut slot = self.process.lock().await;
        if let Some(process) = slot.as_ref().filter(|process| process.is_alive()) {
            return Ok(process.clone());
        }
        let place = (self.options.find_place)().await;
        let started = Process::start(&self.options, place)?;
        *slot = Some(started.clone());
        Ok(started)
    }

    /// Ends the program, if it runs.
    pub async fn stop(&self) {
        if let Some(process) = self.process.lock().await.take() {
            process.end().await;
        }
    }
}

#[cfg(test)]
mod tests;
