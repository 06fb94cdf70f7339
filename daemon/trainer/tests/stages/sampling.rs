//! `annotate`, `rejection_sampling`, and `evaluate` beside a reward model and a reference.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use begat_schemas::{Report, ReportSample};
use serde_json::{Value, json};

use crate::fixture::{Fixture, Stage, Tree, assert_same, fail, prepare, succeed, tree};

/// A labeller that prefers what is longer, and sees lines like `{"row":3,"k":0,…}`.
const JUDGE: &str =
    r#"awk -F'[:,]' '{printf "{\"row\":%s,\"k\":%s,\"score\":%d}\n", $2, $4, length($0)}'"#;

fn sampled(kind: &'static str, fixture: &Fixture, more: Value) -> Stage {
    let mut params = json!({
        "prompts": 12, "num_generations": 4, "max_new_tokens": 12, "stop": [";", "{"], "per_device_eval_batch_size": 8,
    });
    params
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    Stage {
        kind,
        params,
        inputs: vec![
            ("policy", fixture.model("llama")),
            ("prompts", fixture.path("pairs")),
        ],
        execution: json!({}),
    }
}

fn annotate(fixture: &Fixture, more: Value) -> Stage {
    let mut stage = sampled("annotate", fixture, more);
    if stage.params["labeller"] == "reward_model" {
        stage
            .inputs
            .push(("reward_model", fixture.reward_model("llama")));
    }
    stage
}

fn rejection(fixture: &Fixture, more: Value) -> Stage {
    let mut stage = sampled("rejection_sampling", fixture, more);
    stage
        .inputs
        .push(("reward_model", fixture.reward_model("llama")));
    stage
}

fn commanded(fixture: &Fixture, script: &str) -> (Stage, PathBuf) {
    let path = fixture.path("judge.sh");
    std::fs::write(&path, script).unwrap();
    let command = json!(["sh", path]);
    (
        annotate(fixture, json!({"labeller": "command", "command": command})),
        path,
    )
}

fn rows(files: &Tree, name: &str) -> Vec<Value> {
    let text = std::str::from_utf8(&files[name]).unwrap();
    let canonical = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            begat_schemas::canonical_json(&value).unwrap(),
            line.as_bytes()
        );
        value
    };
    text.lines().map(canonical).collect()
}

fn report(files: &Tree) -> Report {
    serde_json::from_slice(&files["report/metrics.json"]).unwrap()
}

/// The same bits on other numbers of threads, in other folders.
fn check_repeats(fixture: &Fixture, name: &str, stage: &Stage) -> Tree {
    let trees = [1, 2, 4].map(|threads| {
        let mut stage = stage.clone();
        stage.execution["threads"] = json!(threads);
        succeed(&fixture.path(&format!("{name}-{threads}")), &stage)
    });
    assert_same(&trees[0], &trees[1]);
    assert_same(&trees[0], &trees[2]);
    let [first, ..] = trees;
    first
}

#[test]
fn a_reward_models_pairs_name_where_they_come_from() {
    let fixture = Fixture::new();
    let stage = annotate(
        &fixture,
        json!({"labeller": "reward_model", "gold": "rust-signature"}),
    );
    let files = check_repeats(&fixture, "pairs", &stage);
    let rows = rows(&files, "dataset/train.jsonl");
    let report = report(&files);
    assert_eq!(report.counts["pairs"], rows.len() as u64);
    assert_eq!(report.counts["samples"], 48);
    let strengths = ["significantly", "better", "slightly", "negligibly"];
    let strengths = strengths.map(|strength| report.counts[&format!("pairs_{strength}")]);
    assert_eq!(strengths.iter().sum::<u64>(), rows.len() as u64);
    let digest = |name: &str| begat_schemas::TreeDigest::of(name.as_bytes()).to_string();
    for row in &rows {
        let gap = row["score_chosen"].as_f64().unwrap() - row["score_rejected"].as_f64().unwrap();
        assert!(gap > 0.03, "{row}");
        assert_ne!(row["chosen"], row["rejected"]);
        assert_eq!(row["policy"], digest("policy"));
        assert_eq!(
            row["labeller"],
            format!("reward model: {}", digest("reward_model"))
        );
        assert_eq!(row["seed"], 7);
        assert!(!row["chosen"].as_str().unwrap().contains([';', '{']));
    }
    let of_row = |number: u64| rows.iter().filter(|row| row["row"] == number).count();
    assert!((0..12).all(|number| of_row(number) <= 3) && of_row(12) == 0);
    let card = String::from_utf8(files["dataset/README.md"].clone()).unwrap();
    assert!(
        card.contains("No person has judged anything here."),
        "{card}"
    );
}

