//! Fixed values for the snapshots.

use std::collections::BTreeMap;
use std::str::FromStr;

use begat_schemas::api::*;
use begat_schemas::{
    AttemptId, BlobDigest, Derivation, Device, Difference, Digest, Execution, ExecutionClass,
    InputName, LaunchId, Metric, OutputName, Purpose, RecipeName, RefName, Report, ReportFormat,
    RunId, RunState, StageKind, StageParams, Time, Tree, TreeDigest, TreeEntry, TreePath,
};
use serde_json::json;

fn name<T: FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

fn time(seconds: i64) -> Time {
    Time::from_milliseconds((1_790_000_000 + seconds) * 1000)
}

fn run_id(text: &str) -> RunId {
    RunId::of(text.as_bytes())
}

fn tree_id(text: &str) -> TreeDigest {
    TreeDigest::of(text.as_bytes())
}

fn launch_id() -> LaunchId {
    name("0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
}

fn values(values: &[(&str, f64)]) -> BTreeMap<String, Metric> {
    values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Metric(*value)))
        .collect()
}

fn view(stage: &str, kind: StageKind, state: RunState, output: Option<&str>) -> RunView {
    RunView {
        run: run_id(stage),
        recipe: Some(name("gpt")),
        stage: Some(name(stage)),
        kind,
        launches: vec![launch_id()],
        state,
        outputs: output
            .map(|output| (name(output), tree_id(stage)))
            .into_iter()
            .collect(),
        metrics: BTreeMap::new(),
        started: Some(time(0)),
        seconds: Some(93.4),
        progress: Some((1200, 1953)),
        reason: None,
        attempts: 1,
    }
}

pub fn runs() -> Vec<RunView> {
    let mut sft = view("sft", StageKind::Sft, RunState::Failed, None);
    sft.reason = Some("train.jsonl:2 is not JSON".to_owned());
    let mut pretrain = view("pretrain", StageKind::Pretrain, RunState::Running, None);
    pretrain.metrics = values(&[
        ("loss", 3.217),
        ("learning_rate", 0.004),
        ("grad_norm", 1.5),
    ]);
    let mut tokenizer = view(
        "tokenizer",
        StageKind::Tokenizer,
        RunState::Succeeded,
        Some("tokenizer"),
    );
    tokenizer.metrics = values(&[("vocabulary_size", 2048.0), ("bytes_per_token", 3.12)]);
    tokenizer.progress = None;
    tokenizer.recipe = None;
    vec![sft, pretrain, tokenizer]
}

pub fn run() -> RunDetail {
    let mut view = view(
        "tokenizer",
        StageKind::Tokenizer,
        RunState::Succeeded,
        Some("tokenizer"),
    );
    view.metrics = values(&[("vocabulary_size", 2048.0), ("bytes_per_token", 3.12)]);
    let params =
        StageParams::from_value(StageKind::Tokenizer, &json!({"vocab_size": 2048})).unwrap();
    let corpus: InputName = name("corpus");
    let derivation = Derivation::new(&params, [(corpus.clone(), tree_id("corpus"))].into(), 1);
    let input = InputView {
        tree: tree_id("corpus"),
        producer: None,
        refs: vec![name("demo/corpus")],
    };
    RunDetail {
        inputs: [(corpus, input)].into(),
        refs: vec![name("gpt/tokenizer"), name("llama/tokenizer")],
        attempt_list: vec![
            attempt(1, RunState::Succeeded, Purpose::Launch),
            attempt(2, RunState::Failed, Purpose::Reproduce),
        ],
        view,
        derivation,
    }
}

fn attempt(number: u32, state: RunState, purpose: Purpose) -> AttemptView {
    let class = ExecutionClass {
        numerics: Some(Digest::of(b"numerics")),
        ..ExecutionClass::default()
    };
    AttemptView {
        attempt: AttemptId {
            run: run_id("tokenizer"),
            number,
        },
        purpose,
        state,
        execution: Execution {
            threads: (number == 1).then_some(2),
            device: Device::cpu(),
            ..Execution::default()
        },
        execution_class: (number == 1).then_some(class),
        begat: "0.1.0".to_owned(),
        started: time(i64::from(number) * 100),
        ended: Some(time(i64::from(number) * 100 + 7)),
        resumes: 0,
        outputs: BTreeMap::new(),
        exit: None,
        reason: (state == RunState::Failed).then(|| "killed by \u{1b}[31msignal 9".to_owned()),
    }
}

