//! `/metrics` over real processes: what is counted, which runs are shown, and that their series leave together.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use begat_schemas::api::{
    FsckRequest, LaunchRequest, LaunchState, ReproduceRequest, ReproduceState,
};
use begat_schemas::{Execution, Recipe, RecipeName, Stage, StageKind, StageName, StageParams};
use begatd::config::Config;
use begatd::engine::{Engine, MetricsForm};
use serde_json::json;

/// Writes steps that it takes a moment for, and what it spent on them; `$1` is what its output holds.
const TRAINED: &str = r#"
cd "$BEGAT_WORK"
line() { printf '{"seq":%d,"time":"%s","event":%s}\n' $n "$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)" "$1" >> journal.jsonl; }
for step in 1 2 3 4; do
  n=$((2 * step - 1)); line "\"metrics\",\"step\":$step,\"values\":{\"loss\":$step,\"odd\":7,\"seconds/data\":0.5}"
  n=$((2 * step)); line "\"progress\",\"step\":$step,\"of\":4,\"tokens\":${step}00,\"samples\":$step"
  sleep 0.05
done
echo no event >> journal.jsonl
mkdir -p outputs/out; printf x > outputs/out/file
"#;

async fn open(data: &Path, retention: Duration) -> Engine {
    let mut config = Config::for_tests(data);
    config.parent_program = PathBuf::from(env!("CARGO_BIN_EXE_begatd"));
    config.metrics_retention = retention;
    Engine::open(config).await.unwrap()
}

fn request(recipe: &str, script: &str) -> LaunchRequest {
    let params = json!({"argv": ["/bin/sh", "-c", script], "outputs": {"out": "files"}});
    let stage = Stage {
        name: StageName::new("train").unwrap(),
        kind: StageKind::Command,
        params: StageParams::from_value(StageKind::Command, &params).unwrap(),
        inputs: Default::default(),
        seed: 1,
        execution: Execution::default(),
    };
    LaunchRequest {
        recipe: Recipe::new(RecipeName::new(recipe).unwrap(), 1, vec![stage]).unwrap(),
        overrides: Vec::new(),
        rerun: Vec::new(),
    }
}

async fn metrics(engine: &Engine) -> String {
    engine.metrics_text(MetricsForm::Text).await.unwrap()
}

