//! Records to tell the ledger, and all of its answers as one value to compare.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use begat_ledger::{
    AttemptEnd, LaunchStage, Ledger, LedgerOptions, LineageRoot, OpenReport, Record, RunFilter,
};
use begat_schemas::api::LaunchState;
use begat_schemas::{
    AttemptId, BlobDigest, Derivation, Execution, InputName, LaunchId, Metric, OutputName, Purpose,
    RecipeName, RefName, RunId, RunState, StageKind, StageName, StageParams, Time, TreeDigest,
};
use begat_store::fs::Fs;
use serde_json::{Value, json};
use uuid::Uuid;

pub fn open(folder: &Path) -> (Ledger, OpenReport) {
    Ledger::open(LedgerOptions::new(folder)).unwrap()
}

/// A ledger whose log lies on `fs` and whose index on the real disk.
pub fn options_on(fs: &impl FsClone, index: &Path) -> LedgerOptions {
    let mut options = LedgerOptions::new("/data/ledger");
    options.fs = fs.shared();
    options.index_folder = index.to_owned();
    // Small, so that a short history crosses several files.
    options.log_file_bytes = 4096;
    options
}

pub trait FsClone {
    fn shared(&self) -> Arc<dyn Fs>;
}

impl<F: Fs + Clone + 'static> FsClone for F {
    fn shared(&self) -> Arc<dyn Fs> {
        Arc::new(self.clone())
    }
}

pub fn at(seconds: i64) -> Time {
    Time::from_milliseconds(1_764_000_000_000 + seconds * 1000)
}

/// Launch ids sort by time; these by their number.
pub fn launch(number: u128) -> LaunchId {
    LaunchId::from(Uuid::from_u128(
        0x0192_0000_0000_7000_8000_0000_0000_0000 + number,
    ))
}

pub fn tree(name: &str) -> TreeDigest {
    TreeDigest::of(name.as_bytes())
}

pub fn stage(name: &str) -> StageName {
    StageName::new(name).unwrap()
}

pub fn recipe(name: &str) -> RecipeName {
    RecipeName::new(name).unwrap()
}

pub fn ref_name(name: &str) -> RefName {
    RefName::new(name).unwrap()
}

/// A tokenizer of this size over the tree of this name: the smallest derivation there is.
pub fn derivation(corpus: &str, vocab_size: u32) -> Derivation {
    let params = json!({ "vocab_size": vocab_size });
    let params = StageParams::from_value(StageKind::Tokenizer, &params).unwrap();
    let input = (InputName::new("corpus").unwrap(), tree(corpus));
    Derivation::new(&params, BTreeMap::from([input]), 1)
}

pub fn run(derivation: &Derivation) -> RunId {
    derivation.run_id().unwrap()
}

pub fn attempt(run: RunId, number: u32) -> AttemptId {
    AttemptId { run, number }
}

/// A launch whose stages need one another in turn.
pub fn created(number: u128, name: &str, stages: &[&str]) -> Record {
    let all = stages.iter().enumerate().map(|(index, name)| LaunchStage {
        stage: stage(name),
        kind: StageKind::Tokenizer,
        needs: stages[index.saturating_sub(1)..index]
            .iter()
            .map(|name| stage(name))
            .collect(),
    });
    Record::LaunchCreated {
        launch: launch(number),
        recipe: recipe(name),
        recipe_blob: BlobDigest::of(name.as_bytes()),
        overrides: Vec::new(),
        rerun: Vec::new(),
        stages: all.collect(),
    }
}

pub fn declared(derivation: &Derivation) -> Record {
    Record::RunDeclared {
        run: run(derivation),
        derivation: derivation.clone(),
    }
}

pub fn stage_run(number: u128, name: &str, run: RunId, found: bool) -> Record {
    Record::StageRun {
        launch: launch(number),
        stage: stage(name),
        run,
        found,
        attempt: None,
    }
}

pub fn started(id: AttemptId, purpose: Purpose) -> Record {
    Record::AttemptStarted {
        attempt: id,
        purpose,
        execution: Execution::default(),
        begat: "0.1.0".to_owned(),
        work: format!("{id:?}"),
        recipe: recipe("gpt"),
        stage: stage("tokenizer"),
    }
}

pub fn becomes(id: AttemptId, state: RunState) -> Record {
    Record::AttemptState {
        attempt: id,
        state,
        reason: None,
    }
}

pub fn resumed(id: AttemptId) -> Record {
    Record::AttemptResumed {
        attempt: id,
        from_step: Some(2),
    }
}

pub fn ended(id: AttemptId, state: RunState, output: Option<&str>) -> Record {
    let outputs = output.map(|name| (OutputName::new("tokenizer").unwrap(), tree(name)));
    let reason = (state == RunState::Failed).then(|| "loss is NaN in step 3".to_owned());
    Record::AttemptEnded {
        attempt: id,
        end: AttemptEnd {
            state,
            outputs: outputs.into_iter().collect(),
            exit: None,
            reason,
            journal: Some(BlobDigest::of(id.to_string().as_bytes())),
            log: None,
            execution_class: None,
            metrics: BTreeMap::from([("loss".to_owned(), Metric(1.5))]),
            progress: Some((3, 3)),
            seconds: 12.5,
        },
    }
}

