//! The engine over real processes: small shell scripts as stages, real parents, real signals, and daemons that die.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use begat_ledger::RunFilter;
use begat_schemas::api::{
    FsckRequest, LaunchRequest, LaunchState, LaunchView, ReproduceRequest, ReproduceState,
    StageState, StreamEvent,
};
use begat_schemas::{
    Execution, InputName, InputRef, Recipe, RecipeName, RunState, Stage, StageKind, StageName,
    StageParams,
};
use begatd::config::Config;
use begatd::engine::{Engine, EngineError, EventCursor, LogQuery, MetricsQuery};
use serde_json::json;
use tokio_stream::StreamExt;

/// Goes on counting where the journal ends, as the contract wants.
const EVENTS: &str = r#"
cd "$BEGAT_WORK"
event() {
  n=$(($(wc -l < journal.jsonl) + 1))
  printf '{"seq":%d,"time":"2026-01-01T00:00:00Z","event":"metrics","step":%d,"values":{"loss":%d}}\n' $n $n $n >> journal.jsonl
}
made() { mkdir -p outputs/out; printf "$1" > outputs/out/file; }
"#;

fn config(data: &Path) -> Config {
    let mut config = Config::for_tests(data);
    config.parent_program = PathBuf::from(env!("CARGO_BIN_EXE_begatd"));
    config
}

fn script(name: &str, needs: &[&str], text: &str) -> Stage {
    let text = format!("{EVENTS}\n{text}");
    let params = json!({"argv": ["/bin/sh", "-c", text], "outputs": {"out": "files"}});
    let input = |need: &&str| {
        let from: InputRef = need.parse().unwrap();
        let name = need.trim_start_matches('@').replace('/', "-");
        (InputName::new(name).unwrap(), from)
    };
    Stage {
        name: StageName::new(name).unwrap(),
        kind: StageKind::Command,
        params: StageParams::from_value(StageKind::Command, &params).unwrap(),
        inputs: needs.iter().map(input).collect(),
        seed: 1,
        execution: Execution::default(),
    }
}

fn request(stages: Vec<Stage>) -> LaunchRequest {
    LaunchRequest {
        recipe: Recipe::new(RecipeName::new("test").unwrap(), 1, stages).unwrap(),
        overrides: Vec::new(),
        rerun: Vec::new(),
    }
}

async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    for _ in 0..3000 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain for {what}");
}

async fn ended(engine: &Engine, launch: &LaunchView) -> LaunchView {
    let id = launch.launch.to_string();
    until("the launch to end", || async {
        let view = engine.launch_view(&id).await.unwrap();
        (view.state != LaunchState::Running).then_some(view)
    })
    .await
}

async fn first_event(engine: &Engine) {
    until("its first event", || async {
        let runs = engine.runs(RunFilter::default()).await.unwrap();
        runs[0].metrics.contains_key("loss").then_some(())
    })
    .await;
}

async fn launched(engine: &Engine, stages: Vec<Stage>) -> LaunchView {
    let launch = engine.launch(request(stages)).await.unwrap();
    ended(engine, &launch).await
}