/// Asks for the metrics until `probe` finds in them what it looks for.
async fn until<T>(engine: &Engine, what: &str, mut probe: impl FnMut(&str) -> Option<T>) -> T {
    for _ in 0..3000 {
        if let Some(found) = probe(&metrics(engine).await) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain for {what} in\n{}", metrics(engine).await);
}

async fn until_says(engine: &Engine, line: &str) {
    until(engine, line, |text| {
        text.lines().any(|found| found == line).then_some(())
    })
    .await;
}

async fn finished(engine: &Engine, request: LaunchRequest) -> String {
    let launch = engine.launch(request).await.unwrap().launch.to_string();
    loop {
        let view = engine.launch_view(&launch).await.unwrap();
        if view.state != LaunchState::Running {
            return launch;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn series_of_runs(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.contains("run=\""))
        .collect()
}

fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(series))?;
    line.rsplit(' ').next()?.parse().ok()
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_counted_and_shown_and_shown_again_when_it_is_found() {
    let data = tempfile::tempdir().unwrap();
    let engine = open(data.path(), LONG).await;
    let first = finished(&engine, request("one", TRAINED)).await;
    until_says(
        &engine,
        "begat_attempts_ended_total{kind=\"command\",outcome=\"succeeded\"} 1",
    )
    .await;
    let text = metrics(&engine).await;
    let launch = |id: &str, recipe: &str| {
        let labels = format!("begat_launch_run_info{{launch=\"{id}\",recipe=\"{recipe}\",run=\"");
        move |text: &str| {
            text.lines()
                .filter(|line| line.starts_with(&labels))
                .count()
        }
    };
    assert_eq!(launch(&first, "one")(&text), 1);
    for (series, expected) in [
        ("begat_run_info{", 1.0),
        ("begat_stage_loss{", 4.0),
        ("begat_stage_metric{", 7.0),
        ("begat_stage_step{", 4.0),
        ("begat_stage_steps_planned{", 4.0),
        ("begat_stage_tokens_total{", 400.0),
        ("begat_stage_phase_seconds_total{", 2.0),
        (
            "begat_stage_step_duration_seconds_count{stage=\"train\"}",
            2.0,
        ),
        ("begat_journal_events_total", 8.0),
        ("begat_journal_faults_total", 1.0),
        ("begat_queue_wait_seconds_count{kind=\"command\"}", 1.0),
        ("begat_device_slots{device=\"cpu\"}", 2.0),
        ("begat_device_slots_busy{device=\"cpu\"}", 0.0),
        ("begat_queue_length", 0.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series} in\n{text}");
    }
    let step = value(&text, "begat_stage_step_seconds{").unwrap();
    assert!(step >= 0.05, "{step}");
    assert!(value(&text, "begat_device_seconds_total{kind=\"command\"}").unwrap() >= 0.2);
    assert!(value(&text, "begat_stage_cpu_seconds_total{").unwrap() > 0.0);
    assert!(value(&text, "begat_store_ingested_bytes_total").unwrap() > 0.0);
    let shown: Vec<String> = series_of_runs(&text)
        .into_iter()
        .map(str::to_owned)
        .collect();

    let second = finished(&engine, request("two", TRAINED)).await;
    until(&engine, "the second launch", |text| {
        (launch(&second, "two")(text) == 1).then_some(())
    })
    .await;
    let text = metrics(&engine).await;
    assert_eq!(launch(&first, "one")(&text), 1, "the first is there still");
    let again = series_of_runs(&text);
    assert_eq!(
        again.len(),
        shown.len() + 1,
        "one launch more, nothing else: {again:#?}"
    );
    assert_eq!(
        value(&text, "begat_memoised_runs_total{kind=\"command\"}"),
        Some(1.0)
    );
    assert!(
        value(
            &text,
            "begat_memoised_device_seconds_total{kind=\"command\"}"
        )
        .unwrap()
            >= 0.2
    );
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn launches_that_start_a_run_at_the_same_moment_are_all_shown_at_it() {
    let data = tempfile::tempdir().unwrap();
    let engine = open(data.path(), LONG).await;
    for round in 0..10 {
        let script = format!("true {round}; {TRAINED}");
        let launches =
            ["one", "two", "three"].map(|recipe| engine.launch(request(recipe, &script)));
        let [one, two, three] = launches;
        let (one, two, three) = tokio::join!(one, two, three);
        for launch in [one, two, three] {
            let launch = launch.unwrap().launch.to_string();
            let series = format!("begat_launch_run_info{{launch=\"{launch}\"");
            until(&engine, "the launch at its run", |text| {
                text.contains(&series).then_some(())
            })
            .await;
        }
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_daemon_made_is_shown_when_it_is_found() {
    let data = tempfile::tempdir().unwrap();
    let engine = open(data.path(), LONG).await;
    finished(&engine, request("one", TRAINED)).await;
    engine.stop().await;
    engine.close();
    let engine = open(data.path(), LONG).await;
    let text = metrics(&engine).await;
    assert_eq!(series_of_runs(&text), Vec::<&str>::new());
    finished(&engine, request("two", TRAINED)).await;
    until(&engine, "its loss", |text| value(text, "begat_stage_loss{")).await;
    let text = metrics(&engine).await;
    for (series, expected) in [
        ("begat_stage_loss{", 4.0),
        ("begat_stage_tokens_total{", 400.0),
        ("begat_stage_phase_seconds_total{", 2.0),
        ("begat_stage_steps_planned{", 4.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series} in\n{text}");
    }
    assert!(text.contains(",state=\"succeeded\"} 1"), "{text}");
    assert!(value(&text, "begat_stage_cpu_seconds_total{").unwrap() > 0.0);
    assert_eq!(
        value(&text, "begat_stage_step_duration_seconds_count"),
        None,
        "it ran no step"
    );
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reproduction_says_that_it_is_one() {
    let data = tempfile::tempdir().unwrap();
    let engine = open(data.path(), LONG).await;
    finished(&engine, request("one", TRAINED)).await;
    let asked = engine
        .reproduce(ReproduceRequest {
            target: "one/train".to_owned(),
            ..ReproduceRequest::default()
        })
        .await
        .unwrap();
    until_says(
        &engine,
        "begat_reproductions_total{verdict=\"identical\"} 1",
    )
    .await;
    let view = engine.reproduction(asked.id).await.unwrap();
    assert_eq!(view.state, ReproduceState::Identical);
    let text = metrics(&engine).await;
    let info: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("begat_run_info{"))
        .collect();
    assert!(
        info.len() == 1 && info[0].contains("purpose=\"reproduction\""),
        "{info:?}"
    );
    assert_eq!(value(&text, "begat_stage_loss{"), Some(4.0));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lives_and_what_waits_is_shown_and_leaves_whole() {
    let data = tempfile::tempdir().unwrap();
    let engine = open(data.path(), Duration::ZERO).await;
    let waits = |name: &str| {
        format!(
            "while [ ! -e {}/{name} ]; do sleep 0.02; done",
            data.path().display()
        )
    };
    let mut launches = Vec::new();
    for name in ["a", "b", "c"] {
        let script = format!("{TRAINED}\n{}", waits(name));
        launches.push(engine.launch(request(name, &script)).await.unwrap().launch);
    }
    until(&engine, "both runs", |text| {
        (text.matches("begat_stage_step{").count() == 2).then_some(())
    })
    .await;
    let text = metrics(&engine).await;
    assert_eq!(value(&text, "begat_queue_length"), Some(1.0));
    assert_eq!(
        value(&text, "begat_device_slots_busy{device=\"cpu\"}"),
        Some(2.0)
    );
    assert_eq!(text.matches(",state=\"running\"} 1").count(), 2, "{text}");
    assert_eq!(text.matches(",state=\"queued\"} 1").count(), 1, "{text}");
    assert_eq!(text.matches("begat_launch_run_info{").count(), 3);
    assert!(value(&text, "begat_stage_memory_bytes{").unwrap() > 0.0);
    engine
        .cancel_launch(&launches[2].to_string())
        .await
        .unwrap();
    for name in ["a", "b"] {
        std::fs::write(data.path().join(name), "").unwrap();
    }
    until(&engine, "no run", |text| {
        series_of_runs(text).is_empty().then_some(())
    })
    .await;
    until_says(
        &engine,
        "begat_attempts_ended_total{kind=\"command\",outcome=\"succeeded\"} 2",
    )
    .await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_and_checks_are_counted() {
    let data = tempfile::tempdir().unwrap();
    let engine = open(data.path(), LONG).await;
    assert_eq!(
        value(&metrics(&engine).await, "begat_store_fsck_errors"),
        None
    );
    finished(&engine, request("one", "exit 3")).await;
    until_says(
        &engine,
        "begat_attempts_ended_total{kind=\"command\",outcome=\"failed\"} 1",
    )
    .await;
    finished(
        &engine,
        request(
            "two",
            "[ -e \"$BEGAT_WORK/again\" ] || { touch \"$BEGAT_WORK/again\"; kill -9 $$; }; exit 3",
        ),
    )
    .await;
    until_says(
        &engine,
        "begat_attempts_ended_total{kind=\"command\",outcome=\"interrupted\"} 1",
    )
    .await;
    until_says(&engine, "begat_attempt_resumes_total{kind=\"command\"} 1").await;
    until_says(
        &engine,
        "begat_attempts_ended_total{kind=\"command\",outcome=\"failed\"} 2",
    )
    .await;
    engine.fsck(FsckRequest::default()).await.unwrap();
    let text = metrics(&engine).await;
    assert_eq!(value(&text, "begat_store_fsck_errors"), Some(0.0));
    assert!(value(&text, "begat_store_fsck_last_run_timestamp_seconds").unwrap() > 1.7e9);
    assert_eq!(value(&text, "begat_store_read_only"), Some(0.0));
    engine.stop().await;
}
