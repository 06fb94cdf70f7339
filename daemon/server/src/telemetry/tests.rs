use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use begat_schemas::{
    AttemptId, LaunchId, Metric, RecipeName, RunId, RunState, StageKind, StageName, Time,
};

use super::*;

/// Series of a run with one of every sort: its info, a launch, step, planned, tokens, samples, last event, nine metrics with
/// gauges of their own and one without.
const SERIES_OF_A_RUN: usize = 17;

fn run() -> RunId {
    RunId::of(b"run")
}

fn figures() -> RunFigures {
    let metrics = [
        "loss",
        "eval_loss",
        "learning_rate",
        "grad_norm",
        "perplexity",
        "mean_token_accuracy",
        "entropy",
        "tokens_per_second",
        "mfu",
        "objective/kl",
    ];
    RunFigures {
        attempt: AttemptId {
            run: run(),
            number: 1,
        },
        stage: StageName::new("pretrain").unwrap(),
        kind: StageKind::Pretrain,
        launches: vec![(LaunchId::now(), RecipeName::new("gpt").unwrap())],
        progress: Some((3, 100)),
        tokens: 300,
        samples: 3,
        events: 7,
        last_event: Some(Time::from_milliseconds(1_700_000_000_500)),
        metrics: metrics.map(|name| (name.to_owned(), Metric(0.5))).into(),
    }
}

/// Telemetry that has seen something of everything.
fn busy() -> Telemetry {
    let telemetry = Telemetry::new();
    telemetry
        .http()
        .answered("/api/v1/runs/{id}", "GET", 200, Duration::from_millis(3));
    telemetry.drop_seen("inbox", DropOutcome::Stored);
    telemetry
}

fn store() -> StoreFigures {
    StoreFigures {
        runs: BTreeMap::from([(RunState::Running, 2)]),
        logical_bytes: 1000,
        ..StoreFigures::default()
    }
}

fn lines_of(text: &str, run: RunId) -> Vec<String> {
    let label = format!("run=\"{}\"", run.short());
    text.lines()
        .filter(|line| line.contains(&label))
        .map(str::to_owned)
        .collect()
}

#[test]
fn says_what_is_the_case() {
    let text = busy().text(&store(), &[figures()]);
    let labels = format!("{{run=\"{}\",stage=\"pretrain\"}}", run().short());
    for line in [
        format!("begat_stage_loss{labels} 0.5"),
        format!("begat_stage_step{labels} 3"),
        format!("begat_stage_steps_planned{labels} 100"),
        format!("begat_stage_tokens_total{labels} 300"),
        format!("begat_stage_last_event_timestamp_seconds{labels} 1700000000.5"),
        "begat_runs{state=\"running\"} 2".to_owned(),
        "begat_runs{state=\"failed\"} 0".to_owned(),
        "begat_store_logical_bytes 1000".to_owned(),
        "begat_http_requests_total{method=\"GET\",route=\"/api/v1/runs/{id}\",status=\"200\"} 1"
            .to_owned(),
        "begat_inbox_drops_total{inbox=\"inbox\",outcome=\"stored\"} 1".to_owned(),
        "begat_journal_events_total 7".to_owned(),
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
    for name in [
        "begat_build_info",
        "process_resident_memory_bytes",
        "begat_http_requests_in_flight",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(name)),
            "{name} is not in\n{text}"
        );
    }
}

#[test]
fn a_runs_series_leave_together() {
    let telemetry = busy();
    let text = telemetry.text(&store(), &[figures()]);
    assert_eq!(lines_of(&text, run()).len(), SERIES_OF_A_RUN);
    let text = telemetry.text(&store(), &[]);
    assert_eq!(lines_of(&text, run()), Vec::<String>::new());
}

#[test]
fn a_newer_attempt_takes_the_place_of_an_older_one() {
    let telemetry = busy();
    telemetry.text(&store(), &[figures()]);
    let mut again = figures();
    again.attempt.number = 2;
    again.tokens = 10;
    again.metrics = BTreeMap::from([("loss".to_owned(), Metric(0.25))]);
    let lines = lines_of(&telemetry.text(&store(), &[again, figures()]), run());
    assert_eq!(lines.len(), SERIES_OF_A_RUN - 9, "{lines:#?}");
    let value = |name: &str| {
        let line = lines.iter().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next().map(str::to_owned))
    };
    assert_eq!(value("begat_stage_loss").as_deref(), Some("0.25"));
    assert_eq!(value("begat_stage_tokens_total").as_deref(), Some("10"));
}

#[test]
fn tokens_never_fall_and_count_once_across_a_resume() {
    let telemetry = busy();
    for (tokens, expected) in [(300, "300"), (200, "300"), (400, "400")] {
        let figures = RunFigures {
            tokens,
            ..figures()
        };
        let text = telemetry.text(&store(), &[figures]);
        let line = text
            .lines()
            .find(|line| line.starts_with("begat_stage_tokens_total"));
        assert_eq!(
            line.and_then(|line| line.rsplit(' ').next()),
            Some(expected)
        );
    }
}

#[test]
fn a_program_cannot_flood_prometheus() {
    let metrics = (0..1000).map(|number| (format!("made_up_{number}"), Metric(1.0)));
    let figures = RunFigures {
        metrics: metrics.collect(),
        ..figures()
    };
    let found = lines_of(&busy().text(&store(), &[figures]), run());
    let others = found
        .iter()
        .filter(|line| line.starts_with("begat_stage_metric"));
    assert_eq!(others.count(), 64);
}

/// Prometheus's own linter, where it is installed; where it is not, the list of what did not run says so.
#[test]
fn passes_promtool() {
    let Some(promtool) = promtool() else {
        return not_run("telemetry: promtool check metrics");
    };
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = busy().text(&store(), &[figures()]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.trim().is_empty(),
        "{said}\n{text}"
    );
}

fn promtool() -> Option<std::path::PathBuf> {
    let tools = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/usr/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    [tools]
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join("promtool"))
        .find(|program| program.is_file())
}

fn not_run(what: &str) {
    eprintln!("not run: {what}");
    let Some(list) = std::env::var_os("BEGAT_NOT_RUN") else {
        return;
    };
    let mut list = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(list)
        .unwrap();
    writeln!(list, "{what}").unwrap();
}
