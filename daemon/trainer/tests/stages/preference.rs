//! The stages that learn from preferences: `reward`, `reference_logps` and `dpo`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use begat_schemas::EventBody;
use begat_trainer::data::{Comparison, TextTokenizer};
use begat_trainer::stages::{Hooks, run};
use begat_trainer::{Device, Head, Model};
use serde_json::{Value, json};

use crate::fixture::{
    ARCHITECTURES, Fixture, Stage, assert_same, checkpoints, events, fail, fingerprints,
    journal_text, prepare, succeed, tree,
};
use crate::killed::{start, wait_for_lines};
use crate::resumed::stopping_at;

const STRENGTHS: [&str; 4] = ["significantly", "better", "slightly", "negligibly"];

fn preference(i: usize) -> Value {
    let mut row = json!({
        "prompt": format!("/// Will get the value of {i}.\npub fn"), "chosen": format!(" get_value(&self, a{i}: usize)"),
        "rejected": format!(" set{i}"), "strength": STRENGTHS[i % 4], "margin": (i % 3) as f64 / 2.0,
    });
    if i.is_multiple_of(5) {
        row["edited"] = json!(format!(" get_value(&self, number: usize) -> {i}"));
    }
    row
}

fn ranking(i: usize) -> Value {
    let responses = [" get(&self) -> usize", " get(&self)", " get", " pop"];
    json!({"prompt": format!("/// Will get {i}.\npub fn"), "responses": responses[..2 + i % 3]})
}

fn preferences(fixture: &Fixture) -> PathBuf {
    fixture.dataset("preferences", "validation", (60..75).map(preference));
    fixture.dataset("preferences", "train", (0..30).map(preference))
}

fn reward(fixture: &Fixture, architecture: &str) -> Stage {
    let held_out = fixture.dataset("judged", "train", (100..120).map(preference));
    Stage {
        kind: "reward",
        params: json!({
            "num_train_epochs": 2, "max_length": 80, "margin": "small", "center_rewards_coefficient": 0.01,
            "group_by_length": true, "learning_rate": 2e-3, "per_device_train_batch_size": 4,
            "gradient_accumulation_steps": 2,
        }),
        inputs: vec![
            ("model", fixture.model(architecture)),
            ("dataset", preferences(fixture)),
            ("validation", held_out),
            ("demonstrations", fixture.path("pairs")),
        ],
        execution: json!({"save_steps": 1, "eval_steps": 3}),
    }
}

fn dpo(fixture: &Fixture, architecture: &str) -> Stage {
    Stage {
        kind: "dpo",
        params: json!({
            "num_train_epochs": 1, "max_length": 80, "sft_loss_weight": 0.2, "learning_rate": 1e-3,
            "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "mask_format_tokens": true,
        }),
        inputs: vec![
            ("model", fixture.model(architecture)),
            ("dataset", preferences(fixture)),
        ],
        execution: json!({"save_steps": 1, "eval_steps": 3, "sample_steps": 2}),
    }
}

fn reference_logps(fixture: &Fixture, architecture: &str) -> Stage {
    Stage {
        kind: "reference_logps",
        params: json!({"max_length": 80, "mask_format_tokens": true, "per_device_eval_batch_size": 5}),
        inputs: dpo(fixture, architecture).inputs,
        execution: json!({}),
    }
}

fn all(fixture: &Fixture, architecture: &str) -> [Stage; 3] {
    [
        reward(fixture, architecture),
        reference_logps(fixture, architecture),
        dpo(fixture, architecture),
    ]
}

/// The tokens of a row's answers as text, those of the format in brackets.
fn answers(fixture: &Fixture, tokenizer: &TextTokenizer, row: Value) -> Vec<String> {
    let folder = fixture.dataset("one", "train", std::iter::once(row));
    let rows = begat_data::Rows::to_train("one", &folder).unwrap();
    let mut examples = rows.examples(begat_schemas::api::DataPurpose::Reward);
    let (place, example) = examples.next().unwrap().unwrap();
    let found = Comparison::read(tokenizer, &place, &example).unwrap();
    let text = |token: u32| match tokenizer.decode(&[token]).unwrap() {
        text if text.is_empty() => format!("#{token}"),
        text => text,
    };
    let answer = |answer: &Vec<begat_trainer::data::AnswerToken>| {
        assert!(answer.iter().all(|one| one.said));
        let shown = answer.iter().map(|one| match one.format {
            true => format!("[{}]", text(one.token)),
            false => text(one.token),
        });
        shown.collect()
    };
    found.answers.iter().map(answer).collect()
}

