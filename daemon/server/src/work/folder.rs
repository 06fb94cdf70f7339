//! Making a work folder, and making it ready to go on.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use begat_ledger::journal::Decoder;
use begat_schemas::{
    AttemptId, CONTRACT, CommandParams, Exit, Job, PromisedOutput, SOURCE_INPUT, StageParams,
    layout,
};
use begat_store::Store;

use super::cache::remove_read_only;
use super::{At, Cache, WorkError, inputs};
use crate::config::Config;
use crate::parent::{BEGUN, SPAWN, SpawnSpec};
use crate::scheduler::Task;

/// How much of a journal is read at once.
const PIECE_BYTES: usize = 1 << 20;

/// The folder that an attempt works in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkFolder {
    root: PathBuf,
}

impl WorkFolder {
    /// That of `attempt` among `all`.
    pub fn of(all: &Path, attempt: AttemptId) -> Self {
        Self {
            root: all.join(attempt.to_string()),
        }
    }

    /// Where it lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The journal.
    pub fn journal(&self) -> PathBuf {
        self.root.join(layout::JOURNAL)
    }

    /// What the stage wrote to its standard error and output.
    pub fn log(&self) -> PathBuf {
        self.root.join(layout::STDERR)
    }

    /// How the stage ended, if its parent wrote that down.
    pub fn exit(&self) -> Option<Exit> {
        let text = std::fs::read(self.root.join(layout::EXIT)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Whether its stage was let go.
    pub fn has_begun(&self) -> bool {
        self.root.join(BEGUN).exists()
    }

    /// The newest checkpoint.
    pub fn newest_checkpoint(&self) -> Option<u64> {
        self.checkpoints().into_iter().max()
    }

    /// The steps of all checkpoints.
    pub fn checkpoints(&self) -> Vec<u64> {
        let entries = std::fs::read_dir(self.root.join(layout::CHECKPOINTS));
        let entries = entries.into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }

    /// Removes it; fine if it is not there.
    pub fn remove(&self) -> Result<(), WorkError> {
        remove_read_only(&self.root)
    }

    /// The journal's whole lines, in bytes from its start.
    pub fn journal_length(&self) -> Result<u64, WorkError> {
        use std::io::Read;
        let path = self.journal();
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error).at("open", &path),
        };
        let mut decoder = Decoder::new();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = file.read(&mut piece).at("read", &path)?;
            if read == 0 {
                return Ok(decoder.position());
            }
            decoder.push(&piece[..read]);
        }
    }
}

/// Makes the work folder of a new attempt. What an earlier try left there goes away.
pub fn prepare(
    config: &Config,
    store: &Store,
    cache: &Cache,
    attempt: AttemptId,
    task: &Task,
) -> Result<WorkFolder, WorkError> {
    let spec = spawn_spec(config, attempt, task)?;
    let folder = WorkFolder::of(&config.work_folder(), attempt);
    folder.remove()?;
    lay_out(&folder, store, cache, task)?;
    describe(&folder, attempt, task, &spec, None)?;
    Ok(folder)
}

/// Makes a work folder ready to go on from its newest checkpoint, or from the start if it has none.
pub fn prepare_again(
    config: &Config,
    store: &Store,
    cache: &Cache,
    attempt: AttemptId,
    task: &Task,
) -> Result<(WorkFolder, Option<u64>), WorkError> {
    let spec = spawn_spec(config, attempt, task)?;
    let folder = WorkFolder::of(&config.work_folder(), attempt);
    // How the last process ended must not be taken for how the next one will.
    remove_read_only(&folder.root.join(layout::EXIT))?;
    remove_read_only(&folder.root.join(BEGUN))?;
    remove_read_only(&folder.root.join(layout::OUTPUTS))?;
    lay_out(&folder, store, cache, task)?;
    cut_torn_line(&folder)?;
    let step = folder.newest_checkpoint();
    describe(&folder, attempt, task, &spec, step)?;
    Ok((folder, step))
}

fn lay_out(
    folder: &WorkFolder,
    store: &Store,
    cache: &Cache,
    task: &Task,
) -> Result<(), WorkError> {
    for name in [layout::INPUTS, layout::OUTPUTS, layout::CHECKPOINTS] {
        let path = folder.root.join(name);
        std::fs::create_dir_all(&path).at("create", &path)?;
    }
    inputs::provide(store, cache, &folder.root, &task.derivation)
}

fn describe(
    folder: &WorkFolder,
    attempt: AttemptId,
    task: &Task,
    spec: &SpawnSpec,
    resume_from: Option<u64>,
) -> Result<(), WorkError> {
    let outputs = task.derivation.stage_params()?.outputs();
    let job = Job {
        contract: CONTRACT,
        attempt,
        recipe: task.recipe.clone(),
        stage: task.stage.clone(),
        derivation: (*task.derivation).clone(),
        execution: task.execution.clone(),
        outputs: outputs
            .into_iter()
            .map(|(name, artifact)| PromisedOutput { name, artifact })
            .collect(),
        resume_from,
    };
    write_json(&folder.root.join(layout::JOB), &job)?;
    write_json(&folder.root.join(SPAWN), spec)?;
    for path in [folder.journal(), folder.log()] {
        let there = OpenOptions::new().append(true).create(true).open(&path);
        there.map(drop).at("create", &path)?;
    }
    Ok(())
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), WorkError> {
    let beside = path.with_extension("new");
    let text = serde_json::to_vec_pretty(value).map_err(std::io::Error::from);
    let text = text.at("write", path)?;
    let mut file = File::create(&beside).at("create", &beside)?;
    file.write_all(&text).at("write", &beside)?;
    std::fs::rename(&beside, path).at("rename", &beside)
}

fn cut_torn_line(folder: &WorkFolder) -> Result<(), WorkError> {
    let length = folder.journal_length()?;
    let path = folder.journal();
    match OpenOptions::new().write(true).open(&path) {
        Ok(file) => file.set_len(length).at("cut", &path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).at("open", &path),
    }
}

fn spawn_spec(config: &Config, attempt: AttemptId, task: &Task) -> Result<SpawnSpec, WorkError> {
    check_device(config, task)?;
    let folder = WorkFolder::of(&config.work_folder(), attempt).root;
    let params = task.derivation.stage_params()?;
    let (argv, folder) = match params {
        StageParams::Command(CommandParams { argv, .. }) => {
            let source = folder.join(layout::INPUTS).join(SOURCE_INPUT);
            let sourced = task
                .derivation
                .inputs
                .keys()
                .any(|name| name.as_str() == SOURCE_INPUT);
            (argv, if sourced { source } else { folder })
        }
        _ => (vec![stage_program(config)?], folder),
    };
    Ok(SpawnSpec {
        argv,
        folder,
        environment: Default::default(),
    })
}

fn check_device(config: &Config, task: &Task) -> Result<(), WorkError> {
    let device = &task.execution.device;
    if crate::scheduler::Slots::new(&config.slots).has(device) {
        return Ok(());
    }
    Err(WorkError::NoDevice {
        device: device.to_string(),
        nvidia: Path::new("/dev/nvidia0").exists(),
    })
}

fn stage_program(config: &Config) -> Result<String, WorkError> {
    let path = &config.stage_program;
    let error = |problem: String| WorkError::StageProgram {
        path: path.clone(),
        problem,
    };
    let meta = std::fs::metadata(path).map_err(|problem| error(problem.to_string()))?;
    if !meta.is_file() {
        return Err(error("it is no file".to_owned()));
    }
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| error("its path is not UTF-8".to_owned()))
}
