//! Launches: stages that wait for their parents, for a run, or for nothing any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use begat_ledger::Record;
use begat_schemas::api::LaunchState;
use begat_schemas::{
    AttemptId, Derivation, LaunchId, Recipe, RecipeName, RefName, RunId, RunState, Stage, StageName,
};

use super::Scheduler;
use super::derive::{derive, main_output, needs, run_id};
use super::event::{Action, JobId, Known, Outputs, Reason, Task};
use super::jobs::{Job, JobState};

/// A launch that goes on.
#[derive(Debug)]
pub(super) struct Launch {
    recipe: Arc<Recipe>,
    rerun: BTreeSet<StageName>,
    resume: bool,
    stages: BTreeMap<StageName, Progress>,
}

/// How a stage stands.
#[derive(Debug, Clone, PartialEq)]
enum Progress {
    /// A parent's outputs are not known.
    Waiting,
    /// Its run is known, but not yet what is known of it.
    Asked(RunId, Arc<Derivation>),
    /// A job works on it.
    Working(JobId),
    /// Its outputs are there.
    Done(Outputs),
    /// Its run failed or was cancelled.
    Lost(RunState),
    /// A stage it needs will not be done.
    Blocked,
}

/// What is to become of a stage whose run is known.
#[derive(Debug, PartialEq)]
enum Decision {
    Done { found: bool },
    Lost(RunState),
    Join(JobId),
    New { resume: Option<AttemptId> },
}

impl Launch {
    pub(super) fn new(recipe: Arc<Recipe>, rerun: BTreeSet<StageName>, resume: bool) -> Self {
        let waiting = |stage: &Stage| (stage.name.clone(), Progress::Waiting);
        Self {
            stages: recipe.stages().iter().map(waiting).collect(),
            recipe,
            rerun,
            resume,
        }
    }

    fn outputs(&self, stage: &StageName) -> Option<&Outputs> {
        match self.stages.get(stage) {
            Some(Progress::Done(outputs)) => Some(outputs),
            _ => None,
        }
    }

    /// Asks for every stage whose parents are done, and blocks those whose parents will never be.
    fn advance(&mut self) -> Vec<(StageName, RunId)> {
        let mut asked = Vec::new();
        let recipe = Arc::clone(&self.recipe);
        for stage in recipe.stages() {
            if self.stages.get(&stage.name) != Some(&Progress::Waiting) {
                continue;
            }
            let lost = |name: &StageName| {
                matches!(
                    self.stages.get(name),
                    Some(Progress::Lost(_) | Progress::Blocked)
                )
            };
            let next = if needs(stage).iter().any(lost) {
                Progress::Blocked
            } else if let Ok(derivation) = derive(&recipe, stage, |name| self.outputs(name)) {
                let run = run_id(&derivation);
                asked.push((stage.name.clone(), run));
                Progress::Asked(run, Arc::new(derivation))
            } else {
                continue;
            };
            self.stages.insert(stage.name.clone(), next);
        }
        asked
    }

    /// How the launch ended, if it did.
    fn end(&self) -> Option<LaunchState> {
        let any = |wanted: fn(&Progress) -> bool| self.stages.values().any(wanted);
        if any(|stage| {
            matches!(
                stage,
                Progress::Waiting | Progress::Asked(..) | Progress::Working(_)
            )
        }) {
            None
        } else if any(|stage| *stage == Progress::Lost(RunState::Failed)) {
            Some(LaunchState::Failed)
        } else if any(|stage| matches!(stage, Progress::Lost(_))) {
            Some(LaunchState::Cancelled)
        } else {
            Some(LaunchState::Succeeded)
        }
    }
}

/// `again`: the result is wanted anew. `resume`: what failed goes on. `live`: the job that works on the run.
fn decide(known: &Known, again: bool, resume: bool, live: Option<JobId>) -> Decision {
    let go_on = || match live {
        Some(job) => Decision::Join(job),
        None => Decision::New {
            resume: known.resumable.filter(|_| resume),
        },
    };
    let (state, wanted) = match known.recorded {
        // What the launch waits for is a certain attempt, which may not have begun.
        Some(Some((_, state))) => (state, true),
        Some(None) => (known.state, true),
        None => (known.state, !again),
    };
    match state {
        Some(RunState::Succeeded) if wanted => Decision::Done {
            found: known.recorded.is_none(),
        },
        // A failure that this launch has not seen is no reason not to try.
        Some(state @ (RunState::Failed | RunState::Cancelled))
            if known.recorded.is_some() && !resume && live.is_none() =>
        {
            Decision::Lost(state)
        }
        _ => go_on(),
    }
}

impl Scheduler {
    /// The recipe of a launch that goes on.
    pub(super) fn recipe_of(&self, id: LaunchId) -> Option<RecipeName> {
        let launch = self.launches.get(&id)?;
        Some(launch.recipe.name().clone())
    }

    pub(super) fn launched(&mut self, id: LaunchId, launch: Launch) {
        self.launches.entry(id).or_insert(launch);
        self.advance(id);
    }

    /// Goes on with a launch after one of its stages changed.
    fn advance(&mut self, id: LaunchId) {
        let Some(launch) = self.launches.get_mut(&id) else {
            return;
        };
        for (stage, run) in launch.advance() {
            self.actions.push(Action::Resolve {
                launch: id,
                stage,
                run,
            });
        }
        if let Some(state) = launch.end() {
            self.launches.remove(&id);
            self.records.push(Record::LaunchState { launch: id, state });
        }
    }

