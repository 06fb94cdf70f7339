//! Resumable checkpoints: the model, the optimizer's moments and the position, in one folder that appears by a rename.
//!
//! Training hands over copies of its tensors and goes on; a thread of its own digests, writes and syncs them. If the disk
//! is so slow that one checkpoint still waits when the next one comes, the next one is left out, because a step must not
//! wait and the result does not depend on it; only a recipe that stores checkpoints for good makes training wait.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use begat_schemas::{Digest, EventBody, Keep, layout};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::outputs::{publish, remove_if_there, remove_whole};
use super::{At, JournalSink, StageError, StageResult, WorkFolder, write_durably};
use crate::model::{Compute, Model, ModelConfig};
use crate::tensors::{self, Named};

const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";
/// How many checkpoints stay besides those that the recipe keeps.
const LAST: usize = 2;

/// All that a checkpoint is made of, on the host and no longer shared with the training.
#[derive(Debug)]
pub struct Snapshot {
    /// Steps done.
    pub step: u64,
    /// The model's shape.
    pub config: ModelConfig,
    /// Its parameters.
    pub model: Named,
    /// The optimizer's state.
    pub optimizer: Named,
    /// The last value of each metric.
    pub metrics: BTreeMap<String, f64>,
    /// What else the training needs to go on.
    pub position: Value,
    /// The files that belong into the model's folder besides.
    pub files: Arc<Vec<(String, Vec<u8>)>>,
    /// Other models that are trained along, such as PPO's value model.
    pub companions: Vec<Companion>,
}

/// A model that is trained beside the main one, with its optimizer.
#[derive(Debug)]
pub struct Companion {
    /// The folder it gets in the checkpoint; neither `model` nor a file's name.
    pub name: &'static str,
    /// Its shape.
    pub config: ModelConfig,
    /// Its parameters.
    pub model: Named,
    /// Its optimizer's state.
    pub optimizer: Named,
}

#[derive(Debug, Serialize, Deserialize)]
struct State {
    step: u64,
    parameters: Digest,
    #[serde(default)]
    metrics: BTreeMap<String, f64>,
    position: Value,
    /// The parameters of each companion.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    companions: BTreeMap<String, Digest>,
}

/// A checkpoint to go on from.
#[derive(Debug)]
pub struct Checkpoint {
    folder: PathBuf,
    state: State,
}

impl Checkpoint {
    /// Opens the checkpoint of `step`.
    pub fn open(work: &WorkFolder, step: u64) -> StageResult<Self> {
        let all = work.checkpoints();
        let folder = all.join(step.to_string());
        if !folder.is_dir() {
            let there = steps(&all)?;
            return Err(StageError::work(
                &folder,
                format!("no such checkpoint; there are {there:?}"),
            ));
        }
        let path = folder.join(STATE);
        let text = fs::read(&path).at(&path)?;
        let state: State = serde_json::from_slice(&text)
            .map_err(|error| StageError::work(&path, format!("not a checkpoint's: {error}")))?;
        if state.step != step {
            return Err(StageError::work(
                &path,
                format!("expected step {step}, found {}", state.step),
            ));
        }
        Ok(Self { folder, state })
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.state.step
    }

    /// The last value of each metric.
    pub fn metrics(&self) -> &BTreeMap<String, f64> {
        &self.state.metrics
    }

    /// What else the training needs to go on.
    pub fn position(&self) -> &Value {
        &self.state.position
    }

    /// Loads the model; parameters of another digest than the one recorded are refused.
    pub fn model(&self, device: tch::Device) -> StageResult<Model> {
        let folder = self.folder.join(layout::CHECKPOINT_MODEL);
        load_verified(&folder, self.state.parameters, device)
    }

    /// Loads a companion and its optimizer's state, verified likewise.
    pub fn companion(&self, name: &str, device: tch::Device) -> StageResult<(Model, Named)> {
        let folder = self.folder.join(name);
        let expected = self.state.companions.get(name).ok_or_else(|| {
            StageError::work(&folder, format!("the checkpoint has no model `{name}`"))
        })?;
        let model = load_verified(&folder, *expected, device)?;
        Ok((model, tensors::load(&folder.join(OPTIMIZER), device)?))
    }

