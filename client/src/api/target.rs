//! From a name that a person typed to the one object it stands for.

use begat_schemas::api::{Candidate, CandidateKind, RunDetail};
use begat_schemas::{Digest, TreeDigest};

use super::error::ApiError;
use super::transport::Client;

/// The one object that a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What it is.
    pub kind: CandidateKind,
    /// Its full name.
    pub id: String,
    /// The digest it leads to.
    pub digest: Option<Digest>,
    /// What a person knows it by.
    pub label: Option<String>,
}

impl Client {
    /// The one object that `name` stands for; several are an error that lists them. `RECIPE/STAGE` is a ref from the
    /// stage's first success on; until then it stands for the stage's run in the recipe's newest launch.
    pub async fn target(&self, name: &str) -> Result<Target, ApiError> {
        let found = match self.resolve(name).await {
            Ok(resolution) => resolution.candidates,
            Err(error) if error.problem_kind() == Some("not-found") => {
                let stage = self.run_of_stage(name).await;
                return stage.ok_or(error);
            }
            Err(error) => return Err(error),
        };
        let mut found = without_bytes_of_others(found);
        match found.len() {
            1 => Ok(Target::from(found.remove(0))),
            _ => Err(ApiError::Ambiguous {
                name: name.to_owned(),
                candidates: found,
            }),
        }
    }

    /// What to ask for a run by: the id of the run that `name` stands for, or the name of a tree that the daemon knows
    /// the producer of.
    pub async fn run_name(&self, name: &str) -> Result<String, ApiError> {
        let target = self.target(name).await?;
        Ok(if target.is_run() {
            target.id
        } else {
            name.to_owned()
        })
    }

    async fn run_of_stage(&self, name: &str) -> Option<Target> {
        let (recipe, stage) = name.split_once('/')?;
        let launch = self.launch_view(recipe).await.ok()?;
        let stage = launch
            .stages
            .into_iter()
            .find(|known| known.stage.as_str() == stage)?;
        let run = stage.run?;
        Some(Target {
            kind: CandidateKind::Run,
            id: run.to_string(),
            digest: Some(run.digest()),
            label: Some(name.to_owned()),
        })
    }

    /// The tree that `name` stands for: a ref's, or a run's main output.
    pub async fn tree_of(&self, name: &str) -> Result<TreeDigest, ApiError> {
        let target = self.target(name).await?;
        match (target.kind, target.digest) {
            (CandidateKind::Tree | CandidateKind::Ref, Some(digest)) => Ok(digest.into()),
            (CandidateKind::Run | CandidateKind::Attempt, _) => {
                let run = self.run(&target.id).await?;
                main_output(&run).ok_or_else(|| ApiError::WrongKind {
                    name: name.to_owned(),
                    found: "run that has no output yet",
                    expected: "a tree, or a run that has succeeded",
                })
            }
            (kind, _) => Err(ApiError::WrongKind {
                name: name.to_owned(),
                found: kind_name(kind),
                expected: "a tree: a ref, a digest, or a run that has succeeded",
            }),
        }
    }
}

impl From<Candidate> for Target {
    fn from(candidate: Candidate) -> Self {
        Self {
            kind: candidate.kind,
            id: candidate.id,
            digest: candidate.digest,
            label: candidate.label,
        }
    }
}

impl Target {
    /// Whether it is a launch, or a recipe that stands for its newest one.
    pub fn is_launch(&self) -> bool {
        matches!(self.kind, CandidateKind::Launch | CandidateKind::Recipe)
    }

    /// Whether it is a run or one of its attempts.
    pub fn is_run(&self) -> bool {
        matches!(self.kind, CandidateKind::Run | CandidateKind::Attempt)
    }

    /// What it is, in a word.
    pub fn kind_name(&self) -> &'static str {
        kind_name(self.kind)
    }
}

/// A tree's digest is also that of its manifest, and a run's that of its derivation; nobody means the bytes.
fn without_bytes_of_others(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let of_others: Vec<Digest> = candidates
        .iter()
        .filter(|candidate| candidate.kind != CandidateKind::Blob)
        .filter_map(|candidate| candidate.digest)
        .collect();
    candidates
        .into_iter()
        .filter(|candidate| {
            candidate.kind != CandidateKind::Blob
                || candidate
                    .digest
                    .is_none_or(|digest| !of_others.contains(&digest))
        })
        .collect()
}

/// A run's main output: the first that its kind declares.
fn main_output(run: &RunDetail) -> Option<TreeDigest> {
    let params = run.derivation.stage_params().ok()?;
    let (main, _) = params.outputs().into_iter().next()?;
    run.view.outputs.get(&main).copied()
}

fn kind_name(kind: CandidateKind) -> &'static str {
    match kind {
        CandidateKind::Run => "run",
        CandidateKind::Attempt => "attempt",
        CandidateKind::Launch => "launch",
        CandidateKind::Recipe => "recipe",
        CandidateKind::Ref => "ref",
        CandidateKind::Tree => "tree",
        CandidateKind::Blob => "blob",
    }
}