/// The processes whose work folder lies below `data`: parents (by their arguments), or stages (by their environment, and
/// because they lead their group; what they start in turn does not).
fn processes(data: &Path, parents: bool) -> Vec<i32> {
    let own = |pid: &i32| {
        let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let text = String::from_utf8_lossy(&read("cmdline")).into_owned();
        let environment = String::from_utf8_lossy(&read("environ")).into_owned();
        let below = format!("BEGAT_WORK={}", data.display());
        if parents {
            text.contains("stage-parent") && text.contains(&*data.to_string_lossy())
        } else {
            let stat = String::from_utf8_lossy(&read("stat")).into_owned();
            let group = stat
                .rsplit_once(')')
                .and_then(|(_, rest)| rest.split_whitespace().nth(2));
            environment.contains(&below) && group == Some(&pid.to_string())
        }
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(own)
        .collect()
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

async fn a_process(data: &Path, parents: bool) -> i32 {
    until("a process", || async {
        processes(data, parents).first().copied()
    })
    .await
}

fn stage_of<'a>(launch: &'a LaunchView, name: &str) -> &'a begat_schemas::api::StageView {
    launch
        .stages
        .iter()
        .find(|stage| stage.stage.as_str() == name)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_runs_and_the_next_one_finds_all() {
    let data = tempfile::tempdir().unwrap();
    let engine = Engine::open(config(data.path())).await.unwrap();
    let stages = || {
        vec![
            script("one", &[], "event; made one; echo said something"),
            script(
                "two",
                &["@one"],
                "event; event; made \"$(cat inputs/one/file) two\"",
            ),
        ]
    };
    let first = launched(&engine, stages()).await;
    assert_eq!(first.state, LaunchState::Succeeded, "{first:?}");
    let tree = engine
        .tree(engine.tree_of("test/two").await.unwrap())
        .await
        .unwrap();
    let blob = tree.get("file").unwrap().blob;
    let text = engine
        .with_store(move |store| store.get_bytes(blob, 100))
        .await
        .unwrap();
    assert_eq!(text, b"one two");
    let log = engine.log("test/one", LogQuery::default()).await.unwrap();
    assert_eq!((log.text.as_str(), log.ended), ("said something\n", true));
    let metrics = engine
        .metrics("test/two", MetricsQuery::default())
        .await
        .unwrap();
    assert_eq!(metrics.steps, Some((1, 2)));
    // The folder is removed after the launch has ended, so that nobody waits for the removal.
    while std::fs::read_dir(data.path().join("work")).unwrap().count() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }

    let second = launched(&engine, stages()).await;
    assert!(second.stages.iter().all(|stage| stage.found), "{second:?}");
    let runs = engine.runs(RunFilter::default()).await.unwrap();
    assert!(runs.iter().all(|run| run.attempts == 1));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told() {
    let data = tempfile::tempdir().unwrap();
    let engine = Engine::open(config(data.path())).await.unwrap();
    let check = async |text: &str, expected: &str| {
        let launch = launched(&engine, vec![script("it", &[], text)]).await;
        assert_eq!(launch.state, LaunchState::Failed, "{text}");
        let reason = launch.stages[0].reason.clone().unwrap_or_default();
        assert!(reason.contains(expected), "{text}: {reason}");
    };
    check(
        "echo no such file >&2; exit 3",
        "it exited with status 3: no such file",
    )
    .await;
    check("event", "did not write the output `out`").await;
    check("kill -SEGV $$", "it crashed with signal 11").await;
    let mut none = script("it", &[], "");
    let params = json!({"argv": ["/no/such/program"], "outputs": {"out": "files"}});
    none.params = StageParams::from_value(StageKind::Command, &params).unwrap();
    let launch = launched(&engine, vec![none]).await;
    let reason = launch.stages[0].reason.clone().unwrap();
    assert!(
        reason.contains("cannot start `/no/such/program`"),
        "{reason}"
    );
    let mut gpu = script("it", &[], "made x");
    gpu.execution.device = begat_schemas::Device::new("cuda:7").unwrap();
    let launch = launched(&engine, vec![gpu]).await;
    let reason = launch.stages[0].reason.clone().unwrap();
    assert!(reason.contains("no such GPU"), "{reason}");
    assert!(engine.is_ready().is_ok(), "the daemon goes on");

    let unknown = engine
        .launch(request(vec![script("it", &["nothing/here"], "")]))
        .await;
    let Err(error @ EngineError::NoInput { .. }) = unknown else {
        panic!("{unknown:?}")
    };
    assert!(error.to_string().contains("nothing/here"), "{error}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_hangs_on_sigterm_is_killed_after_the_grace_period() {
    let data = tempfile::tempdir().unwrap();
    let engine = Engine::open(config(data.path())).await.unwrap();
    let hang = script(
        "hang",
        &[],
        "trap '' TERM; event; while :; do sleep 0.05; done",
    );
    let launch = engine.launch(request(vec![hang])).await.unwrap();
    a_process(data.path(), false).await;
    first_event(&engine).await;
    engine.cancel_launch("test").await.unwrap();
    let stage = until("the stage to be killed", || async {
        let launch = engine
            .launch_view(&launch.launch.to_string())
            .await
            .unwrap();
        let stage = launch.stages[0].clone();
        (stage.state == StageState::Cancelled).then_some(stage)
    })
    .await;
    let detail = engine.run(&stage.run.unwrap().to_string()).await.unwrap();
    let exit = detail.attempt_list[0].exit.clone().unwrap();
    assert_eq!(exit.signal, Some(9), "{exit:?}");
    assert_eq!(processes(data.path(), true), [0; 0]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_interrupt_and_the_attempt_goes_on_by_itself() {
    for parents in [false, true] {
        let data = tempfile::tempdir().unwrap();
        let engine = Engine::open(config(data.path())).await.unwrap();
        // The first life waits to be killed; the second sees the first one's event.
        let text =
            "before=$(wc -l < journal.jsonl); event; [ $before -gt 0 ] || sleep 60; made twice";
        let launch = engine
            .launch(request(vec![script("it", &[], text)]))
            .await
            .unwrap();
        let victim = a_process(data.path(), parents).await;
        first_event(&engine).await;
        kill(victim);
        let launch = ended(&engine, &launch).await;
        assert_eq!(launch.state, LaunchState::Succeeded, "{launch:?}");
        let detail = engine.run("test/it").await.unwrap();
        assert_eq!(
            (detail.view.attempts, detail.attempt_list[0].resumes),
            (1, 1)
        );
        assert_eq!(
            processes(data.path(), false),
            [0; 0],
            "nothing is left behind"
        );
        engine.stop().await;
    }
}

/// Collects a run's events until its stream ends.
async fn all_events(
    engine: &Engine,
    run: &str,
    after: Option<EventCursor>,
) -> (Vec<u64>, RunState) {
    let mut stream = engine.events(run, None, after).await.unwrap();
    let (mut seqs, mut last) = (Vec::new(), None);
    while let Some(item) = stream.next().await {
        match item.event {
            StreamEvent::Journal { event, .. } => seqs.push(event.seq),
            StreamEvent::State { state, .. } => last = Some(state),
        }
    }
    (seqs, last.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_comes_back_has_lost_nothing() {
    let data = tempfile::tempdir().unwrap();
    let engine = Engine::open(config(data.path())).await.unwrap();
    let text = "for i in 1 2 3 4 5 6 7 8 9 10; do event; sleep 0.05; done; \
                until [ -e \"$BEGAT_WORK/../../go\" ]; do sleep 0.02; done; event; made done";
    let launch = engine
        .launch(request(vec![script("long", &[], text)]))
        .await
        .unwrap();
    let run = until("the run", || async {
        engine
            .launch_view(&launch.launch.to_string())
            .await
            .unwrap()
            .stages[0]
            .run
    })
    .await
    .to_string();
    let stage = a_process(data.path(), false).await;
    engine.stop().await;
    engine.close();
    assert!(
        processes(data.path(), false).contains(&stage),
        "the stage lives on"
    );

    let engine = Engine::open(config(data.path())).await.unwrap();
    let follower = engine.clone();
    let name = run.clone();
    let follows = tokio::spawn(async move { all_events(&follower, &name, None).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    follows.abort();
    let _ = follows.await;
    engine.stop().await;
    engine.close();

    // It ends while no daemon lives; its parent writes down how.
    std::fs::write(data.path().join("go"), "").unwrap();
    until("the stage to end", || async {
        processes(data.path(), true).is_empty().then_some(())
    })
    .await;
    let engine = Engine::open(config(data.path())).await.unwrap();
    let launch = ended(&engine, &launch).await;
    assert_eq!(launch.state, LaunchState::Succeeded, "{launch:?}");
    let detail = engine.run(&run).await.unwrap();
    assert_eq!(
        (detail.view.attempts, detail.attempt_list[0].resumes),
        (1, 0)
    );
    let (seqs, state) = all_events(&engine, &run, None).await;
    assert_eq!((seqs, state), ((1..=11).collect(), RunState::Succeeded));
    let after = Some(EventCursor { attempt: 1, seq: 7 });
    assert_eq!(all_events(&engine, &run, after).await.0, [8, 9, 10, 11]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_every_event_once_while_they_come() {
    let data = tempfile::tempdir().unwrap();
    let engine = Engine::open(config(data.path())).await.unwrap();
    let text = "i=0; while [ $i -lt 100 ]; do event; i=$((i+1)); done; made done";
    let launch = engine
        .launch(request(vec![script("fast", &[], text)]))
        .await
        .unwrap();
    let run = launch.stages[0].run.unwrap().to_string();
    let (seqs, state) = all_events(&engine, &run, None).await;
    assert_eq!((seqs, state), ((1..=100).collect(), RunState::Succeeded));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_out_otherwise_is_named() {
    let data = tempfile::tempdir().unwrap();
    let engine = Engine::open(config(data.path())).await.unwrap();
    let same = script("same", &[], "event; made same");
    let other = script("other", &["@same"], "event; made \"$(date +%s%N)\"");
    launched(&engine, vec![same, other]).await;
    let reproduced = async |target: &str, deep: bool| {
        let request = ReproduceRequest {
            target: target.to_owned(),
            deep,
            ..ReproduceRequest::default()
        };
        let id = engine.reproduce(request).await.unwrap().id;
        until("the reproduction", || async {
            let view = engine.reproduction(id).await.unwrap();
            (view.state != ReproduceState::Running).then_some(view)
        })
        .await
    };
    let view = reproduced("test/same", false).await;
    assert_eq!(view.state, ReproduceState::Identical, "{view:?}");
    assert_eq!(view.verdicts[0].attempt.unwrap().number, 2);
    let refs = engine.refs().await.unwrap();
    let view = reproduced("test/other", true).await;
    assert_eq!(view.state, ReproduceState::Different, "{view:?}");
    let states: Vec<ReproduceState> = view.verdicts.iter().map(|one| one.state).collect();
    assert_eq!(
        states,
        [ReproduceState::Identical, ReproduceState::Different]
    );
    assert_eq!(
        view.verdicts[1].outputs[0].differing_files[0].path.as_str(),
        "file"
    );
    assert_eq!(engine.refs().await.unwrap(), refs, "no ref moves");

    let added = engine
        .add_tree(
            begat_schemas::Tree::new(Vec::new()).unwrap().manifest(),
            "ada".to_owned(),
        )
        .await
        .unwrap();
    let request = ReproduceRequest {
        target: added.tree.to_string(),
        ..ReproduceRequest::default()
    };
    let Err(error @ EngineError::NoProducer { .. }) = engine.reproduce(request).await else {
        panic!("an added tree has no producer")
    };
    assert!(error.to_string().contains("by ada"), "{error}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_says_who_has_the_folder() {
    let data = tempfile::tempdir().unwrap();
    let engine = Engine::open(config(data.path())).await.unwrap();
    let error = Engine::open(config(data.path()))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    assert!(
        error.contains(&data.path().display().to_string()),
        "{error}"
    );
    engine.stop().await;
}

const CRASH_DATA: &str = "BEGAT_TEST_CRASH_DATA";
const CRASH_AFTER: &str = "BEGAT_TEST_CRASH_AFTER";
const CRASHED: i32 = 134;

/// Three stages, each of which notes outside of the data folder's own files that it ran.
fn noting() -> Vec<Stage> {
    let note =
        |name: &str| format!("echo {name} >> \"$BEGAT_WORK/../../ran\"; event; event; made {name}");
    vec![
        script("one", &[], &note("one")),
        script("two", &["@one"], &note("two")),
        script("three", &["@one"], &note("three")),
    ]
}

/// What a daemon does that dies after a number of actions: launches if nothing was launched, and waits.
async fn daemon_that_dies(data: &Path, after: usize) {
    let mut left = after;
    let hook = move |_: &'static str| {
        if left == 0 {
            // As hard as kill -9: no destructor runs, nothing is flushed.
            std::process::exit(CRASHED);
        }
        left -= 1;
    };
    let engine = Engine::open_with(config(data), Some(Box::new(hook)))
        .await
        .unwrap();
    if engine.launches(None, 1).await.unwrap().is_empty() {
        engine.launch(request(noting())).await.unwrap();
    }
    let launch = engine.launch_view("test").await.unwrap();
    ended(&engine, &launch).await;
    engine.stop().await;
}

/// The other half of the test below, in a process of its own; by itself it has nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn crashing_daemon() {
    let (Ok(data), Ok(after)) = (std::env::var(CRASH_DATA), std::env::var(CRASH_AFTER)) else {
        return;
    };
    daemon_that_dies(Path::new(&data), after.parse().unwrap()).await;
}

fn run_until_it_dies(data: &Path, after: usize) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["crashing_daemon", "--exact"])
        .env(CRASH_DATA, data)
        .env(CRASH_AFTER, after.to_string())
        .output()
        .unwrap()
        .status;
    assert!(
        status.success() || status.code() == Some(CRASHED),
        "{status}"
    );
    status.code() == Some(CRASHED)
}

/// The daemon dies after each of the scheduler's actions in turn; the next one brings the launch to its end, and every stage
/// has run exactly once.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_each_action() {
    let mut crashes = 0;
    for after in 0.. {
        let data = tempfile::tempdir().unwrap();
        if !run_until_it_dies(data.path(), after) {
            break;
        }
        crashes += 1;
        let engine = Engine::open(config(data.path())).await.unwrap();
        let launch = engine.launch_view("test").await.unwrap();
        let launch = ended(&engine, &launch).await;
        assert_eq!(
            launch.state,
            LaunchState::Succeeded,
            "after {after}: {launch:?}"
        );
        let mut ran = BTreeMap::new();
        for line in std::fs::read_to_string(data.path().join("ran"))
            .unwrap()
            .lines()
        {
            *ran.entry(line.to_owned()).or_insert(0) += 1;
        }
        let once = ["one", "three", "two"].map(|name| (name.to_owned(), 1));
        assert_eq!(ran, BTreeMap::from(once), "after {after}");
        for name in ["one", "two", "three"] {
            assert_eq!(stage_of(&launch, name).state, StageState::Succeeded);
            let run = stage_of(&launch, name).run.unwrap().to_string();
            assert_eq!(
                all_events(&engine, &run, None).await.0,
                [1, 2],
                "after {after}"
            );
        }
        let report = engine.fsck(FsckRequest { read_data: true }).await.unwrap();
        assert_eq!(report.faults, [], "after {after}");
        engine.stop().await;
    }
    assert!(crashes > 15, "only {crashes} actions");
}
