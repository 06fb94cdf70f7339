//! The work folder: where its parts lie, and the job.

use std::fs;
use std::path::{Path, PathBuf};

use begat_schemas::{CONTRACT, Job, layout};
use serde_json::Value;

use super::{At, StageError, StageResult};

/// The folder that a stage works in.
#[derive(Debug, Clone)]
pub struct WorkFolder {
    root: PathBuf,
}

impl WorkFolder {
    /// The folder at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where it lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads and checks the job.
    pub fn job(&self) -> StageResult<Job> {
        let path = self.root.join(layout::JOB);
        let text = fs::read_to_string(&path).at(&path)?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| StageError::work(&path, format!("not JSON: {error}")))?;
        let found = value.get("contract").and_then(Value::as_u64);
        match found {
            Some(found) if found == u64::from(CONTRACT) => {}
            Some(found) => return Err(StageError::Contract { path, found }),
            None => {
                return Err(StageError::work(
                    &path,
                    "`contract`: expected a number, found nothing",
                ));
            }
        }
        serde_json::from_value(value)
            .map_err(|error| StageError::work(&path, format!("not a job: {error}")))
    }

    /// The folder of an input.
    pub fn input(&self, name: &str) -> PathBuf {
        self.root.join(layout::INPUTS).join(name)
    }

    /// The folder of all outputs.
    pub fn outputs(&self) -> PathBuf {
        self.root.join(layout::OUTPUTS)
    }

    /// The folder of all checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.root.join(layout::CHECKPOINTS)
    }

    /// The journal.
    pub fn journal(&self) -> PathBuf {
        self.root.join(layout::JOURNAL)
    }

    /// A folder for files that are of use to this attempt only, made if need be.
    pub fn scratch(&self) -> StageResult<PathBuf> {
        let path = self.root.join("scratch");
        fs::create_dir_all(&path).at(&path)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(job: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("job.json"), job).unwrap();
        WorkFolder::new(folder.path())
            .job()
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_job_of_another_contract_is_refused_before_it_is_read() {
        assert!(
            message(r#"{"contract": 9, "surprise": 1}"#)
                .ends_with("job.json: contract 9, but this begat-stage keeps contract 1")
        );
        assert!(message("{}").contains("`contract`: expected a number"));
        assert!(message("{").contains("job.json: not JSON"));
        assert!(message(r#"{"contract": 1}"#).contains("missing field"));
    }
}