#[test]
fn samples_depend_on_nothing_but_their_row_and_number() {
    let fixture = Fixture::new();
    let scores = |name: &str, more: Value| {
        let mut params = json!({"labeller": "reward_model", "form": "scores"});
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let files = succeed(&fixture.path(name), &annotate(&fixture, params));
        rows(&files, "dataset/train.jsonl")
    };
    let of = |rows: &[Value], row: u64| -> Vec<Value> {
        let wanted = rows
            .iter()
            .filter(|one| one["row"] == row && one["sample"].as_u64().unwrap() < 3);
        wanted.cloned().collect()
    };
    let (few, many) = (
        scores("few", json!({})),
        scores("many", json!({"num_generations": 7})),
    );
    let later = scores("later", json!({"first_prompt": 5, "prompts": 3}));
    assert_eq!(
        later.iter().map(|row| row["row"].as_u64().unwrap()).min(),
        Some(5)
    );
    for row in 5..8 {
        assert!(!of(&few, row).is_empty());
        assert_eq!(of(&few, row), of(&later, row));
        assert_eq!(of(&few, row), of(&many, row));
    }
}

#[test]
fn rankings_go_from_best_to_worst_without_ties() {
    let fixture = Fixture::new();
    let stage = annotate(
        &fixture,
        json!({"labeller": "reward_model", "form": "rankings"}),
    );
    let files = check_repeats(&fixture, "rankings", &stage);
    let rows = rows(&files, "dataset/train.jsonl");
    assert!(!rows.is_empty());
    for row in rows {
        let scores: Vec<f64> = row["scores"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_f64().unwrap())
            .collect();
        assert!(
            scores.len() >= 2 && scores.is_sorted_by(|one, next| one - next > 0.03),
            "{row}"
        );
        assert_eq!(row["responses"].as_array().unwrap().len(), scores.len());
    }
}

#[test]
fn a_program_judges_and_what_it_said_can_be_replayed() {
    let fixture = Fixture::new();
    let (mut stage, script) = commanded(&fixture, JUDGE);
    let said = check_repeats(&fixture, "said", &stage);
    for row in rows(&said, "dataset/train.jsonl") {
        let length = |name: &str| row[name].to_string().len();
        assert!(length("chosen") > length("rejected"), "{row}");
        assert_eq!(row["labeller"], "command");
    }
    // There is no program any more, only what it said.
    std::fs::remove_file(&script).unwrap();
    let judgements = fixture.path("said-1/outputs/judgements");
    stage.inputs.push(("judgements", judgements));
    assert_same(&said, &succeed(&fixture.path("replayed"), &stage));
    stage.params["temperature"] = json!(3);
    let (reason, _) = fail(&fixture.path("other"), &stage);
    assert!(
        reason.starts_with("train.jsonl:") && reason.contains("row "),
        "{reason}"
    );
}

