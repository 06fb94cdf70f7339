//! Prints what a ledger of many finished runs costs: `cargo run -p begat-ledger --example many_runs -- 10000`.
//! `many_runs fill 10000 FOLDER` makes one for others to measure.

#![allow(clippy::unwrap_used)]
#![expect(
    clippy::disallowed_methods,
    reason = "it reads its own memory from /proc"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use begat_ledger::{AttemptEnd, LaunchStage, Ledger, LedgerOptions, Record, RunFilter};
use begat_schemas::{
    AttemptId, BlobDigest, Derivation, Execution, InputName, LaunchId, Metric, OutputName, Purpose,
    RecipeName, RefName, RunId, RunState, StageKind, StageName, StageParams, Time, TreeDigest,
};

const THREADS: u32 = 16;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runs = |at: usize| {
        let given = arguments.get(at);
        given.map_or(10_000, |runs| runs.parse().unwrap())
    };
    match (arguments.get(1).map(String::as_str), arguments.get(2)) {
        (Some("fill"), Some(_)) => keep(runs(2), Path::new(&arguments[3])),
        (_, Some(folder)) => measure(Path::new(folder)),
        _ => fill(runs(1)),
    }
}

fn keep(runs: u32, folder: &Path) {
    let (ledger, _) = Ledger::open(LedgerOptions::new(folder)).unwrap();
    append_runs(&ledger, runs);
    ledger.close().unwrap();
}

fn fill(runs: u32) {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(LedgerOptions::new(folder.path())).unwrap();
    timed("append", || {
        append_runs(&ledger, runs);
        let group = ledger.statistics();
        format!(
            "{runs} finished runs of {THREADS} threads: {} appends in {} syncs",
            group.appends, group.syncs
        )
    });
    timed("close", || {
        ledger.close().unwrap();
        String::new()
    });
    // In a process of its own, whose memory is that of a daemon just started.
    let measured = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["measure".as_ref(), folder.path()])
        .status();
    assert!(measured.unwrap().success());
}

fn measure(folder: &Path) {
    let options = || LedgerOptions::new(folder);
    let mut ledger = None;
    timed("open", || {
        ledger = Some(Ledger::open(options()).unwrap().0);
        String::new()
    });
    let ledger = ledger.unwrap();
    let newest = RunFilter {
        limit: Some(50),
        ..RunFilter::default()
    };
    timed("the newest 50 runs", || {
        ledger.runs(&newest).unwrap().len().to_string()
    });
    timed("counts by state", || {
        format!("{:?}", ledger.run_counts().unwrap())
    });
    timed("roots of a collection", || {
        ledger.roots().unwrap().trees.len().to_string()
    });
    timed("the index made afresh", || {
        ledger.rebuild_index().unwrap();
        String::new()
    });
    timed("all runs", || {
        ledger
            .runs(&RunFilter::default())
            .unwrap()
            .len()
            .to_string()
    });
}

fn timed(what: &str, work: impl FnOnce() -> String) {
    let begun = Instant::now();
    let found = work();
    let milliseconds = begun.elapsed().as_secs_f64() * 1000.0;
    let resident = resident_mib();
    println!("{what:24} {milliseconds:10.1} ms {resident:5} MiB resident   {found}");
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap() / 1024
}

fn append_runs(ledger: &Ledger, runs: u32) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for number in (thread..runs).step_by(THREADS as usize) {
                    append_run(ledger, number);
                }
            });
        }
    });
}

/// The four appends of a run that goes well, as a daemon makes them.
fn append_run(ledger: &Ledger, number: u32) {
    let stage = StageName::new("pretrain").unwrap();
    let recipe = RecipeName::new("gpt").unwrap();
    let params = serde_json::json!({ "vocab_size": 1000 + number });
    let params = StageParams::from_value(StageKind::Tokenizer, &params).unwrap();
    let corpus = (InputName::new("corpus").unwrap(), TreeDigest::of(b"corpus"));
    let derivation = Derivation::new(&params, BTreeMap::from([corpus]), 1);
    let run = derivation.run_id().unwrap();
    let launch = LaunchId::now();
    let attempt = AttemptId { run, number: 1 };
    let append = |records| ledger.append(Time::now(), records).unwrap();
    append(vec![
        Record::LaunchCreated {
            launch,
            recipe: recipe.clone(),
            recipe_blob: BlobDigest::of(&number.to_le_bytes()),
            overrides: Vec::new(),
            rerun: Vec::new(),
            stages: vec![LaunchStage {
                stage: stage.clone(),
                kind: StageKind::Tokenizer,
                needs: Vec::new(),
            }],
        },
        Record::RunDeclared { run, derivation },
        Record::StageRun {
            launch,
            stage: stage.clone(),
            run,
            found: false,
            attempt: None,
        },
    ]);
    append(vec![Record::AttemptStarted {
        attempt,
        purpose: Purpose::Launch,
        execution: Execution::default(),
        begat: "0.1.0".to_owned(),
        work: attempt.to_string(),
        recipe: recipe.clone(),
        stage: stage.clone(),
    }]);
    append(vec![Record::AttemptState {
        attempt,
        state: RunState::Storing,
        reason: None,
    }]);
    let end = end_of(run);
    let tree = end.outputs.values().next().copied();
    append(vec![
        Record::AttemptEnded { attempt, end },
        Record::RefMoved {
            name: RefName::of_stage(&recipe, &stage),
            tree,
            reason: "stage succeeded".to_owned(),
        },
        Record::LaunchState {
            launch,
            state: begat_schemas::api::LaunchState::Succeeded,
        },
    ]);
}

fn end_of(run: RunId) -> AttemptEnd {
    let metrics = ["loss", "grad_norm", "learning_rate", "mean_token_accuracy"];
    let output = OutputName::new("tokenizer").unwrap();
    AttemptEnd {
        state: RunState::Succeeded,
        outputs: BTreeMap::from([(output, TreeDigest::of(run.as_bytes()))]),
        exit: None,
        reason: None,
        journal: Some(BlobDigest::of(run.as_bytes())),
        log: None,
        execution_class: None,
        metrics: metrics
            .map(|name| (name.to_owned(), Metric(1.5)))
            .into_iter()
            .collect(),
        progress: Some((200, 200)),
        seconds: 60.0,
    }
}