pub fn launch() -> (LaunchView, BTreeMap<RunId, BTreeMap<String, Metric>>) {
    let stage = |stage: &str, kind, state, output: Option<&str>| StageView {
        stage: name(stage),
        kind,
        run: Some(run_id(stage)),
        state,
        found: stage == "tokenizer",
        outputs: output
            .map(|output| (name::<OutputName>(output), tree_id(stage)))
            .into_iter()
            .collect(),
        reason: (state == StageState::Failed).then(|| "the loss is NaN at step 17".to_owned()),
        progress: (state == StageState::Running).then_some((1200, 1953)),
    };
    let mut blocked = stage(
        "evaluate_sft",
        StageKind::Evaluate,
        StageState::Blocked,
        None,
    );
    blocked.run = None;
    let view = LaunchView {
        launch: launch_id(),
        recipe: name::<RecipeName>("gpt"),
        recipe_blob: BlobDigest::of(b"recipe"),
        overrides: vec![name("stages.sft.learning_rate=1e3")],
        created: time(0),
        state: LaunchState::Failed,
        stages: vec![
            stage(
                "tokenizer",
                StageKind::Tokenizer,
                StageState::Succeeded,
                Some("tokenizer"),
            ),
            stage(
                "pretrain",
                StageKind::Pretrain,
                StageState::Succeeded,
                Some("model"),
            ),
            stage(
                "evaluate_pretrain",
                StageKind::Evaluate,
                StageState::Running,
                None,
            ),
            stage("sft", StageKind::Sft, StageState::Failed, None),
            blocked,
        ],
    };
    let metrics = [(
        run_id("pretrain"),
        values(&[("eval_loss", 2.9), ("loss", 3.01)]),
    )];
    (view, metrics.into())
}

pub fn plan() -> Plan {
    let planned = |stage: &str, kind, action, after: &[&str]| PlannedStage {
        stage: name(stage),
        kind,
        run: (action != PlanAction::KnownAfter).then(|| run_id(stage)),
        action,
        known_after: after.iter().map(|stage| name(stage)).collect(),
        difference: None,
    };
    let mut sft = planned("sft", StageKind::Sft, PlanAction::Run, &[]);
    sft.difference = Some(PlanDifference {
        nearest: run_id("another sft"),
        keys: vec![
            Difference {
                key: "params.learning_rate".to_owned(),
                left: json!(0.001),
                right: json!(0.002),
            },
            Difference {
                key: "inputs.dataset".to_owned(),
                left: json!(tree_id("here")),
                right: json!(tree_id("there")),
            },
            Difference {
                key: "params.packing".to_owned(),
                left: json!(true),
                right: json!(null),
            },
        ],
    });
    Plan {
        recipe: name("gpt"),
        stages: vec![
            planned("tokenizer", StageKind::Tokenizer, PlanAction::Found, &[]),
            planned("pretrain", StageKind::Pretrain, PlanAction::Shared, &[]),
            planned("again", StageKind::Pretrain, PlanAction::Run, &[]),
            sft,
            planned(
                "evaluate_sft",
                StageKind::Evaluate,
                PlanAction::KnownAfter,
                &["sft", "pretrain"],
            ),
        ],
    }
}

pub fn lineage() -> Lineage {
    let tree = |label: &str, refs: &[&str]| LineageNode {
        id: tree_id(label).digest(),
        kind: LineageNodeKind::Tree,
        label: label.to_owned(),
        refs: refs.iter().map(|text| name::<RefName>(text)).collect(),
        state: None,
    };
    let run = |label: &str| LineageNode {
        id: run_id(&format!("run {label}")).digest(),
        kind: LineageNodeKind::Run,
        label: label.to_owned(),
        refs: Vec::new(),
        state: Some(RunState::Succeeded),
    };
    let edge = |from: Digest, to: Digest, name: &str| LineageEdge {
        from,
        to,
        name: name.to_owned(),
    };
    let (model, dataset, corpus, tokens, base) = (
        tree("gpt/sft", &["gpt/sft", "champion"]),
        tree("demo/sft", &["demo/sft"]),
        tree("a \"corpus\"", &[]),
        tree("gpt/tokenizer", &["gpt/tokenizer"]),
        tree("gpt/pretrain", &["gpt/pretrain"]),
    );
    let (sft, pretrain, tokenizer) = (run("gpt/sft"), run("gpt/pretrain"), run("gpt/tokenizer"));
    let edges = vec![
        edge(sft.id, model.id, "model"),
        edge(base.id, sft.id, "model"),
        edge(dataset.id, sft.id, "dataset"),
        edge(pretrain.id, base.id, "model"),
        edge(tokens.id, pretrain.id, "tokenizer"),
        edge(corpus.id, pretrain.id, "corpus"),
        edge(tokenizer.id, tokens.id, "tokenizer"),
        edge(corpus.id, tokenizer.id, "corpus"),
        edge(tokens.id, sft.id, "tokenizer"),
    ];
    Lineage {
        root: model.id,
        nodes: vec![
            model, sft, base, dataset, pretrain, tokens, corpus, tokenizer,
        ],
        edges,
    }
}

fn reproduction(state: ReproduceState, verdict: RunVerdict) -> ReproduceView {
    ReproduceView {
        id: name("0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c"),
        request: ReproduceRequest {
            target: "gpt/sft".to_owned(),
            ..ReproduceRequest::default()
        },
        created: time(0),
        state,
        verdicts: vec![verdict],
    }
}

