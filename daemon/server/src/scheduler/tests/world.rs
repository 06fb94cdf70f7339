//! A world around the scheduler: a ledger, processes and time, as far as it can see them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use begat_ledger::{AttemptEnd, Record, StateEvent, transition};
use begat_schemas::api::LaunchState;

use begat_schemas::{
    AttemptId, Derivation, Device, Execution, InputName, InputRef, LaunchId, OutputName, Recipe,
    RecipeName, RunId, RunState, Stage, StageKind, StageName, StageParams, Time, TreeDigest,
};
use serde_json::json;

use crate::config;
use crate::scheduler::*;

pub(super) fn name(text: &str) -> StageName {
    StageName::new(text).unwrap()
}

/// A stage of any program; `needs` are `@stage`s or words that stand for datasets.
pub(super) fn stage(stage: &str, needs: &[&str], device: &str) -> Stage {
    let params = json!({"argv": [stage], "outputs": {"out": "files"}});
    let input = |need: &&str| {
        let from = match need.strip_prefix('@') {
            Some(_) => InputRef::from_str(need).unwrap(),
            None => InputRef::Name(TreeDigest::of(need.as_bytes()).to_string()),
        };
        (InputName::new(need.trim_start_matches('@')).unwrap(), from)
    };
    Stage {
        name: name(stage),
        kind: StageKind::Command,
        params: StageParams::from_value(StageKind::Command, &params).unwrap(),
        inputs: needs.iter().map(input).collect(),
        seed: 1,
        execution: Execution {
            device: Device::new(device).unwrap(),
            ..Execution::default()
        },
    }
}

pub(super) fn recipe(recipe: &str, stages: Vec<Stage>) -> Arc<Recipe> {
    Arc::new(Recipe::new(RecipeName::new(recipe).unwrap(), 1, stages).unwrap())
}

/// tokenizer → pretrain → sft, and evaluate beside sft.
pub(super) fn chain(title: &str) -> Arc<Recipe> {
    recipe(
        title,
        vec![
            stage("tokenizer", &["corpus"], "cpu"),
            stage("pretrain", &["corpus", "@tokenizer"], "cpu"),
            stage("sft", &["@pretrain", "data"], "cpu"),
            stage("evaluate", &["@pretrain"], "cpu"),
        ],
    )
}

#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) derivation: Option<Arc<Derivation>>,
    pub(super) state: Option<RunState>,
    pub(super) outputs: Outputs,
    pub(super) attempts: BTreeMap<u32, (RunState, u32, Option<Task>)>,
}

#[derive(Debug)]
pub(super) struct LaunchRecord {
    pub(super) recipe: Arc<Recipe>,
    pub(super) rerun: BTreeSet<StageName>,
    pub(super) state: LaunchState,
    pub(super) stages: BTreeMap<StageName, (RunId, bool, Option<u32>)>,
}

/// How a stage's process is to end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fate {
    Well,
    Badly,
    Killed,
    /// The daemon died before it let the stage begin.
    NeverBegan,
}

pub(super) struct World {
    pub(super) scheduler: Scheduler,
    pub(super) slots: config::Slots,
    pub(super) now: i64,
    pub(super) launches: BTreeMap<LaunchId, LaunchRecord>,
    pub(super) runs: BTreeMap<RunId, Run>,
    pub(super) refs: BTreeMap<String, TreeDigest>,
    /// Processes that run, by attempt: the daemon may forget them, they go on.
    pub(super) processes: BTreeMap<AttemptId, (Option<JobId>, Task)>,
    /// Attempts whose last process ended before it was let go.
    pub(super) never_began: BTreeSet<AttemptId>,
    pub(super) pending: VecDeque<Event>,
    /// What was done, for the tests.
    pub(super) log: Vec<String>,
    /// After how many more actions the daemon dies.
    pub(super) dies_after: Option<usize>,
    pub(super) dead: bool,
}