    /// Loads the optimizer's state.
    pub fn optimizer(&self, device: tch::Device) -> StageResult<Named> {
        Ok(tensors::load(&self.folder.join(OPTIMIZER), device)?)
    }
}

fn load_verified(folder: &Path, expected: Digest, device: tch::Device) -> StageResult<Model> {
    let model = Model::load(folder, device)?;
    let found = Digest::from(tensors::digest(model.parameters())?);
    if found != expected {
        let (found, expected) = (found.short(), expected.short());
        return Err(StageError::work(
            folder,
            format!("parameters have digest {found}, expected {expected}"),
        ));
    }
    Ok(model)
}

/// Writes checkpoints beside the training.
#[derive(Debug)]
pub struct CheckpointWriter {
    sender: Option<SyncSender<Snapshot>>,
    thread: Option<JoinHandle<StageResult<()>>>,
    sink: JournalSink,
    waits: bool,
}

impl CheckpointWriter {
    /// Begins after `from` steps; what lies there of later steps goes away.
    pub fn start(
        work: &WorkFolder,
        from: u64,
        keep: &Keep,
        sink: JournalSink,
    ) -> StageResult<Self> {
        let shelf = Shelf::open(work.checkpoints(), keep.clone(), from)?;
        let (sender, receiver) = sync_channel(1);
        let folder = work.checkpoints();
        let own_sink = sink.clone();
        let thread = std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || write_all(&receiver, shelf, &own_sink))
            .at(&folder)?;
        Ok(Self {
            sender: Some(sender),
            thread: Some(thread),
            sink,
            waits: *keep != Keep::None,
        })
    }

    /// Hands over a checkpoint; says whether it will be written.
    pub fn submit(&mut self, snapshot: Snapshot) -> StageResult<bool> {
        let Some(sender) = &self.sender else {
            return Ok(false);
        };
        if self.waits {
            return match sender.send(snapshot) {
                Ok(()) => Ok(true),
                Err(_) => self.finish().map(|()| false),
            };
        }
        match sender.try_send(snapshot) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(snapshot)) => {
                let step = snapshot.step;
                self.sink.log(
                    "warn",
                    format!("the checkpoint of step {step} is left out: the disk is still busy with earlier ones"),
                );
                Ok(false)
            }
            Err(TrySendError::Disconnected(_)) => self.finish().map(|()| false),
        }
    }

    /// Hands over the last checkpoint, which is never left out, and waits for it.
    pub fn submit_last(&mut self, snapshot: Snapshot) -> StageResult<()> {
        if let Some(sender) = &self.sender {
            // A writer that is gone says why in `finish`.
            let _ = sender.send(snapshot);
        }
        self.finish()
    }

    /// Waits until all are written.
    pub fn finish(&mut self) -> StageResult<()> {
        self.sender = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(StageError::dataset("checkpoints", "their writer panicked")),
            None => Ok(()),
        }
    }
}

/// What was submitted is written, and said, before a stage says that it failed: it is the last good state.
impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            self.sink
                .log("warn", format!("a checkpoint was not written: {error}"));
        }
    }
}

fn write_all(
    receiver: &Receiver<Snapshot>,
    mut shelf: Shelf,
    sink: &JournalSink,
) -> StageResult<()> {
    while let Ok(snapshot) = receiver.recv() {
        let step = snapshot.step;
        let parameters = shelf.put(snapshot)?;
        sink.emit(EventBody::Checkpoint {
            step,
            parameters: Some(parameters),
        });
        sink.sync().at(&shelf.folder)?;
        shelf.prune()?;
    }
    Ok(())
}

/// The folder of checkpoints and the metric by which one of them is best.
#[derive(Debug)]
struct Shelf {
    folder: PathBuf,
    keep: Keep,
    values: BTreeMap<u64, f64>,
}