#[test]
fn the_form_of_an_answer_is_told_from_what_it_says() {
    let fixture = Fixture::new();
    let tokenizer = TextTokenizer::load(&fixture.tokenizer()).unwrap();
    let plain = json!({"prompt": "pub fn", "chosen": " get", "rejected": " set(&self)"});
    let expected = [" get[#0]", " set(&self)[#0]"];
    assert_eq!(answers(&fixture, &tokenizer, plain), expected);
    let says = |role: &str, text: &str| json!([{"role": role, "content": text}]);
    let talk = json!({
        "prompt": says("user", "ask"), "chosen": says("assistant", "one"), "rejected": says("assistant", "two"),
        "edited": says("assistant", "three"),
    });
    let turn = tokenizer.id_of("<|im_end|>").unwrap();
    let expected = ["one", "two", "three"].map(|word| format!("{word}[#{turn}][\n][#0]"));
    assert_eq!(answers(&fixture, &tokenizer, talk), expected);
}

/// The values of each metric, in order.
fn metrics(work: &Path) -> BTreeMap<String, Vec<f64>> {
    let mut found: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for event in events(work) {
        if let EventBody::Metrics { values, .. } = event.body {
            for (name, value) in values {
                found.entry(name).or_default().push(value.0);
            }
        }
    }
    found
}

#[test]
fn any_number_of_threads_and_any_place_give_the_same() {
    let fixture = Fixture::new();
    for architecture in ARCHITECTURES {
        for stage in all(&fixture, architecture) {
            let runs = [1, 2, 4].map(|threads| {
                let mut stage = stage.clone();
                stage.execution["threads"] = json!(threads);
                stage.execution["gradient_checkpointing"] = json!(threads == 2);
                let work = fixture.path(&format!("{}-{architecture}-{threads}", stage.kind));
                (succeed(&work, &stage), fingerprints(&work))
            });
            for (files, steps) in &runs[1..] {
                assert_same(&runs[0].0, files);
                assert_eq!(runs[0].1, *steps);
            }
        }
    }
}

#[test]
fn resumed_at_any_step_they_end_as_if_undisturbed() {
    let fixture = Fixture::new();
    for stage in [reward(&fixture, "gpt2"), dpo(&fixture, "llama")] {
        let undisturbed = fixture.path(&format!("{}-undisturbed", stage.kind));
        let expected = succeed(&undisturbed, &stage);
        let steps = fingerprints(&undisturbed);
        assert!(steps.len() > 3);
        for step in 1..steps.len() as u64 {
            let work = fixture.path(&format!("{}-{step}", stage.kind));
            prepare(&work, &stage, None);
            assert_eq!(run(&work, &stopping_at(step)), 75);
            prepare(&work, &stage, Some(step));
            assert_eq!(run(&work, &Hooks::default()), 0, "{}", journal_text(&work));
            assert_same(&expected, &tree(&work.join("outputs")));
            assert_eq!(steps, fingerprints(&work));
        }
    }
}

#[test]
fn killed_again_and_again_they_end_as_if_undisturbed() {
    let fixture = Fixture::new();
    for mut stage in all(&fixture, "gpt2") {
        if stage.kind != "reference_logps" {
            stage.params["num_train_epochs"] = json!(4);
        }
        let whole = fixture.path(&format!("{}-whole", stage.kind));
        let expected = succeed(&whole, &stage);
        let work = fixture.path(&format!("{}-killed", stage.kind));
        for lines in [1, 2, 4, 7, 9, 12] {
            prepare(&work, &stage, checkpoints(&work).last().copied());
            let mut child = start(&work);
            wait_for_lines(&work, &mut child, lines);
            let _ = child.kill();
            child.wait().unwrap();
        }
        prepare(&work, &stage, checkpoints(&work).last().copied());
        assert!(
            start(&work).wait().unwrap().success(),
            "{}",
            journal_text(&work)
        );
        assert_same(&expected, &tree(&work.join("outputs")));
        assert_eq!(fingerprints(&whole), fingerprints(&work));
    }
}