impl World {
    pub(super) fn new(cpu: u32) -> Self {
        let slots = config::Slots { cpu, cuda: vec![0] };
        Self {
            scheduler: Scheduler::new(Slots::new(&slots), vec![Duration::from_secs(1); 3]),
            slots,
            now: 0,
            launches: BTreeMap::new(),
            runs: BTreeMap::new(),
            refs: BTreeMap::new(),
            processes: BTreeMap::new(),
            never_began: BTreeSet::new(),
            pending: VecDeque::new(),
            log: Vec::new(),
            dies_after: None,
            dead: false,
        }
    }

    pub(super) fn launch(&mut self, recipe: &Arc<Recipe>) -> LaunchId {
        self.launch_with(recipe, &[])
    }

    pub(super) fn launch_with(&mut self, recipe: &Arc<Recipe>, rerun: &[&str]) -> LaunchId {
        let launch = LaunchId::now();
        let rerun: BTreeSet<StageName> = rerun.iter().map(|stage| name(stage)).collect();
        let record = LaunchRecord {
            recipe: Arc::clone(recipe),
            rerun: rerun.clone(),
            state: LaunchState::Running,
            stages: BTreeMap::new(),
        };
        self.launches.insert(launch, record);
        self.tell(Event::Launched {
            launch,
            recipe: Arc::clone(recipe),
            rerun,
            resume: false,
        });
        launch
    }