impl Shelf {
    fn open(folder: PathBuf, keep: Keep, from: u64) -> StageResult<Self> {
        fs::create_dir_all(&folder).at(&folder)?;
        for entry in fs::read_dir(&folder).at(&folder)? {
            let path = entry.at(&folder)?.path();
            match step_of(&path) {
                Some(step) if step <= from => {}
                Some(_) => remove_whole(&path)?,
                None => remove_if_there(&path)?,
            }
        }
        let mut shelf = Self {
            folder,
            keep,
            values: BTreeMap::new(),
        };
        for step in steps(&shelf.folder)? {
            let path = shelf.folder.join(step.to_string()).join(STATE);
            let state = fs::read(&path).at(&path)?;
            if let Ok(state) = serde_json::from_slice::<State>(&state) {
                shelf.note(step, &state.metrics);
            }
        }
        Ok(shelf)
    }

    fn note(&mut self, step: u64, metrics: &BTreeMap<String, f64>) {
        if let Keep::Best(metric) = &self.keep
            && let Some(value) = metrics.get(metric)
        {
            self.values.insert(step, *value);
        }
    }

    fn put(&mut self, snapshot: Snapshot) -> StageResult<Digest> {
        let step = snapshot.step;
        self.note(step, &snapshot.metrics);
        let partial = self.folder.join(format!(".partial-{step}"));
        let model_folder = partial.join(layout::CHECKPOINT_MODEL);
        remove_if_there(&partial)?;
        fs::create_dir_all(&model_folder).at(&model_folder)?;
        let parameters = Digest::from(tensors::digest(&snapshot.model)?);
        write_model(&model_folder, snapshot.config, snapshot.model)?;
        for (name, bytes) in snapshot.files.iter() {
            write_durably(&model_folder.join(name), bytes)?;
        }
        tensors::save(&partial.join(OPTIMIZER), &snapshot.optimizer)?;
        let companions = snapshot.companions.into_iter();
        let companions = companions.map(|companion| put_companion(&partial, companion));
        let state = State {
            companions: companions.collect::<StageResult<_>>()?,
            step,
            parameters,
            metrics: snapshot.metrics,
            position: snapshot.position,
        };
        let text = serde_json::to_vec_pretty(&state)
            .map_err(|error| StageError::work(&partial, error.to_string()))?;
        write_durably(&partial.join(STATE), &text)?;
        publish(&partial, &self.folder.join(step.to_string()))?;
        Ok(parameters)
    }

    fn prune(&self) -> StageResult<()> {
        let steps = steps(&self.folder)?;
        let older = steps.len().saturating_sub(LAST);
        for step in steps.into_iter().take(older) {
            if !self.is_kept(step) {
                remove_whole(&self.folder.join(step.to_string()))?;
            }
        }
        Ok(())
    }

    fn is_kept(&self, step: u64) -> bool {
        match &self.keep {
            Keep::None => false,
            Keep::All => true,
            Keep::Every(every) => step.is_multiple_of(*every),
            Keep::Best(_) => self.best() == Some(step),
        }
    }

    fn best(&self) -> Option<u64> {
        let lowest = self.values.iter().min_by(|a, b| a.1.total_cmp(b.1));
        lowest.map(|(step, _)| *step)
    }
}

fn put_companion(partial: &Path, companion: Companion) -> StageResult<(String, Digest)> {
    let folder = partial.join(companion.name);
    fs::create_dir_all(&folder).at(&folder)?;
    let parameters = Digest::from(tensors::digest(&companion.model)?);
    write_model(&folder, companion.config, companion.model)?;
    tensors::save(&folder.join(OPTIMIZER), &companion.optimizer)?;
    Ok((companion.name.to_owned(), parameters))
}

fn write_model(folder: &Path, config: ModelConfig, parameters: Named) -> StageResult<()> {
    let compute = Compute::new(tch::Device::Cpu, tch::Kind::Float);
    Ok(Model::from_parameters(config, parameters, compute)?.save(folder)?)
}

fn step_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.parse().ok()
}

/// The steps that have a checkpoint, in order.
fn steps(folder: &Path) -> StageResult<Vec<u64>> {
    let mut steps = Vec::new();
    if !folder.is_dir() {
        return Ok(steps);
    }
    for entry in fs::read_dir(folder).at(folder)? {
        steps.extend(step_of(&entry.at(folder)?.path()));
    }
    steps.sort_unstable();
    Ok(steps)
}