#[test]
fn a_reward_model_learns_is_judged_by_strength_and_scores_demonstrations_0() {
    let fixture = Fixture::new();
    let mut stage = reward(&fixture, "llama");
    stage.params["num_train_epochs"] = json!(8);
    let work = fixture.path("learned");
    succeed(&work, &stage);
    let found = metrics(&work);
    for name in [
        "loss",
        "accuracy",
        "margin",
        "mean_reward",
        "min_reward",
        "max_reward",
        "num_tokens",
    ] {
        assert_eq!(found[name].len(), 8 * 4, "{name}");
    }
    let of = |name: &str| *found[name].last().unwrap();
    assert!(of("loss") < found["loss"][0], "{:?}", found["loss"]);
    assert!(of("min_reward") <= of("mean_reward") && of("mean_reward") <= of("max_reward"));
    assert!(of("eval_accuracy") > 0.8, "{:?}", found["eval_accuracy"]);
    // 20 rows, 4 of them with an edit.
    assert_eq!(of("eval_pairs"), 24.0);
    let pairs = STRENGTHS.map(|strength| of(&format!("eval_pairs_{strength}")));
    assert_eq!(pairs, [5.0; 4]);
    assert!(found.contains_key("eval_accuracy_better") && found.contains_key("eval_loss"));
    assert!(found.contains_key("eval_dataset_accuracy_slightly"));

    let folder = work.join("outputs/reward_model");
    let model = Model::load(&folder, Device::Cpu).unwrap();
    assert_eq!(model.config().head, Head::Score);
    assert_eq!(model.config().pad_token_id, Some(1));
    let config: Value =
        serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    assert_eq!(
        config["architectures"],
        json!(["LlamaForSequenceClassification"])
    );
    assert_eq!(config["id2label"], json!({"0": "LABEL_0"}));
    assert!(
        folder.join("tokenizer.json").exists() && !folder.join("generation_config.json").exists()
    );
    let normalization = std::fs::read(folder.join("reward_normalization.json")).unwrap();
    let normalization: Value = serde_json::from_slice(&normalization).unwrap();
    assert!(normalization["std"].as_f64().unwrap() > 0.0);
    assert_ne!(normalization["mean"], json!(0.0));
}

#[test]
fn rankings_are_one_element_each_and_strengths_filter() {
    let fixture = Fixture::new();
    let mut stage = reward(&fixture, "gpt2");
    stage.inputs = vec![
        ("model", fixture.model("gpt2")),
        (
            "dataset",
            fixture.dataset("rankings", "train", (0..20).map(ranking)),
        ),
    ];
    stage.params["margin"] = json!("none");
    let work = fixture.path("rankings-work");
    let files = succeed(&work, &stage);
    assert_eq!(metrics(&work)["loss"].len(), 2 * 20usize.div_ceil(8));
    let normalization: Value =
        serde_json::from_slice(&files["reward_model/reward_normalization.json"]).unwrap();
    assert_eq!(normalization, json!({"mean": 0.0, "std": 1.0}));

    let mut stage = reward(&fixture, "gpt2");
    stage.params["strengths"] = json!(["significantly", "better"]);
    let work = fixture.path("filtered");
    succeed(&work, &stage);
    // 16 rows of 30 have such a strength, and all 6 edits are used.
    assert!(
        journal_text(&work).contains("22 of 36 pairs to train on"),
        "{}",
        journal_text(&work)
    );
}

#[test]
fn dpo_begins_at_log_2_with_the_same_bits_wherever_the_reference_was_computed() {
    let fixture = Fixture::new();
    for architecture in ARCHITECTURES {
        let mut stage = dpo(&fixture, architecture);
        stage.params["sft_loss_weight"] = json!(0.0);
        let own = fixture.path(&format!("own-{architecture}"));
        let expected = succeed(&own, &stage);
        let found = metrics(&own);
        assert_eq!(found["loss"][0], std::f64::consts::LN_2);
        for name in [
            "rewards/chosen",
            "rewards/rejected",
            "rewards/accuracies",
            "rewards/margins",
        ] {
            assert_eq!(found[name][0], 0.0, "{name}");
        }
        for name in [
            "logps/chosen",
            "logps/rejected",
            "logits/chosen",
            "logits/rejected",
            "entropy",
            "mean_token_accuracy",
            "num_tokens",
            "grad_norm",
            "learning_rate",
            "eval_loss",
            "eval_rewards/accuracies",
        ] {
            assert!(found[name].iter().all(|value| value.is_finite()), "{name}");
        }
        assert!(found["loss"].last() < found["loss"].first());
        assert!(found["rewards/margins"].last().unwrap() > &0.0);

        let logps = fixture.path(&format!("logps-{architecture}"));
        succeed(&logps, &reference_logps(&fixture, architecture));
        stage
            .inputs
            .push(("reference_logps", logps.join("outputs/logps")));
        let given = succeed(&fixture.path(&format!("given-{architecture}")), &stage);
        assert_same(&expected, &given);
    }
}

