//! What a name that a person typed stands for.

use std::collections::BTreeSet;
use std::str::FromStr;

use begat_schemas::api::{Candidate, CandidateKind, Resolution};
use begat_schemas::{
    AttemptId, Digest, DigestPrefix, LaunchId, OutputName, RecipeName, RefName, RunId, TreeDigest,
};
use begat_store::ObjectKind;

use super::{Engine, EngineError, Shared};

/// The most objects that an ambiguous prefix lists.
const CANDIDATES_MAX: usize = 64;
/// The fewest digits that may stand for a launch.
const LAUNCH_DIGITS_MIN: usize = 8;

impl Engine {
    /// What `name` may mean; an error if nothing.
    pub async fn resolve(&self, name: &str) -> Result<Resolution, EngineError> {
        let name = name.to_owned();
        self.run_blocking(move |shared| {
            Ok(Resolution {
                candidates: shared.candidates(&name)?,
                query: name,
            })
        })
        .await
    }

    /// The run that `name` means.
    pub async fn run_of(&self, name: &str) -> Result<RunId, EngineError> {
        let name = name.to_owned();
        self.run_blocking(move |shared| shared.run_named(&name))
            .await
    }

    /// The tree that `name` means: of a run, its main output.
    pub async fn tree_of(&self, name: &str) -> Result<TreeDigest, EngineError> {
        let name = name.to_owned();
        self.run_blocking(move |shared| shared.tree_named(&name))
            .await
    }
}

fn candidate(kind: CandidateKind, id: impl ToString, digest: Option<Digest>) -> Candidate {
    Candidate {
        kind,
        id: id.to_string(),
        digest,
        label: None,
    }
}

impl Shared {
    /// Everything that `name` may mean.
    pub(super) fn candidates(&self, name: &str) -> Result<Vec<Candidate>, EngineError> {
        let mut found = self.named(name)?;
        if found.is_empty() {
            found = self.compound(name)?;
        }
        if found.is_empty() {
            found = self.by_digits(name)?;
        }
        if found.is_empty() {
            return Err(EngineError::NotFound {
                name: name.to_owned(),
                what: "ref, recipe, launch, run or digest",
                near: self.near(name)?,
            });
        }
        Ok(found)
    }

    /// Refs and recipes: names that people gave.
    fn named(&self, name: &str) -> Result<Vec<Candidate>, EngineError> {
        let mut found = Vec::new();
        if let Ok(name) = RefName::from_str(name)
            && let Some(known) = self.ledger.get_ref(&name)?
        {
            found.push(candidate(
                CandidateKind::Ref,
                &name,
                Some(known.tree.digest()),
            ));
        }
        if let Ok(name) = RecipeName::from_str(name)
            && !self.ledger.launches(Some(&name), 1)?.is_empty()
        {
            found.push(candidate(CandidateKind::Recipe, &name, None));
        }
        Ok(found)
    }

    /// `RUN.NUMBER` and `RUN@STEP`.
    fn compound(&self, name: &str) -> Result<Vec<Candidate>, EngineError> {
        if let Some((run, step)) = name.rsplit_once('@')
            && let Ok(step) = step.parse()
        {
            let run = self.run_named(run)?;
            return self.checkpoint(name, run, step);
        }
        let Some((run, number)) = name.rsplit_once('.') else {
            return Ok(Vec::new());
        };
        let (Some(prefix), Ok(number)) = (DigestPrefix::new(run), number.parse()) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for run in self.ledger.runs_by_prefix(&prefix, CANDIDATES_MAX)? {
            let attempt = AttemptId { run, number };
            if self.ledger.attempt(attempt)?.is_some() {
                found.push(candidate(
                    CandidateKind::Attempt,
                    attempt,
                    Some(run.digest()),
                ));
            }
        }
        Ok(found)
    }