/// All that an attempt that succeeds leaves in the log.
pub fn succeeds(id: AttemptId, purpose: Purpose, output: &str) -> Vec<Record> {
    vec![
        started(id, purpose),
        becomes(id, RunState::Storing),
        ended(id, RunState::Succeeded, Some(output)),
    ]
}

pub fn moved(name: &str, to: Option<&str>) -> Record {
    Record::RefMoved {
        name: ref_name(name),
        tree: to.map(tree),
        reason: "test".to_owned(),
    }
}

pub fn added(name: &str) -> Record {
    Record::TreeAdded {
        tree: tree(name),
        by: "ada".to_owned(),
        name: Some(name.to_owned()),
        files: 1,
        bytes: 10,
    }
}

/// A history that touches every part of the index: appends in order, each to be acknowledged before the next.
pub fn history() -> Vec<Vec<Record>> {
    let small = derivation("corpus", 512);
    let large = derivation("corpus", 1024);
    let (one, two) = (run(&small), run(&large));
    let id = Uuid::from_u128(7);
    vec![
        vec![added("corpus"), moved("demo/corpus", Some("corpus"))],
        vec![created(1, "gpt", &["tokenizer", "pretrain"])],
        vec![declared(&small), stage_run(1, "tokenizer", one, false)],
        vec![started(attempt(one, 1), Purpose::Launch)],
        vec![becomes(attempt(one, 1), RunState::Interrupted)],
        vec![resumed(attempt(one, 1))],
        vec![becomes(attempt(one, 1), RunState::Storing)],
        vec![
            ended(attempt(one, 1), RunState::Succeeded, Some("small")),
            moved("gpt/tokenizer", Some("small")),
        ],
        vec![created(2, "llama", &["tokenizer"])],
        vec![
            declared(&small),
            stage_run(2, "tokenizer", one, true),
            Record::LaunchState {
                launch: launch(2),
                state: LaunchState::Succeeded,
            },
        ],
        vec![declared(&large), stage_run(1, "pretrain", two, false)],
        vec![started(attempt(two, 1), Purpose::Launch)],
        vec![ended(attempt(two, 1), RunState::Failed, None)],
        vec![Record::ReproductionCreated {
            id,
            request: begat_schemas::api::ReproduceRequest::default(),
            runs: vec![one],
        }],
        succeeds(attempt(one, 2), Purpose::Reproduce, "small"),
        vec![Record::CheckpointKept {
            attempt: attempt(one, 1),
            step: 2,
            tree: tree("kept"),
        }],
        vec![moved("champion", Some("small")), moved("champion", None)],
        vec![Record::RunRemoved { run: two }],
    ]
}

/// Everything that the ledger answers, about every object that [`history`] or a random one can know.
pub fn answers(ledger: &Ledger) -> Value {
    let runs = ledger.runs(&RunFilter::default()).unwrap();
    let launches = ledger.launches(None, usize::MAX).unwrap();
    let trees = ["corpus", "small", "large", "kept"].map(tree);
    let by_run = runs.iter().map(|view| {
        json!([
            ledger.run_detail(view.run).unwrap(),
            ledger.lineage(LineageRoot::Run(view.run)).unwrap(),
            ledger.label(view.run).unwrap(),
            format!("{:?}", ledger.attempts(view.run).unwrap()),
            format!("{:?}", ledger.launches_of(view.run).unwrap()),
        ])
    });
    let by_tree = trees.iter().map(|tree| {
        json!([
            ledger.lineage(LineageRoot::Tree(*tree)).unwrap(),
            ledger.refs_to(*tree).unwrap(),
            format!("{:?}", ledger.producers(*tree).unwrap()),
            format!("{:?}", ledger.consumers(*tree).unwrap()),
            format!("{:?}", ledger.additions(*tree).unwrap()),
        ])
    });
    let by_launch = launches.iter().map(|id| ledger.launch_view(*id).unwrap());
    let names = ["demo/corpus", "gpt/tokenizer", "champion"].map(ref_name);
    json!({
        "runs": by_run.collect::<Vec<_>>(),
        "trees": by_tree.collect::<Vec<_>>(),
        "launches": by_launch.collect::<Vec<_>>(),
        "open": ledger.open_launches().unwrap(),
        "live": ledger.live_runs().unwrap(),
        "attempts": format!("{:?}", ledger.live_attempts().unwrap()),
        "counts": ledger.run_counts().unwrap(),
        "refs": ledger.refs().unwrap(),
        "history": names.map(|name| ledger.ref_history(&name).unwrap()),
        "roots": format!("{:?}", ledger.roots().unwrap()),
        "reproductions": ledger.reproductions(9).unwrap().into_iter()
            .map(|id| ledger.reproduction(id).unwrap()).collect::<Vec<_>>(),
    })
}

/// Tells a ledger the whole history.
pub fn tell(ledger: &Ledger) {
    for (second, records) in (0..).zip(history()) {
        ledger.append(at(second), records).unwrap();
    }
}
