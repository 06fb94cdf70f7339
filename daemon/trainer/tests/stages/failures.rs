//! Bad input, and trainings that break.

use serde_json::json;

use crate::fixture::{Fixture, Stage, fail, journal_text, prepare};

fn reason(fixture: &Fixture, name: &str, stage: &Stage) -> String {
    let work = fixture.path(name);
    let (reason, _) = fail(&work, stage);
    assert!(!work.join("outputs").join("model").exists());
    reason
}

#[test]
fn a_bad_row_fails_the_stage_with_file_and_line() {
    let fixture = Fixture::new();
    let folder = fixture.dataset(
        "broken",
        "train",
        (0..3).map(|_| json!({"prompt": "a", "completion": "b"})),
    );
    let file = folder.join("train.jsonl");
    let good = std::fs::read_to_string(&file).unwrap();
    for (number, (text, expected)) in [
        (format!("{good}{{\"prompt\": \"a\"}}\n"), "train.jsonl:4: no field `completion`; it has `prompt`"),
        (format!("{good}{{\"prompt\": \n"), "train.jsonl:4: not JSON: EOF while parsing a value at column 10"),
        (format!("{good}{{\"other\": 1}}\n"), "train.jsonl:4: expected `prompt` and `completion`, `messages`, or `text`; it has `other`"),
        (format!("{good}{{\"messages\": [{{\"role\": \"user\"}}]}}\n"), "train.jsonl:4: field `messages[0].content`: expected a text, found null"),
        (format!("{good}{{\"prompt\": \"a\", \"completion\": \"\"}}\n"), "train.jsonl:4: field `completion`: empty; expected an answer"),
        (String::new(), "dataset `dataset`: no rows in train.jsonl; expected at least one"),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(&file, text).unwrap();
        let mut stage = fixture.sft("gpt2");
        stage.inputs[1].1 = folder.clone();
        assert_eq!(reason(&fixture, &format!("row-{number}"), &stage), expected);
    }
}

#[test]
fn a_tokenizer_that_names_no_end_of_text_is_refused() {
    let fixture = Fixture::new();
    let stage = fixture.sft("gpt2");
    let model = &stage.inputs[0].1;
    std::fs::remove_file(model.join("tokenizer_config.json")).unwrap();
    let config = model.join("config.json");
    let mut value: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    value["eos_token_id"] = json!(null);
    std::fs::write(&config, value.to_string()).unwrap();
    let reason = reason(&fixture, "no-end", &stage);
    assert!(
        reason.contains("tokenizer_config.json: no token that ends a text"),
        "{reason}"
    );
}

#[test]
fn parameters_that_cannot_be_are_named() {
    let fixture = Fixture::new();
    let mut stage = fixture.sft("gpt2");
    stage.params["max_length"] = json!(97);
    assert_eq!(
        reason(&fixture, "long", &stage),
        "parameter max_length: expected at most the model's context of 96 tokens, found 97"
    );
    let mut stage = fixture.pretrain("gpt2");
    stage.params["learning_rate"] = json!(-1.0);
    assert!(
        reason(&fixture, "rate", &stage)
            .starts_with("parameter learning_rate: expected a number above 0")
    );
    let mut stage = fixture.pretrain("gpt2");
    stage.execution["device"] = json!("cuda");
    if !Path::new("/dev/nvidiactl").exists() {
        assert!(reason(&fixture, "device", &stage).contains("no NVIDIA driver"));
    }
}

#[test]
fn a_training_that_breaks_names_step_and_batch() {
    let fixture = Fixture::new();
    let mut stage = fixture.sft("gpt2");
    stage.params["learning_rate"] = json!(1e30);
    let (reason, step) = fail(&fixture.path("broken-sft"), &stage);
    assert!(step.is_some_and(|step| step >= 2), "{step:?}");
    assert!(
        reason.contains("at step") && reason.contains("its batch: train.jsonl:"),
        "{reason}"
    );
    let mut stage = fixture.pretrain("llama");
    stage.params["learning_rate"] = json!(30.0);
    stage.params["warmup_ratio"] = json!(0);
    stage.params["max_steps"] = json!(60);
    let (reason, _) = fail(&fixture.path("broken-pretrain"), &stage);
    assert!(reason.contains("its batch: sequences "), "{reason}");
}

use std::path::Path;

#[test]
fn a_dataset_is_no_model() {
    let fixture = Fixture::new();
    let mut stage = fixture.sft("gpt2");
    stage.inputs[0].1 = fixture.path("pairs");
    assert_eq!(
        reason(&fixture, "no-model", &stage),
        "input `model`: expected a model, found no config.json; it holds train.jsonl, validation.jsonl"
    );
}

/// Its standard error is a file in the data folder: on a full disk what it says is lost, the work is not.
#[test]
fn a_log_that_cannot_be_written_ends_nothing() {
    let fixture = Fixture::new();
    let mut stage = fixture.ppo("gpt2");
    let rows = ["pub fn get", ""].map(|prompt| json!({"prompt": prompt}));
    stage.inputs[2].1 = fixture.dataset("with-empty", "train", rows.into_iter());
    let work = fixture.path("full");
    prepare(&work, &stage, None);
    let full = std::fs::File::options().write(true).open("/dev/full");
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_begat-stage"))
        .env("BEGAT_WORK", &work)
        .stderr(full.unwrap())
        .status()
        .unwrap();
    let journal = journal_text(&work);
    assert!(journal.contains("\"level\":\"warn\""), "{journal}");
    assert!(status.success(), "{journal}");
}