    fn checkpoint(&self, name: &str, run: RunId, step: u64) -> Result<Vec<Candidate>, EngineError> {
        let attempts = self.ledger.attempts(run)?;
        let kept = attempts.iter().flat_map(|entry| &entry.checkpoints);
        let trees: BTreeSet<TreeDigest> = kept
            .filter(|(kept, _)| *kept == step)
            .map(|(_, tree)| *tree)
            .collect();
        let labelled = trees.into_iter().map(|tree| Candidate {
            label: Some(name.to_owned()),
            ..candidate(CandidateKind::Tree, tree, Some(tree.digest()))
        });
        Ok(labelled.collect())
    }

    /// Digests and launches, by their first digits.
    fn by_digits(&self, name: &str) -> Result<Vec<Candidate>, EngineError> {
        let mut found = Vec::new();
        if let Some(prefix) = DigestPrefix::new(name) {
            let mut runs = BTreeSet::new();
            for run in self.ledger.runs_by_prefix(&prefix, CANDIDATES_MAX)? {
                runs.insert(run.digest());
                found.push(Candidate {
                    label: self.ledger.label(run)?,
                    ..candidate(CandidateKind::Run, run, Some(run.digest()))
                });
            }
            let objects = self.store.find(&prefix)?;
            // A run's derivation is a blob of the run's own digest.
            for (digest, kind) in objects
                .into_iter()
                .filter(|(digest, _)| !runs.contains(digest))
            {
                found.push(self.object(digest, kind)?);
            }
        }
        if name.len() >= LAUNCH_DIGITS_MIN {
            for launch in self.ledger.launches_by_prefix(name, CANDIDATES_MAX)? {
                let entry = self.ledger.launch(launch)?;
                found.push(Candidate {
                    label: entry.map(|entry| entry.recipe.to_string()),
                    ..candidate(CandidateKind::Launch, launch, None)
                });
            }
        }
        Ok(found)
    }

    fn object(&self, digest: Digest, kind: ObjectKind) -> Result<Candidate, EngineError> {
        let (kind, label) = match kind {
            ObjectKind::Tree => {
                let refs = self.ledger.refs_to(TreeDigest::new(digest))?;
                (CandidateKind::Tree, refs.first().map(RefName::to_string))
            }
            ObjectKind::Blob => (CandidateKind::Blob, None),
        };
        Ok(Candidate {
            label,
            ..candidate(kind, digest, Some(digest))
        })
    }