    pub(super) fn resume(&mut self, launch: LaunchId) {
        let record = self.launches.get_mut(&launch).unwrap();
        record.state = LaunchState::Running;
        let event = Event::Launched {
            launch,
            recipe: Arc::clone(&record.recipe),
            rerun: record.rerun.clone(),
            resume: true,
        };
        self.tell(event);
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.pending.push_back(event);
        while let Some(event) = self.pending.pop_front() {
            for action in self.scheduler.on(event, Time::from_milliseconds(self.now)) {
                if self.dead {
                    return;
                }
                self.perform(action);
                if let Some(left) = &mut self.dies_after {
                    self.dead = *left == 0;
                    *left = left.saturating_sub(1);
                }
                if self.dead {
                    self.pending.clear();
                    return;
                }
            }
        }
    }

    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::Record(records) => records.into_iter().for_each(|record| self.fold(record)),
            Action::Resolve { launch, stage, run } => {
                let known = self.known(launch, &stage, run);
                self.pending.push_back(Event::Resolved {
                    launch,
                    stage,
                    known,
                });
            }
            Action::Start(start) => self.start(*start),
            Action::Watch { job, attempt, task } => match self.processes.get_mut(&attempt) {
                Some((known, _)) => *known = Some(job),
                None if self.never_began.contains(&attempt) => {
                    self.end_with(job, &task, Fate::NeverBegan);
                }
                None => self.end_with(job, &task, Fate::Killed),
            },
            Action::Stop { attempt } => {
                self.log.push(format!("stop {}", self.title(attempt)));
                let (job, _) = self.processes.remove(&attempt).unwrap();
                let verdict = Verdict::Interrupted {
                    reason: "asked to".to_owned(),
                };
                self.pending.push_back(Event::Ended {
                    job: job.unwrap(),
                    verdict,
                });
            }
            Action::Seal {
                job, task, seal, ..
            } => {
                let end = Box::new(end(&task, seal));
                self.pending.push_back(Event::Sealed {
                    job,
                    end,
                    checkpoints: Vec::new(),
                });
            }
            Action::Clean { .. } => {}
            Action::Compare { attempt, .. } => {
                self.log.push(format!("compare {}", attempt.is_some()));
            }
        }
    }

    pub(super) fn start(&mut self, start: Start) {
        let verb = if start.resume { "resume" } else { "start" };
        let run = self.runs.get_mut(&start.attempt.run).unwrap();
        let number = start.attempt.number;
        if start.resume {
            let attempt = run.attempts.get_mut(&number).unwrap();
            if attempt.0 != RunState::Running {
                attempt.0 = transition(attempt.0, StateEvent::Start).unwrap();
                attempt.1 += 1;
            }
        } else {
            assert_eq!(
                number as usize,
                run.attempts.len() + 1,
                "attempts have no gaps"
            );
            let entry = (RunState::Running, 0, Some(start.task.clone()));
            run.attempts.insert(number, entry);
        }
        if !matches!(run.state, Some(RunState::Succeeded | RunState::Running)) {
            let state = transition(run.state.unwrap(), StateEvent::Start);
            run.state = Some(state.unwrap());
        }
        self.log
            .push(format!("{verb} {}.{number}", start.task.stage));
        let other = self
            .processes
            .keys()
            .find(|other| other.run == start.attempt.run);
        assert_eq!(other, None, "a run has one process at a time");
        let process = (Some(start.job), start.task);
        assert!(self.processes.insert(start.attempt, process).is_none());
        self.pending.push_back(Event::Started { job: start.job });
    }

    /// Ends the process of `stage`.
    #[track_caller]
    pub(super) fn end(&mut self, stage: &str, fate: Fate) {
        let found = self
            .processes
            .iter()
            .find(|(_, (_, task))| task.stage == name(stage));
        let attempt = *found.unwrap_or_else(|| panic!("{stage} does not run")).0;
        let (job, task) = self.processes.remove(&attempt).unwrap();
        if fate == Fate::NeverBegan {
            self.never_began.insert(attempt);
        } else {
            self.never_began.remove(&attempt);
        }
        self.end_with(job.unwrap(), &task, fate);
        self.tell(Event::Tick);
    }

    pub(super) fn end_with(&mut self, job: JobId, _: &Task, fate: Fate) {
        let reason = "so".to_owned();
        let verdict = match fate {
            Fate::Well => Verdict::Succeeded,
            Fate::Badly => Verdict::Failed { reason },
            Fate::Killed => Verdict::Interrupted { reason },
            Fate::NeverBegan => Verdict::NeverBegan,
        };
        self.pending.push_back(Event::Ended { job, verdict });
    }

    pub(super) fn pass(&mut self, milliseconds: i64) {
        self.now += milliseconds;
        self.tell(Event::Tick);
    }

    /// Ends every process well until nothing runs.
    pub(super) fn finish(&mut self) {
        for _ in 0..100 {
            let running = self
                .processes
                .values()
                .next()
                .map(|(_, task)| task.stage.to_string());
            match running {
                Some(stage) => self.end(&stage, Fate::Well),
                None if self.scheduler.next_wake().is_some() => self.pass(1000),
                None => return,
            }
            if self.dead {
                return;
            }
        }
        panic!("it does not come to an end: {:?}", self.log);
    }

    /// A new daemon: all it knows is what was recorded, and which processes run.
    pub(super) fn restart(&mut self) {
        self.dead = false;
        self.dies_after = None;
        self.pending.clear();
        let slots = Slots::new(&self.slots);
        self.scheduler = Scheduler::new(slots, vec![Duration::from_secs(1); 3]);
        let mut events = Vec::new();
        for (id, run) in &self.runs {
            let official = (run.state == Some(RunState::Succeeded)).then(|| run.outputs.clone());
            for (number, (state, resumes, task)) in &run.attempts {
                if !state.is_final() {
                    events.push(Event::Restored(Box::new(Restored {
                        task: task.clone().unwrap(),
                        attempt: AttemptId {
                            run: *id,
                            number: *number,
                        },
                        state: *state,
                        resumes: *resumes,
                        official: official.clone(),
                    })));
                }
            }
        }
        for (launch, record) in &self.launches {
            if record.state == LaunchState::Running {
                events.push(Event::Launched {
                    launch: *launch,
                    recipe: Arc::clone(&record.recipe),
                    rerun: record.rerun.clone(),
                    resume: false,
                });
            }
        }
        events.into_iter().for_each(|event| self.tell(event));
    }

    pub(super) fn fold(&mut self, record: Record) {
        match record {
            Record::LaunchState { launch, state } => {
                self.launches.get_mut(&launch).unwrap().state = state;
            }
            Record::RunDeclared { run, derivation } => {
                let run = self.runs.entry(run).or_default();
                assert!(run.derivation.replace(Arc::new(derivation)).is_none());
                run.state = Some(RunState::Queued);
            }
            Record::RunState { run, state, .. } => {
                let run = self.runs.get_mut(&run).unwrap();
                let event = StateEvent::leading_to(state);
                run.state = Some(transition(run.state.unwrap(), event).unwrap());
            }
            Record::StageRun {
                launch,
                stage,
                run,
                found,
                attempt,
            } => {
                let stages = &mut self.launches.get_mut(&launch).unwrap().stages;
                stages.insert(stage, (run, found, attempt));
            }
            Record::AttemptState { attempt, state, .. } => self.step(attempt, state, None),
            Record::AttemptEnded { attempt, end } => self.step(attempt, end.state, Some(&end)),
            Record::RefMoved { name, tree, .. } => {
                self.refs.insert(name.to_string(), tree.unwrap());
            }
            other => panic!("not expected: {other:?}"),
        }
    }

    /// The ledger's own rules: a transition that is not allowed fails the test.
    pub(super) fn step(&mut self, attempt: AttemptId, state: RunState, end: Option<&AttemptEnd>) {
        let run = self.runs.get_mut(&attempt.run).unwrap();
        let entry = run.attempts.get_mut(&attempt.number).unwrap();
        entry.0 = transition(entry.0, StateEvent::leading_to(state)).unwrap();
        if run.state != Some(RunState::Succeeded) {
            run.state = Some(state);
            if let Some(end) = end {
                run.outputs = end.outputs.clone();
            }
        }
    }

    pub(super) fn known(&self, launch: LaunchId, stage: &StageName, run: RunId) -> Known {
        let recorded = self.launches[&launch].stages.get(stage);
        let Some(entry) = self.runs.get(&run) else {
            return Known::default();
        };
        let newest = entry.attempts.last_key_value();
        let over = |state: RunState| matches!(state, RunState::Failed | RunState::Cancelled);
        Known {
            state: entry.state,
            outputs: entry.outputs.clone(),
            attempts: entry.attempts.len() as u32,
            recorded: recorded.map(|(_, _, attempt)| {
                attempt.map(|number| (number, entry.attempts.get(&number).map(|one| one.0)))
            }),
            resumable: newest
                .filter(|(_, attempt)| over(attempt.0))
                .map(|(number, _)| AttemptId {
                    run,
                    number: *number,
                }),
        }
    }

    pub(super) fn title(&self, attempt: AttemptId) -> String {
        let task = &self.processes[&attempt].1;
        format!("{}.{}", task.stage, attempt.number)
    }

    pub(super) fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    pub(super) fn state(&self, launch: LaunchId) -> LaunchState {
        self.launches[&launch].state
    }

    /// stage → (found, attempts of its run)
    pub(super) fn summary(&self, launch: LaunchId) -> Vec<(String, bool, usize)> {
        let stages = self.launches[&launch].stages.iter();
        stages
            .map(|(stage, (run, found, _))| {
                (stage.to_string(), *found, self.runs[run].attempts.len())
            })
            .collect()
    }
}

pub(super) fn end(task: &Task, seal: SealAs) -> AttemptEnd {
    let out = OutputName::new("out").unwrap();
    let made = TreeDigest::of(task.run.to_string().as_bytes());
    let (state, outputs, reason) = match seal {
        SealAs::Success => (RunState::Succeeded, BTreeMap::from([(out, made)]), None),
        SealAs::Failure(reason) => (RunState::Failed, BTreeMap::new(), Some(reason)),
        SealAs::Cancelled => (RunState::Cancelled, BTreeMap::new(), None),
    };
    AttemptEnd {
        state,
        outputs,
        exit: None,
        reason,
        journal: None,
        log: None,
        execution_class: None,
        metrics: BTreeMap::new(),
        progress: None,
        seconds: 0.0,
    }
}