#[test]
fn reference_log_probabilities_of_something_else_are_refused() {
    let fixture = Fixture::new();
    let logps = fixture.path("logps");
    succeed(&logps, &reference_logps(&fixture, "gpt2"));
    let mut stage = dpo(&fixture, "gpt2");
    stage
        .inputs
        .push(("reference_logps", logps.join("outputs/logps")));
    let other = fixture.dataset("others", "train", (1..31).map(preference));
    let reason = |name: &str, change: &dyn Fn(&mut Stage)| {
        let mut stage = stage.clone();
        change(&mut stage);
        fail(&fixture.path(name), &stage).0
    };
    for (name, expected, change) in [
        (
            "tokens",
            "the digest of the dataset's tokens is",
            &(|stage: &mut Stage| stage.inputs[1].1 = other.clone()) as &dyn Fn(&mut Stage),
        ),
        (
            "length",
            "max_length is 80, but this stage needs 79",
            &|stage| stage.params["max_length"] = json!(79),
        ),
        (
            "mask",
            "mask_format_tokens is true, but this stage needs false",
            &|stage| stage.params["mask_format_tokens"] = json!(false),
        ),
        ("model", "the number of rows is", &|stage| {
            stage.inputs[1].1 = fixture.path("judged-less")
        }),
    ] {
        fixture.dataset("judged-less", "train", (0..3).map(preference));
        let reason = reason(name, change);
        assert!(
            reason.starts_with("input `reference_logps`: ") && reason.contains(expected),
            "{reason}"
        );
    }
}

#[test]
fn bad_input_is_named() {
    let fixture = Fixture::new();
    let check = |name: &str, stage: &Stage, expected: &str| {
        let (reason, _) = fail(&fixture.path(name), stage);
        assert!(reason.contains(expected), "{name}: {reason}");
    };
    let row = |row: Value| [preference(1), row].into_iter();
    let same = json!({"prompt": "a", "chosen": "b", "rejected": "b"});
    let empty = json!({"prompt": "a", "chosen": "", "rejected": "b"});
    let ungraded = json!({"prompt": "a", "chosen": "c", "rejected": "b"});
    for (name, bad, expected) in [
        ("same", same, "train.jsonl:2: field `rejected`"),
        ("empty", empty, "train.jsonl:2: field `chosen`"),
        (
            "ungraded",
            ungraded,
            "train.jsonl:2: no field `strength`, which margin",
        ),
    ] {
        let mut stage = reward(&fixture, "gpt2");
        stage.inputs[1].1 = fixture.dataset(&format!("bad-{name}"), "train", row(bad));
        check(name, &stage, expected);
    }
    let mut stage = dpo(&fixture, "gpt2");
    stage.inputs[1].1 = fixture.dataset("for-dpo", "train", (0..3).map(ranking));
    check("ranking", &stage, "train.jsonl:1: no field `chosen`");
    let mut stage = dpo(&fixture, "gpt2");
    stage.params["max_length"] = json!(20);
    check(
        "long",
        &stage,
        "none of its 30 rows fits into max_length = 20; `truncate_prompt`",
    );
    let mut stage = reward(&fixture, "gpt2");
    stage.params["learning_rate"] = json!(1e30);
    check("broken", &stage, "its batch: train.jsonl:");
    let reward_model = fixture.path("scores");
    std::fs::create_dir(&reward_model).unwrap();
    let model = Model::load(&fixture.model("gpt2"), Device::Cpu).unwrap();
    model
        .into_score_model(1)
        .unwrap()
        .save(&reward_model)
        .unwrap();
    let mut stage = dpo(&fixture, "gpt2");
    stage.inputs[0].1 = reward_model;
    check(
        "judge",
        &stage,
        "input `model`: expected a language model, found a reward model",
    );
}

#[test]
fn prompts_are_cut_from_the_left_only_if_asked() {
    let fixture = Fixture::new();
    let long = |i: usize| {
        let mut row = preference(i);
        let prompt = "x ".repeat(i * 2) + row["prompt"].as_str().unwrap();
        row["prompt"] = json!(prompt);
        row
    };
    let dataset = fixture.dataset("long", "train", (0..30).map(long));
    let mut stage = dpo(&fixture, "gpt2");
    stage.inputs[1].1 = dataset;
    for (cut, expected) in [(false, "dropped"), (true, "with the prompt cut")] {
        stage.params["truncate_prompt"] = json!(cut);
        let work = fixture.path(&format!("cut-{cut}"));
        succeed(&work, &stage);
        let steps = fingerprints(&work).len();
        assert!(journal_text(&work).contains(expected));
        // 36 pairs in batches of 8, if no row is dropped.
        assert_eq!(steps == 36usize.div_ceil(8), cut, "{steps}");
    }
}
