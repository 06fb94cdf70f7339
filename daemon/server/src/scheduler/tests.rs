//! Lists of events. [`World`] plays the ledger and the stages: it folds records as the ledger does, as far as the scheduler
//! asks for it, and ends stages as the test says. A crash is a new scheduler, told only what had been recorded.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use begat_ledger::{AttemptEnd, Record, StateEvent, transition};
use begat_schemas::api::LaunchState;
use proptest::prelude::*;

use begat_schemas::{
    AttemptId, Derivation, Device, Execution, InputName, InputRef, LaunchId, OutputName, Recipe,
    RecipeName, RunId, RunState, Stage, StageKind, StageName, StageParams, Time, TreeDigest,
};
use serde_json::json;

use super::*;
use crate::config;

fn name(text: &str) -> StageName {
    StageName::new(text).unwrap()
}

/// A stage of any program; `needs` are `@stage`s or words that stand for datasets.
fn stage(stage: &str, needs: &[&str], device: &str) -> Stage {
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

fn recipe(recipe: &str, stages: Vec<Stage>) -> Arc<Recipe> {
    Arc::new(Recipe::new(RecipeName::new(recipe).unwrap(), 1, stages).unwrap())
}

/// tokenizer → pretrain → sft, and evaluate beside sft.
fn chain(title: &str) -> Arc<Recipe> {
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
struct Run {
    derivation: Option<Arc<Derivation>>,
    state: Option<RunState>,
    outputs: Outputs,
    attempts: BTreeMap<u32, (RunState, u32, Option<Task>)>,
}

#[derive(Debug)]
struct LaunchRecord {
    recipe: Arc<Recipe>,
    rerun: BTreeSet<StageName>,
    state: LaunchState,
    stages: BTreeMap<StageName, (RunId, bool, Option<u32>)>,
}

/// How a stage's process is to end.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Well,
    Badly,
    Killed,
}

struct World {
    scheduler: Scheduler,
    slots: config::Slots,
    now: i64,
    launches: BTreeMap<LaunchId, LaunchRecord>,
    runs: BTreeMap<RunId, Run>,
    refs: BTreeMap<String, TreeDigest>,
    /// Processes that run, by attempt: the daemon may forget them, they go on.
    processes: BTreeMap<AttemptId, (Option<JobId>, Task)>,
    pending: VecDeque<Event>,
    /// What was done, for the tests.
    log: Vec<String>,
    /// After how many more actions the daemon dies.
    dies_after: Option<usize>,
    dead: bool,
}

impl World {
    fn new(cpu: u32) -> Self {
        let slots = config::Slots { cpu, cuda: vec![0] };
        Self {
            scheduler: Scheduler::new(Slots::new(&slots), vec![Duration::from_secs(1); 3]),
            slots,
            now: 0,
            launches: BTreeMap::new(),
            runs: BTreeMap::new(),
            refs: BTreeMap::new(),
            processes: BTreeMap::new(),
            pending: VecDeque::new(),
            log: Vec::new(),
            dies_after: None,
            dead: false,
        }
    }

    fn launch(&mut self, recipe: &Arc<Recipe>) -> LaunchId {
        self.launch_with(recipe, &[])
    }

    fn launch_with(&mut self, recipe: &Arc<Recipe>, rerun: &[&str]) -> LaunchId {
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

    fn resume(&mut self, launch: LaunchId) {
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

    fn tell(&mut self, event: Event) {
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

    fn perform(&mut self, action: Action) {
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

    fn start(&mut self, start: Start) {
        let verb = if start.resume { "resume" } else { "start" };
        let run = self.runs.get_mut(&start.attempt.run).unwrap();
        let number = start.attempt.number;
        if start.resume {
            let attempt = run.attempts.get_mut(&number).unwrap();
            attempt.0 = transition(attempt.0, StateEvent::Start).unwrap();
            attempt.1 += 1;
        } else {
            assert_eq!(
                number as usize,
                run.attempts.len() + 1,
                "attempts have no gaps"
            );
            let entry = (RunState::Running, 0, Some(start.task.clone()));
            run.attempts.insert(number, entry);
        }
        if run.state != Some(RunState::Succeeded) {
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
    fn end(&mut self, stage: &str, fate: Fate) {
        let found = self
            .processes
            .iter()
            .find(|(_, (_, task))| task.stage == name(stage));
        let attempt = *found.unwrap_or_else(|| panic!("{stage} does not run")).0;
        let (job, task) = self.processes.remove(&attempt).unwrap();
        self.end_with(job.unwrap(), &task, fate);
        self.tell(Event::Tick);
    }

    fn end_with(&mut self, job: JobId, _: &Task, fate: Fate) {
        let reason = "so".to_owned();
        let verdict = match fate {
            Fate::Well => Verdict::Succeeded,
            Fate::Badly => Verdict::Failed { reason },
            Fate::Killed => Verdict::Interrupted { reason },
        };
        self.pending.push_back(Event::Ended { job, verdict });
    }

    fn pass(&mut self, milliseconds: i64) {
        self.now += milliseconds;
        self.tell(Event::Tick);
    }

    /// Ends every process well until nothing runs.
    fn finish(&mut self) {
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
    fn restart(&mut self) {
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

    fn fold(&mut self, record: Record) {
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
    fn step(&mut self, attempt: AttemptId, state: RunState, end: Option<&AttemptEnd>) {
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

    fn known(&self, launch: LaunchId, stage: &StageName, run: RunId) -> Known {
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

    fn title(&self, attempt: AttemptId) -> String {
        let task = &self.processes[&attempt].1;
        format!("{}.{}", task.stage, attempt.number)
    }

    fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    fn state(&self, launch: LaunchId) -> LaunchState {
        self.launches[&launch].state
    }

    /// stage → (found, attempts of its run)
    fn summary(&self, launch: LaunchId) -> Vec<(String, bool, usize)> {
        let stages = self.launches[&launch].stages.iter();
        stages
            .map(|(stage, (run, found, _))| {
                (stage.to_string(), *found, self.runs[run].attempts.len())
            })
            .collect()
    }
}

fn end(task: &Task, seal: SealAs) -> AttemptEnd {
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

#[test]
fn stages_run_when_their_parents_are_done_and_a_slot_is_free() {
    let mut world = World::new(1);
    let launch = world.launch(&chain("gpt"));
    assert_eq!(world.take_log(), ["start tokenizer.1"]);
    world.end("tokenizer", Fate::Well);
    world.end("pretrain", Fate::Well);
    assert_eq!(
        world.take_log(),
        ["start pretrain.1", "start sft.1"],
        "one slot: evaluate waits"
    );
    world.finish();
    assert_eq!(world.state(launch), LaunchState::Succeeded);
    assert!(world.scheduler.is_idle());
    let refs: Vec<&str> = world.refs.keys().map(String::as_str).collect();
    assert_eq!(
        refs,
        ["gpt/evaluate", "gpt/pretrain", "gpt/sft", "gpt/tokenizer"]
    );
}

#[test]
fn two_launches_share_a_run_and_a_third_finds_it() {
    let mut world = World::new(2);
    let one = world.launch(&chain("gpt"));
    let other = world.launch(&chain("llama"));
    assert_eq!(world.take_log(), ["start tokenizer.1"]);
    world.finish();
    assert_eq!(world.state(one), LaunchState::Succeeded);
    assert_eq!(world.state(other), LaunchState::Succeeded);
    assert!(
        world
            .summary(other)
            .iter()
            .all(|(_, found, attempts)| !found && *attempts == 1)
    );
    world.take_log();
    let third = world.launch(&chain("third"));
    assert_eq!(
        world.take_log(),
        Vec::<String>::new(),
        "nothing is executed"
    );
    assert_eq!(world.state(third), LaunchState::Succeeded);
    assert!(world.summary(third).iter().all(|(_, found, _)| *found));
    assert_eq!(
        world.refs["third/sft"], world.refs["gpt/sft"],
        "what is found moves its ref"
    );
}

#[test]
fn a_failure_blocks_what_needs_it_and_nothing_else() {
    let mut world = World::new(2);
    let launch = world.launch(&chain("gpt"));
    world.end("tokenizer", Fate::Well);
    world.end("pretrain", Fate::Well);
    world.end("sft", Fate::Badly);
    assert_eq!(
        world.state(launch),
        LaunchState::Running,
        "evaluate goes on"
    );
    world.end("evaluate", Fate::Well);
    assert_eq!(world.state(launch), LaunchState::Failed);
    assert!(
        !world.refs.contains_key("gpt/sft"),
        "a failure moves no ref"
    );
    world.take_log();
    let again = world.launch(&chain("gpt"));
    assert_eq!(
        world.take_log(),
        ["start sft.2"],
        "attempt n+1, from the start"
    );
    world.finish();
    assert_eq!(world.state(again), LaunchState::Succeeded);
}

#[test]
fn a_resumed_launch_goes_on_with_the_attempt_that_failed() {
    let mut world = World::new(1);
    let launch = world.launch(&chain("gpt"));
    world.end("tokenizer", Fate::Well);
    world.end("pretrain", Fate::Badly);
    assert_eq!(world.state(launch), LaunchState::Failed);
    world.take_log();
    world.resume(launch);
    assert_eq!(world.take_log(), ["resume pretrain.1"]);
    world.finish();
    assert_eq!(world.state(launch), LaunchState::Succeeded);
}

#[test]
fn an_interrupted_attempt_goes_on_three_times_by_itself() {
    let mut world = World::new(1);
    let launch = world.launch(&chain("gpt"));
    for _ in 0..3 {
        world.end("tokenizer", Fate::Killed);
        assert!(world.processes.is_empty(), "it waits for its pause");
        world.pass(999);
        assert!(world.processes.is_empty());
        world.pass(1);
    }
    let resumed = [
        "start tokenizer.1",
        "resume tokenizer.1",
        "resume tokenizer.1",
        "resume tokenizer.1",
    ];
    assert_eq!(world.take_log(), resumed);
    world.end("tokenizer", Fate::Killed);
    world.pass(100_000);
    assert_eq!(world.state(launch), LaunchState::Failed);
    assert_eq!(world.take_log(), Vec::<String>::new());
}

#[test]
fn cancelling_stops_what_no_other_launch_needs() {
    let mut world = World::new(1);
    let one = world.launch(&chain("gpt"));
    let other = world.launch(&chain("llama"));
    world.take_log();
    world.tell(Event::CancelLaunch(one));
    assert_eq!(
        world.take_log(),
        Vec::<String>::new(),
        "llama still needs the tokenizer"
    );
    assert_eq!(world.state(one), LaunchState::Cancelled);
    world.tell(Event::CancelLaunch(other));
    assert_eq!(world.take_log(), ["stop tokenizer.1"]);
    assert!(world.scheduler.is_idle());
    world.restart();
    assert!(
        world.scheduler.is_idle(),
        "a cancelled launch stays cancelled"
    );
    let third = world.launch(&chain("gpt"));
    assert_eq!(world.take_log(), ["start tokenizer.2"]);
    world.finish();
    assert_eq!(world.state(third), LaunchState::Succeeded);
}

#[test]
fn a_cancelled_run_ends_its_launch_and_a_queued_one_never_begins() {
    let mut world = World::new(1);
    let launch = world.launch(&chain("gpt"));
    world.end("tokenizer", Fate::Well);
    world.end("pretrain", Fate::Well);
    let evaluate = world.launches[&launch].stages[&name("evaluate")].0;
    world.tell(Event::CancelRun(evaluate));
    world.take_log();
    world.finish();
    assert_eq!(world.take_log(), Vec::<String>::new());
    assert_eq!(world.state(launch), LaunchState::Cancelled);
    assert_eq!(world.runs[&evaluate].state, Some(RunState::Cancelled));
}

#[test]
fn rerun_makes_another_attempt_that_replaces_nothing() {
    let mut world = World::new(1);
    world.launch(&chain("gpt"));
    world.finish();
    world.take_log();
    let again = world.launch_with(&chain("gpt"), &["sft"]);
    assert_eq!(world.take_log(), ["start sft.2"]);
    world.restart();
    world.finish();
    assert_eq!(world.state(again), LaunchState::Succeeded);
    assert_eq!(world.launches[&again].stages[&name("sft")].2, Some(2));
}

#[test]
fn a_reproduction_waits_for_a_slot_and_is_compared() {
    let mut world = World::new(1);
    let launch = world.launch(&chain("gpt"));
    world.finish();
    world.take_log();
    let run = world.launches[&launch].stages[&name("sft")].0;
    let entry = &world.runs[&run];
    let mut task = entry.attempts[&1].2.clone().unwrap();
    task.reason = Reason::Reproduce {
        id: uuid::Uuid::nil(),
    };
    let tasks = vec![(task, 1, entry.outputs.clone())];
    let refs = world.refs.clone();
    world.tell(Event::Reproduce { tasks });
    assert_eq!(world.take_log(), ["start sft.2"]);
    world.end("sft", Fate::Well);
    assert_eq!(world.take_log(), ["compare true"]);
    assert_eq!(world.refs, refs, "it moves no ref");
}

#[test]
fn a_gpu_takes_one_stage_and_a_device_that_is_not_there_waits_for_none() {
    let mut world = World::new(1);
    let stages = vec![
        stage("one", &["a"], "cuda"),
        stage("two", &["b"], "cuda:0"),
        stage("none", &["c"], "cuda:7"),
        stage("cpu", &["d"], "cpu"),
    ];
    world.launch(&recipe("gpus", stages));
    assert_eq!(
        world.take_log(),
        ["start one.1", "start none.1", "start cpu.1"]
    );
    let device = |world: &World, wanted: &str| {
        let mut tasks = world.processes.values().map(|(_, task)| task);
        let task = tasks.find(|task| task.stage == name(wanted));
        task.map(|task| task.execution.device.to_string())
    };
    assert_eq!(device(&world, "one").as_deref(), Some("cuda:0"));
    world.end("one", Fate::Well);
    assert_eq!(device(&world, "two").as_deref(), Some("cuda:0"));
}

/// The daemon dies after its n-th action, for every n; stages end meanwhile, some killed. The next daemon brings the launch to
/// its end, no result is made twice, and nothing is recorded that the ledger's transitions do not allow.
#[test]
fn a_crash_after_any_action_loses_and_doubles_nothing() {
    let mut crashes = 0;
    for dies_after in 0.. {
        let mut world = World::new(2);
        world.dies_after = Some(dies_after);
        let one = world.launch(&chain("gpt"));
        let other = if world.dead {
            None
        } else {
            Some(world.launch(&chain("llama")))
        };
        if !world.dead {
            world.end("tokenizer", Fate::Killed);
        }
        if !world.dead {
            world.pass(1000);
        }
        if !world.dead {
            world.finish();
        }
        if !world.dead {
            break;
        }
        crashes += 1;
        world.restart();
        world.finish();
        for launch in [Some(one), other].into_iter().flatten() {
            assert_eq!(
                world.state(launch),
                LaunchState::Succeeded,
                "{dies_after}: {:?}",
                world.log
            );
            let attempts = world.summary(launch);
            assert!(
                attempts.iter().all(|(_, _, attempts)| *attempts == 1),
                "{dies_after}: {attempts:?}"
            );
        }
        assert!(world.scheduler.is_idle(), "{dies_after}");
    }
    assert!(crashes > 30, "only {crashes} actions");
}

/// What may happen to a daemon, in any order.
fn happen(world: &mut World, what: u8) {
    let newest = world.launches.keys().next_back().copied();
    let state = newest.map(|launch| world.state(launch));
    let running = world
        .processes
        .values()
        .next()
        .map(|(_, task)| task.stage.to_string());
    match (what, newest, state, running) {
        (0, ..) => drop(world.launch(&chain("gpt"))),
        (1, ..) => drop(world.launch(&chain("llama"))),
        (2, ..) => drop(world.launch_with(&chain("gpt"), &["pretrain", "sft"])),
        (3 | 4, _, _, Some(stage)) => world.end(&stage, Fate::Well),
        (5, _, _, Some(stage)) => world.end(&stage, Fate::Badly),
        (6, _, _, Some(stage)) => world.end(&stage, Fate::Killed),
        (7, ..) => world.pass(1000),
        (8, ..) => world.restart(),
        (9, Some(launch), Some(LaunchState::Running), _) => {
            world.tell(Event::CancelLaunch(launch));
        }
        (10, Some(launch), Some(LaunchState::Failed | LaunchState::Cancelled), _) => {
            world.resume(launch);
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Whatever happens in whatever order: the ledger's transitions allow every record, attempts have no gaps, no process
    /// is started while the run's last one lives, and in the end everything comes to an end.
    #[test]
    fn every_history_comes_to_an_end(history in prop::collection::vec(0_u8..11, 0..40)) {
        let mut world = World::new(2);
        for what in history {
            happen(&mut world, what);
        }
        world.finish();
        prop_assert!(world.scheduler.is_idle());
        let over = |launch: &LaunchRecord| launch.state != LaunchState::Running;
        prop_assert!(world.launches.values().all(over));
    }
}
