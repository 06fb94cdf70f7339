//! Storing what a stage produced.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use begat_schemas::{ArtifactType, Keep, OutputName, REPORT_METRICS, Report, TreeDigest, layout};
use begat_store::Store;
use begat_store::check_safetensors;
use begat_store::fs::DiskFs;

use super::{At, WorkError, WorkFolder, inputs};
use crate::scheduler::Task;

/// Verifies and stores the promised outputs. They are durable after the store's next commit.
pub fn store_outputs(
    store: &Store,
    folder: &WorkFolder,
    task: &Task,
) -> Result<BTreeMap<OutputName, TreeDigest>, WorkError> {
    if task.derivation.runs_program() {
        inputs::verify_copies(folder.root(), &task.derivation)?;
    }
    let mut outputs = BTreeMap::new();
    for (name, artifact) in task.derivation.stage_params()?.outputs() {
        let path = folder.root().join(layout::OUTPUTS).join(name.as_str());
        check(&path, &name, artifact)?;
        let added = store.add_folder(&path)?;
        outputs.insert(name, added.digest);
    }
    Ok(outputs)
}

/// The checkpoints that the recipe keeps, stored as trees.
pub fn kept_checkpoints(
    store: &Store,
    folder: &WorkFolder,
    keep: &Keep,
) -> Result<Vec<(u64, TreeDigest)>, WorkError> {
    if *keep == Keep::None {
        return Ok(Vec::new());
    }
    let mut steps = folder.checkpoints();
    steps.sort_unstable();
    if let Keep::Best(metric) = keep {
        steps = best(folder, metric, &steps)?.into_iter().collect();
    }
    let mut kept = Vec::new();
    for step in steps {
        let wanted = match keep {
            Keep::Every(every) => step.is_multiple_of((*every).max(1)),
            _ => true,
        };
        if wanted {
            let checkpoint = folder
                .root()
                .join(layout::CHECKPOINTS)
                .join(step.to_string());
            let model = checkpoint.join(layout::CHECKPOINT_MODEL);
            let whole = if model.is_dir() { model } else { checkpoint };
            kept.push((step, store.add_folder(&whole)?.digest));
        }
    }
    Ok(kept)
}

/// The checkpoint at which `metric` was lowest, by what it had last been.
fn best(folder: &WorkFolder, metric: &str, steps: &[u64]) -> Result<Option<u64>, WorkError> {
    let path = folder.journal();
    let bytes = std::fs::read(&path).at("read", &path)?;
    let events = begat_ledger::journal::effective(begat_ledger::journal::decode(&bytes).events);
    let (mut last, mut best) = (None, None);
    for event in events {
        match event.body {
            begat_schemas::EventBody::Metrics { values, .. } => {
                last = values.get(metric).map(|value| value.0).or(last);
            }
            begat_schemas::EventBody::Checkpoint { step, .. } if steps.contains(&step) => {
                let better = |value: &f64| best.is_none_or(|(lowest, _)| *value < lowest);
                if let Some(value) = last.filter(better) {
                    best = Some((value, step));
                }
            }
            _ => {}
        }
    }
    Ok(best.map(|(_, step)| step))
}

fn check(path: &Path, name: &OutputName, artifact: ArtifactType) -> Result<(), WorkError> {
    let bad = |problem: String| WorkError::BadOutput {
        name: name.to_string(),
        artifact: artifact.to_string(),
        problem,
    };
    let mut files = 0;
    for entry in walkdir::WalkDir::new(path).into_iter().flatten() {
        if !entry.file_type().is_file() {
            continue;
        }
        files += 1;
        let extension = entry
            .path()
            .extension()
            .and_then(|extension| extension.to_str());
        match extension {
            Some("safetensors") => {
                check_safetensors(&DiskFs, entry.path()).map_err(|error| bad(error.to_string()))?;
            }
            Some("json") if artifact != ArtifactType::Files => {
                check_json(entry.path()).map_err(bad)?;
            }
            _ => {}
        }
    }
    if files == 0 {
        return Err(WorkError::NoOutput {
            name: name.to_string(),
        });
    }
    if artifact == ArtifactType::Report {
        check_report(path).map_err(bad)?;
    }
    Ok(())
}

fn check_json(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    serde_json::from_reader::<_, serde::de::IgnoredAny>(std::io::BufReader::new(file))
        .map(drop)
        .map_err(|error| format!("{}: {error}", file_name(path)))
}

fn check_report(folder: &Path) -> Result<(), String> {
    let path = folder.join(REPORT_METRICS);
    let text = std::fs::read(&path).map_err(|error| format!("{REPORT_METRICS}: {error}"))?;
    serde_json::from_slice::<Report>(&text)
        .map(drop)
        .map_err(|error| format!("{REPORT_METRICS}: {error}"))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