    fn set(&mut self, launch: LaunchId, stage: &StageName, progress: Progress) {
        if let Some(launch) = self.launches.get_mut(&launch) {
            launch.stages.insert(stage.clone(), progress);
        }
    }

    pub(super) fn resolved(&mut self, id: LaunchId, name: &StageName, known: &Known) {
        let Some(launch) = self.launches.get(&id) else {
            return;
        };
        let (Some(Progress::Asked(run, derivation)), Some(stage)) =
            (launch.stages.get(name), launch.recipe.stage(name))
        else {
            return;
        };
        let (run, again) = (*run, launch.rerun.contains(name));
        let task = Task {
            run,
            derivation: Arc::clone(derivation),
            execution: stage.execution.clone(),
            recipe: launch.recipe.name().clone(),
            stage: name.clone(),
            reason: Reason::Launch {
                rerun: known.state == Some(RunState::Succeeded),
            },
        };
        match decide(known, again, launch.resume, self.live_job(run)) {
            Decision::Done { found } => self.found(id, name, run, known, found),
            Decision::Lost(state) => self.set(id, name, Progress::Lost(state)),
            Decision::Join(job) => self.join(id, name, job, known),
            Decision::New { resume } => self.new_job(id, name, task, known, resume),
        }
        self.advance(id);
    }

    fn found(&mut self, id: LaunchId, name: &StageName, run: RunId, known: &Known, found: bool) {
        if found {
            self.records.push(Record::StageRun {
                launch: id,
                stage: name.clone(),
                run,
                found: true,
                attempt: None,
            });
        }
        self.done(id, name, known.outputs.clone(), found);
    }

    /// A stage's outputs are there; its ref follows the main one.
    fn done(&mut self, id: LaunchId, name: &StageName, outputs: Outputs, found: bool) {
        if let Some(launch) = self.launches.get(&id)
            && let Some(stage) = launch.recipe.stage(name)
            && let Some(tree) = outputs.get(&main_output(stage))
        {
            let how = if found { "found" } else { "made" };
            self.records.push(Record::RefMoved {
                name: RefName::of_stage(launch.recipe.name(), name),
                tree: Some(*tree),
                reason: format!("{how} by launch {id}"),
            });
        }
        self.set(id, name, Progress::Done(outputs));
    }

    fn join(&mut self, id: LaunchId, name: &StageName, job: JobId, known: &Known) {
        self.set(id, name, Progress::Working(job));
        let Some(entry) = self.jobs.get_mut(&job) else {
            return;
        };
        entry.waiters.insert((id, name.clone()));
        if known.recorded.is_none() {
            self.records.push(Record::StageRun {
                launch: id,
                stage: name.clone(),
                run: entry.task.run,
                found: false,
                attempt: entry.promised(),
            });
        }
    }

    fn new_job(
        &mut self,
        id: LaunchId,
        name: &StageName,
        task: Task,
        known: &Known,
        resume: Option<AttemptId>,
    ) {
        let run = task.run;
        match known.state {
            None => self.records.push(Record::RunDeclared {
                run,
                derivation: (*task.derivation).clone(),
            }),
            Some(RunState::Failed | RunState::Cancelled) => self.records.push(Record::RunState {
                run,
                state: RunState::Queued,
                reason: None,
            }),
            Some(_) => {}
        }
        let next = self.next_number(run, known.attempts);
        let mut job = Job::new(task, resume.map_or(next, |attempt| attempt.number));
        job.attempt = resume;
        job.official = (known.state == Some(RunState::Succeeded)).then(|| known.outputs.clone());
        let job = self.add(job);
        // Whatever was recorded before was of an attempt that is over, unless it waits in this very queue.
        let waits_already = match known.recorded {
            Some(Some((_, state))) => state.is_none_or(|state| !state.is_final()),
            Some(None) => true,
            None => false,
        };
        let fresh = Known {
            recorded: None,
            ..known.clone()
        };
        self.join(id, name, job, if waits_already { known } else { &fresh });
    }

    /// What the end of a job means for the launches that wait for it.
    pub(super) fn settle(&mut self, job: &Job, state: RunState, outputs: &Outputs) {
        for (launch, stage) in &job.waiters {
            match state {
                RunState::Succeeded => self.done(*launch, stage, outputs.clone(), false),
                state => self.set(*launch, stage, Progress::Lost(state)),
            }
        }
        for launch in job
            .waiters
            .iter()
            .map(|(launch, _)| *launch)
            .collect::<BTreeSet<_>>()
        {
            self.advance(launch);
        }
    }

    pub(super) fn cancel_launch(&mut self, id: LaunchId) {
        let Some(launch) = self.launches.remove(&id) else {
            return;
        };
        self.records.push(Record::LaunchState {
            launch: id,
            state: LaunchState::Cancelled,
        });
        for (stage, progress) in launch.stages {
            let Progress::Working(job) = progress else {
                continue;
            };
            let unused = self.jobs.get_mut(&job).is_some_and(|entry| {
                entry.waiters.remove(&(id, stage));
                entry.waiters.is_empty()
            });
            if unused {
                self.cancel_job(job);
            }
        }
    }

    pub(super) fn cancel_run(&mut self, run: RunId) {
        let jobs: Vec<JobId> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.task.run == run && job.state != JobState::Sealing)
            .map(|(id, _)| *id)
            .collect();
        jobs.into_iter().for_each(|job| self.cancel_job(job));
    }
}