#[test]
fn a_program_that_does_not_judge_fails_the_stage() {
    let fixture = Fixture::new();
    for (number, (script, expected)) in [
        (
            "cat >/dev/null; echo sorry >&2; exit 4",
            "labeller `sh`: ended with exit status: 4; it said: sorry",
        ),
        (
            "cat >/dev/null",
            "labeller `sh`: no judgement of candidate 0 of row 0",
        ),
        (
            "cat >/dev/null; echo 7",
            "labeller `sh`: line 1 of its output: expected a JSON object",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let (stage, _) = commanded(&fixture, script);
        let (reason, _) = fail(&fixture.path(&format!("fails-{number}")), &stage);
        assert!(reason.starts_with(expected), "{reason}");
    }
}

/// A model that has learned the fixture's signatures well enough for the rule to tell its samples apart.
fn taught(fixture: &Fixture) -> PathBuf {
    let work = fixture.path("taught");
    let mut stage = fixture.sft("llama");
    stage.params["num_train_epochs"] = json!(40);
    stage.params["learning_rate"] = json!(6e-3);
    succeed(&work, &stage);
    work.join("outputs/model")
}

#[test]
fn a_rule_labels_what_it_can_compare() {
    let fixture = Fixture::new();
    let more = json!({"labeller": "rule", "gold": "rust-signature", "max_new_tokens": 40});
    let mut stage = annotate(&fixture, more);
    let (reason, _) = fail(&fixture.path("untaught"), &stage);
    assert!(reason.contains("no two answers"), "{reason}");
    stage.inputs[0].1 = taught(&fixture);
    let files = check_repeats(&fixture, "rule", &stage);
    let found = report(&files);
    assert!(found.metrics["gold_score"].0 > 0.1, "{:?}", found.metrics);
    for row in rows(&files, "dataset/train.jsonl") {
        assert_eq!(row["labeller"], "rule: rust-signature, revision 1");
    }
    let card = String::from_utf8(files["dataset/README.md"].clone()).unwrap();
    assert!(
        card.contains("Labelled by a **rule**") && !card.contains("human"),
        "{card}"
    );
    let prompts = fixture.dataset(
        "bare",
        "train",
        (0..3).map(|i| json!({"prompt": format!("/// {i}")})),
    );
    stage.inputs[1].1 = prompts;
    let (reason, _) = fail(&fixture.path("bare-work"), &stage);
    assert_eq!(
        reason,
        "train.jsonl:1: no field `completion`, which `gold` compares with"
    );
}

#[test]
fn the_best_are_kept_and_the_gain_is_reported() {
    let fixture = Fixture::new();
    let mut stage = rejection(
        &fixture,
        json!({"gold": "rust-signature", "num_generations": 8}),
    );
    let files = check_repeats(&fixture, "kept", &stage);
    let rows = rows(&files, "dataset/train.jsonl");
    assert_eq!(rows.len(), 12);
    let found = report(&files);
    let metric = |name: &str| found.metrics[name].0;
    let curve = [1, 2, 4, 8].map(|k| metric(&format!("reward_best_of_{k}")));
    assert!(curve.is_sorted_by(|one, next| one < next), "{curve:?}");
    assert!((metric("kept_reward") - curve[3]).abs() < 1e-12);
    assert!(metric("reward_worst") < metric("reward_mean"));
    assert!(found.metrics.contains_key("gold_score_gain_of_8_low"));
    for row in &rows {
        assert!(row["gold"].is_number() && row["round"] == 1 && row["sample"].is_number());
    }
    // What is kept is something to learn from.
    let mut sft = fixture.sft("llama");
    sft.inputs[1].1 = fixture.path("kept-1/outputs/dataset");
    succeed(&fixture.path("learned"), &sft);
    let median = rows[5]["score"].clone();
    stage.params["min_score"] = median.clone();
    let some = succeed(&fixture.path("some"), &stage);
    let counts = report(&some).counts;
    assert!(
        counts["kept"] < 12 && counts["kept"] + counts["left_out"] == 12,
        "{counts:?}"
    );
    stage.params["min_score"] = json!(1e9);
    let (reason, _) = fail(&fixture.path("none"), &stage);
    assert!(
        reason.contains("none of its 12 prompts has an answer with a reward of at least"),
        "{reason}"
    );
}

#[test]
fn answers_of_earlier_rounds_compete() {
    let fixture = Fixture::new();
    let first = succeed(&fixture.path("first"), &rejection(&fixture, json!({})));
    let mut stage = rejection(
        &fixture,
        json!({"temperature": 0.7, "first_prompt": 4, "prompts": 12}),
    );
    stage
        .inputs
        .push(("earlier", fixture.path("first/outputs/dataset")));
    let second = check_repeats(&fixture, "second", &stage);
    let (first, second_rows) = (
        rows(&first, "dataset/train.jsonl"),
        rows(&second, "dataset/train.jsonl"),
    );
    assert_eq!(second_rows.len(), 16);
    let order: Vec<u64> = second_rows
        .iter()
        .map(|row| row["row"].as_u64().unwrap())
        .collect();
    assert_eq!(order, (4..16).chain(0..4).collect::<Vec<u64>>());
    let mut old = 0;
    for row in &first {
        let same = second_rows
            .iter()
            .find(|one| one["prompt"] == row["prompt"])
            .unwrap();
        assert!(same["score"].as_f64() >= row["score"].as_f64());
        old += u64::from(same["round"] == 1);
        if same["round"] == 1 {
            assert_eq!(same, row);
        }
    }
    let counts = report(&second).counts;
    assert_eq!(
        (counts["kept_of_earlier_rounds"], counts["round"]),
        (old, 2)
    );
    assert!((4..12).contains(&old), "{old}");
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    let fixture = Fixture::new();
    let mut stage = rejection(&fixture, json!({}));
    stage.inputs[0].1 = fixture.reward_model("llama");
    let reason = |name: &str, stage: &Stage| fail(&fixture.path(name), stage).0;
    let found = reason("policy", &stage);
    assert!(
        found.starts_with("input `policy`: expected a language model"),
        "{found}"
    );
    let mut stage = rejection(&fixture, json!({}));
    stage.inputs[2].1 = fixture.model("llama");
    let found = reason("reward", &stage);
    assert!(
        found.starts_with("input `reward_model`: expected a reward model"),
        "{found}"
    );
    let other = Fixture::new();
    other.dataset(
        "corpus",
        "train",
        (0..60).map(|i| json!({"text": format!("other words {i} ").repeat(9)})),
    );
    stage.inputs[2].1 = other.reward_model("llama");
    let found = reason("tokenizer", &stage);
    assert!(
        found.starts_with("input `reward_model`: its tokenizer has digest "),
        "{found}"
    );
    let stage = rejection(&fixture, json!({"first_prompt": 99}));
    assert_eq!(
        reason("first", &stage),
        "parameter first_prompt: expected less than the 45 rows of `prompts`, found 99"
    );
    let stage = rejection(&fixture, json!({"num_generations": 1}));
    assert!(reason("one", &stage).starts_with("parameter num_generations: expected at least 2"));
}

#[test]
fn a_model_is_even_with_itself_and_apart_from_another() {
    let fixture = Fixture::new();
    let mut stage = fixture.evaluate("llama");
    stage
        .inputs
        .push(("reward_model", fixture.reward_model("llama")));
    stage.inputs.push(("reference", fixture.model("llama")));
    let files = check_repeats(&fixture, "self", &stage);
    let found = report(&files);
    let metric = |name: &str| found.metrics[name].0;
    for (name, expected) in [
        ("kl", 0.0),
        ("kl_k3", 0.0),
        ("gold_difference", 0.0),
        ("reward_difference", 0.0),
        ("reward_difference_greedy", 0.0),
        ("win_rate_gold", 0.5),
        ("win_rate_reward", 0.5),
        ("ties_reward", 1.0),
        ("win_rate_reward_greedy", 0.5),
    ] {
        assert_eq!(metric(name), expected, "{name}");
    }
    assert!(metric("win_rate_reward_low") < 0.5 && metric("win_rate_reward_high") > 0.5);
    assert!(metric("reward_mean_low") < metric("reward_mean"));
    assert_eq!(metric("reference_reward_mean"), metric("reward_mean"));
    // What a report without them says is said the same.
    let plain = report(&succeed(&fixture.path("plain"), &fixture.evaluate("llama")));
    for (name, value) in &plain.metrics {
        assert_eq!(&found.metrics[name], value, "{name}");
    }
    let work = fixture.path("sft");
    succeed(&work, &fixture.sft("llama"));
    stage.inputs[0].1 = work.join("outputs/model");
    let files = succeed(&fixture.path("apart"), &stage);
    let found = report(&files);
    assert!(found.metrics["kl_k3"].0 > 0.01, "{:?}", found.metrics);
    let samples = rows(&files, "report/samples.jsonl");
    let samples: Vec<ReportSample> = samples
        .into_iter()
        .map(|one| serde_json::from_value(one).unwrap())
        .collect();
    assert!(
        samples
            .iter()
            .all(|one| one.reward.is_some() && one.reference_reward.is_some())
    );
    assert!(
        samples
            .iter()
            .any(|one| one.reference_completion.as_ref() != Some(&one.completion))
    );
    let difference: f64 = samples
        .iter()
        .map(|one| one.reward.unwrap() - one.reference_reward.unwrap())
        .sum();
    assert!((difference / 9.0 - found.metrics["reward_difference"].0).abs() < 1e-9);
}

fn start(work: &Path) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_begat-stage"))
        .env("BEGAT_WORK", work)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn killed_again_and_again_they_end_as_if_undisturbed() {
    let fixture = Fixture::new();
    let (commanded, _) = commanded(&fixture, JUDGE);
    let mut evaluated = fixture.evaluate("llama");
    evaluated
        .inputs
        .push(("reward_model", fixture.reward_model("llama")));
    evaluated.inputs.push(("reference", fixture.model("llama")));
    let averaged = Stage {
        kind: "model_average",
        params: json!({}),
        inputs: vec![("a", fixture.model("llama")), ("b", fixture.model("llama"))],
        execution: json!({}),
    };
    for (name, stage) in [
        ("commanded", commanded),
        (
            "kept",
            rejection(&fixture, json!({"prompts": 45, "num_generations": 8})),
        ),
        ("evaluated", evaluated),
        ("averaged", averaged),
    ] {
        let expected = succeed(&fixture.path(&format!("{name}-whole")), &stage);
        let work = fixture.path(&format!("{name}-killed"));
        for wait in [5, 20, 60, 120, 200, 300] {
            prepare(&work, &stage, None);
            let mut child = start(&work);
            std::thread::sleep(std::time::Duration::from_millis(wait));
            let _ = child.kill();
            child.wait().unwrap();
        }
        prepare(&work, &stage, None);
        assert!(start(&work).wait().unwrap().success());
        let mut found = tree(&work.join("outputs"));
        found.retain(|name, _| !name.starts_with('.'));
        assert_same(&expected, &found);
    }
}