    /// The ref or recipe that was probably meant.
    fn near(&self, name: &str) -> Result<Option<String>, EngineError> {
        let refs = self
            .ledger
            .refs()?
            .into_iter()
            .map(|known| known.name.to_string());
        let recipes = self
            .ledger
            .recipes()?
            .into_iter()
            .map(|name| name.to_string());
        Ok(refs
            .chain(recipes)
            .map(|known| (strsim::jaro_winkler(name, &known), known))
            .filter(|(likeness, _)| *likeness > 0.85)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, known)| known))
    }

    /// The one candidate of the kinds that matter, the kinds that are meant first before the others.
    fn one_of(
        &self,
        name: &str,
        what: &'static str,
        ranks: &[&[CandidateKind]],
    ) -> Result<Candidate, EngineError> {
        let all = self.candidates(name)?;
        for rank in ranks {
            let mut fitting: Vec<Candidate> = all
                .iter()
                .filter(|one| rank.contains(&one.kind))
                .cloned()
                .collect();
            match fitting.len() {
                0 => {}
                1 => return Ok(fitting.swap_remove(0)),
                _ => {
                    return Err(EngineError::Ambiguous {
                        name: name.to_owned(),
                        candidates: fitting,
                    });
                }
            }
        }
        Err(EngineError::not_found(name, what))
    }

    /// The run that `name` means: a run, an attempt's run, or the only run that made a tree.
    pub(super) fn run_named(&self, name: &str) -> Result<RunId, EngineError> {
        use CandidateKind::{Attempt, Ref, Run, Tree};
        let one = self.one_of(name, "run", &[&[Run, Attempt], &[Ref], &[Tree]])?;
        let digest = one
            .digest
            .ok_or_else(|| EngineError::not_found(name, "run"))?;
        match one.kind {
            Run | Attempt => Ok(RunId::new(digest)),
            _ => self.producer(name, TreeDigest::new(digest)),
        }
    }

    /// The attempt that `name` means, if it names one and not just a run.
    pub(super) fn attempt_number(&self, name: &str) -> Option<u32> {
        let number = name.rsplit_once('.')?.1.parse().ok()?;
        let all = self.candidates(name).ok()?;
        let attempt = all.iter().any(|one| one.kind == CandidateKind::Attempt);
        attempt.then_some(number)
    }

    fn producer(&self, name: &str, tree: TreeDigest) -> Result<RunId, EngineError> {
        let runs: BTreeSet<RunId> = self
            .ledger
            .producers(tree)?
            .into_iter()
            .map(|producer| producer.run)
            .collect();
        let mut runs: Vec<RunId> = runs.into_iter().collect();
        match runs.len() {
            0 => Err(EngineError::NoProducer {
                tree,
                additions: self.additions(tree)?,
            }),
            1 => Ok(runs.swap_remove(0)),
            _ => {
                let mut candidates = Vec::new();
                for run in runs {
                    candidates.push(Candidate {
                        label: self.ledger.label(run)?,
                        ..candidate(CandidateKind::Run, run, Some(run.digest()))
                    });
                }
                Err(EngineError::Ambiguous {
                    name: name.to_owned(),
                    candidates,
                })
            }
        }
    }

    fn additions(&self, tree: TreeDigest) -> Result<Vec<String>, EngineError> {
        let additions = self.ledger.additions(tree)?;
        let words = additions.into_iter().map(|added| {
            let name = added
                .name
                .map(|name| format!(" as {name}"))
                .unwrap_or_default();
            format!("it was added on {} by {}{name}", added.time, added.by)
        });
        Ok(words.collect())
    }

    /// The tree that `name` means: of a run, its main output.
    pub(super) fn tree_named(&self, name: &str) -> Result<TreeDigest, EngineError> {
        use CandidateKind::{Attempt, Ref, Run, Tree};
        let one = self.one_of(name, "tree", &[&[Ref], &[Tree], &[Run, Attempt]])?;
        let digest = one
            .digest
            .ok_or_else(|| EngineError::not_found(name, "tree"))?;
        match one.kind {
            Run => self.main_output(RunId::new(digest), None),
            Attempt => self.main_output(RunId::new(digest), self.attempt_number(name)),
            _ => Ok(TreeDigest::new(digest)),
        }
    }

    fn main_output(&self, run: RunId, number: Option<u32>) -> Result<TreeDigest, EngineError> {
        let entry = self.ledger.run(run)?;
        let entry = entry.ok_or_else(|| EngineError::not_found(&run.to_string(), "run"))?;
        let params = entry.derivation.stage_params();
        let mut names: Vec<OutputName> = params
            .map(|params| params.outputs())
            .unwrap_or_default()
            .into_iter()
            .map(|one| one.0)
            .collect();
        let outputs = match number {
            None => entry.outputs,
            Some(number) => {
                let attempt = self.ledger.attempt(AttemptId { run, number })?;
                attempt
                    .and_then(|attempt| attempt.end)
                    .map(|end| end.outputs)
                    .unwrap_or_default()
            }
        };
        names.truncate(1);
        let tree = names.first().and_then(|name| outputs.get(name)).copied();
        tree.ok_or_else(|| EngineError::Conflict {
            problem: format!(
                "run {} has no output yet: it is {}",
                run.short(),
                entry.state
            ),
        })
    }

    /// The launch that `name` means: a launch, or a recipe's newest.
    pub(super) fn launch_named(&self, name: &str) -> Result<LaunchId, EngineError> {
        use CandidateKind::{Launch, Recipe};
        let one = self.one_of(name, "launch or recipe", &[&[Recipe], &[Launch]])?;
        let newest = match one.kind {
            Recipe => {
                let recipe = RecipeName::from_str(&one.id).ok();
                self.ledger.launches(recipe.as_ref(), 1)?.into_iter().next()
            }
            _ => one.id.parse().ok(),
        };
        newest.ok_or_else(|| EngineError::not_found(name, "launch"))
    }
}
