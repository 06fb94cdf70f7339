//! What every stage is given.

use std::fmt;

use begat_schemas::Job;

use crate::contract::{Journal, OutputFolder, StageError, StageResult, StopFlag, WorkFolder};
use crate::data::SideFiles;
use crate::model::Model;
use crate::{Device, Stream};

/// Called after each update with its step and the model.
pub type AfterUpdate = Box<dyn Fn(u64, &Model)>;

/// Where others look in on a stage. The shipped program leaves them as they are; tests stop and disturb stages with them.
pub struct Hooks {
    /// Asks the stage to stop.
    pub stop: StopFlag,
    /// Called after each update with its step and the model.
    pub after_update: AfterUpdate,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            stop: StopFlag::default(),
            after_update: Box::new(|_, _| ()),
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("stop", &self.stop)
            .finish_non_exhaustive()
    }
}

/// What every stage is given.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub work: &'a WorkFolder,
    pub job: &'a Job,
    pub journal: &'a Journal,
    pub stop: &'a StopFlag,
    pub hooks: &'a Hooks,
    pub device: Device,
    pub threads: usize,
}

impl Context<'_> {
    /// The seed; kinds without randomness have none.
    pub(crate) fn seed(&self) -> u64 {
        self.job.derivation.seed.unwrap_or(0)
    }

    /// Random numbers for one purpose.
    pub(crate) fn random(&self, purpose: &str) -> Stream {
        Stream::new(self.seed(), self.job.derivation.kind.name(), purpose)
    }

    /// Says something in the journal, which watchers see at once, and in the stage's log.
    pub(crate) fn log(&self, level: &str, message: impl Into<String>) {
        let message = message.into();
        super::say(format_args!("{level}: {message}"));
        self.journal.sink().log(level, message);
    }

    /// The folder of an input.
    pub(crate) fn input(&self, name: &str) -> StageResult<std::path::PathBuf> {
        let folder = self.work.input(name);
        if folder.is_dir() {
            Ok(folder)
        } else {
            Err(StageError::work(
                &folder,
                "no such input; expected a folder",
            ))
        }
    }

    /// The folder of an input that the recipe may leave out.
    pub(crate) fn optional_input(&self, name: &str) -> StageResult<Option<std::path::PathBuf>> {
        match self.has_input(name) {
            true => self.input(name).map(Some),
            false => Ok(None),
        }
    }

    /// Whether there is an input called so.
    pub(crate) fn has_input(&self, name: &str) -> bool {
        let inputs = &self.job.derivation.inputs;
        inputs.keys().any(|input| input.as_str() == name)
    }

    /// The digest of an input's tree; empty if there is no such input.
    pub(crate) fn digest_of(&self, name: &str) -> String {
        let mut inputs = self.job.derivation.inputs.iter();
        let found = inputs.find(|(input, _)| input.as_str() == name);
        found.map(|(_, tree)| tree.to_string()).unwrap_or_default()
    }

    /// Ends early if somebody asked for it; for stages that keep nothing.
    pub(crate) fn check_stop(&self) -> StageResult<()> {
        if self.stop.is_set() {
            Err(StageError::Interrupted { step: 0 })
        } else {
            Ok(())
        }
    }

    /// Writes the main output of a stage that trains a language model: a Hugging Face folder.
    pub(crate) fn write_model(&self, model: &Model, files: &SideFiles) -> StageResult<()> {
        self.write_model_as("model", model, files)
    }

    /// Writes a model with the files beside it as the output `name`.
    pub(crate) fn write_model_as(
        &self,
        name: &str,
        model: &Model,
        files: &SideFiles,
    ) -> StageResult<()> {
        let output = OutputFolder::begin(self.work, name)?;
        model.save(output.path())?;
        for (name, bytes) in files.iter() {
            output.write(name, bytes)?;
        }
        output.publish()
    }
}