fn verdict(state: ReproduceState, output: Option<OutputVerdict>) -> RunVerdict {
    let attempt = |number| AttemptId {
        run: run_id("sft"),
        number,
    };
    RunVerdict {
        run: run_id("sft"),
        label: Some("gpt/sft".to_owned()),
        original: attempt(1),
        attempt: Some(attempt(2)),
        state,
        same_execution_class: Some(true),
        differing_probes: Vec::new(),
        first_differing_step: None,
        steps_compared: 1234,
        outputs: output.into_iter().collect(),
        reason: None,
    }
}

fn output(found: &str, identical: u64, files: Vec<FileVerdict>) -> OutputVerdict {
    OutputVerdict {
        output: name("model"),
        expected: tree_id("sft"),
        found: tree_id(found),
        tensors: 52,
        identical_tensors: identical,
        differing_files: files,
    }
}

pub fn identical() -> ReproduceView {
    let verdict = verdict(
        ReproduceState::Identical,
        Some(output("sft", 52, Vec::new())),
    );
    reproduction(ReproduceState::Identical, verdict)
}

pub fn different() -> ReproduceView {
    let tensor = |name: &str, max_difference| TensorVerdict {
        name: name.to_owned(),
        differing: 1200,
        elements: 49_152,
        max_difference,
    };
    let file = FileVerdict {
        path: TreePath::new("model.safetensors").unwrap(),
        what: "content".to_owned(),
        tensors: vec![
            tensor("transformer.h.0.attn.c_attn.weight", Some(1.2e-7)),
            tensor("transformer.h.0.attn.c_proj.weight", None),
        ],
    };
    let mut verdict = verdict(
        ReproduceState::Different,
        Some(output("other", 50, vec![file])),
    );
    verdict.same_execution_class = Some(false);
    verdict.differing_probes = vec!["matmul_float32".to_owned()];
    verdict.first_differing_step = Some(8);
    reproduction(ReproduceState::Different, verdict)
}

pub fn corrupt() -> ReproduceView {
    let mut verdict = verdict(ReproduceState::Corrupt, None);
    verdict.reason = Some("chunk 3f9c0d12ab34 of the stored output is damaged".to_owned());
    verdict.same_execution_class = None;
    verdict.steps_compared = 0;
    verdict.attempt = None;
    reproduction(ReproduceState::Corrupt, verdict)
}

pub fn metrics() -> MetricsView {
    let curve = |from: f64| -> Vec<(u64, Metric)> {
        (1..=20)
            .map(|step| (step * 10, Metric(from / (step as f64).sqrt())))
            .collect()
    };
    let mut broken = curve(4.0);
    broken[3].1 = Metric(f64::NAN);
    MetricsView {
        attempt: AttemptId {
            run: run_id("pretrain"),
            number: 1,
        },
        steps: Some((10, 200)),
        series: [
            ("loss".to_owned(), broken),
            ("eval_loss".to_owned(), vec![(200, Metric(1.5))]),
        ]
        .into(),
        thinned: false,
    }
}

pub fn tree() -> Tree {
    let entry = |path: &str, size, executable| TreeEntry {
        path: TreePath::new(path).unwrap(),
        size,
        blob: BlobDigest::of(path.as_bytes()),
        executable,
    };
    let entries = vec![
        entry("model.safetensors", 4_400_120, false),
        entry("config.json", 512, false),
        entry("bin/run", 20, true),
    ];
    Tree::new(entries).unwrap()
}

pub fn report() -> Report {
    Report {
        format: ReportFormat::Version1,
        metrics: values(&[("eval_loss", 1.234_567), ("gold_score", 0.25)]),
        counts: [("prompts".to_owned(), 600)].into(),
    }
}

pub fn disk_usage() -> DiskUsage {
    DiskUsage {
        logical_bytes: 10_000_000,
        unique_bytes: 4_000_000,
        stored_bytes: 2_500_000,
        chunks: 1234,
        blobs: 56,
        packs: 3,
        free_bytes: 12_000_000_000,
        refs: vec![UsageEntry {
            name: "gpt/sft".to_owned(),
            tree: tree_id("sft"),
            files: 5,
            bytes: 4_400_632,
        }],
    }
}

pub fn fsck() -> FsckReport {
    FsckReport {
        packs: 3,
        chunks: 1234,
        blobs: 56,
        bytes_read: 2_500_000,
        faults: vec![ObjectFault {
            kind: "chunk".to_owned(),
            id: Digest::of(b"chunk").to_hex(),
            problem: "its bytes have another digest".to_owned(),
        }],
    }
}

pub fn gc(dry_run: bool) -> GcReport {
    GcReport {
        dry_run,
        live_blobs: 50,
        dead_blobs: 6,
        packs_rewritten: 1,
        bytes_before: 2_500_000,
        bytes_after: 2_000_000,
    }
}

pub fn refs() -> Vec<RefView> {
    vec![RefView {
        name: name("gpt/sft"),
        tree: tree_id("sft"),
        updated: time(5),
        reason: "launch 0199a1b2".to_owned(),
    }]
}

pub fn ref_history() -> Vec<RefChange> {
    let change = |seconds, tree| RefChange {
        time: time(seconds),
        tree,
        reason: "begat tag".to_owned(),
    };
    vec![change(1, Some(tree_id("a"))), change(2, None)]
}
