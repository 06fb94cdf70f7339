//! The alignment stages on conversations: what they sample are messages again, and the next stage reads them.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::fixture::{Fixture, Stage, Tree, succeed};

fn asked(i: usize) -> String {
    format!("Name a function that takes {i} things.")
}

/// Prompts as messages, and the same prompts as the chat template writes them.
fn prompts(fixture: &Fixture) -> [PathBuf; 2] {
    let messages = |i: usize| json!({"prompt": [{"role": "system", "content": "Answer in Rust."}, {"role": "user", "content": asked(i)}]});
    let written = |i: usize| {
        let text = format!(
            "<|im_start|>system\nAnswer in Rust.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n",
            asked(i)
        );
        json!({"prompt": text})
    };
    [
        fixture.dataset("conversations", "train", (0..10).map(messages)),
        fixture.dataset("written", "train", (0..10).map(written)),
    ]
}

fn annotate(fixture: &Fixture, prompts: PathBuf) -> Stage {
    Stage {
        kind: "annotate",
        params: json!({"num_generations": 4, "max_new_tokens": 8, "labeller": "reward_model", "min_gap": 0}),
        inputs: vec![
            ("policy", fixture.model("llama")),
            ("prompts", prompts),
            ("reward_model", fixture.reward_model("llama")),
        ],
        execution: json!({}),
    }
}

fn rows(files: &Tree, name: &str) -> Vec<Value> {
    let text = std::str::from_utf8(&files[name]).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn said(answer: &Value) -> &str {
    assert_eq!(answer.as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(answer[0]["role"], "assistant");
    answer[0]["content"].as_str().unwrap()
}

#[test]
fn conversations_are_sampled_as_the_text_that_their_template_writes() {
    let fixture = Fixture::new();
    let [conversations, written] = prompts(&fixture);
    let [of_messages, of_text] =
        [("messages", &conversations), ("text", &written)].map(|(name, prompts)| {
            let files = succeed(&fixture.path(name), &annotate(&fixture, prompts.clone()));
            rows(&files, "dataset/train.jsonl")
        });
    assert!(of_messages.len() >= 10, "{}", of_messages.len());
    assert_eq!(of_messages.len(), of_text.len());
    for (messages, text) in of_messages.iter().zip(&of_text) {
        assert_eq!(
            messages["prompt"][1]["content"],
            asked(messages["row"].as_u64().unwrap() as usize)
        );
        for side in ["chosen", "rejected"] {
            assert_eq!(said(&messages[side]), text[side].as_str().unwrap());
        }
    }
}

#[test]
fn every_alignment_stage_takes_conversations() {
    let fixture = Fixture::new();
    let [conversations, _] = prompts(&fixture);
    let (model, scorer) = (fixture.model("llama"), fixture.reward_model("llama"));
    succeed(
        &fixture.path("annotated"),
        &annotate(&fixture, conversations.clone()),
    );
    let preferences = fixture.path("annotated/outputs/dataset");
    let stage = |kind, params, inputs| Stage {
        kind,
        params,
        inputs,
        execution: json!({}),
    };
    let trained = |more: Value| {
        let mut params =
            json!({"max_length": 90, "per_device_train_batch_size": 4, "learning_rate": 1e-3});
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        params
    };

    let sampling = json!({"num_generations": 3, "max_new_tokens": 8});
    let inputs = vec![
        ("policy", model.clone()),
        ("reward_model", scorer.clone()),
        ("prompts", conversations.clone()),
    ];
    let kept = succeed(
        &fixture.path("kept"),
        &stage("rejection_sampling", sampling, inputs),
    );
    let kept = rows(&kept, "dataset/train.jsonl");
    assert_eq!(kept.len(), 10);
    for row in &kept {
        said(&row["completion"]);
    }
    let inputs = vec![
        ("model", model.clone()),
        ("dataset", fixture.path("kept/outputs/dataset")),
    ];
    succeed(
        &fixture.path("sft"),
        &stage("sft", trained(json!({})), inputs),
    );

    let inputs = vec![("model", model.clone()), ("dataset", preferences.clone())];
    succeed(
        &fixture.path("reward"),
        &stage("reward", trained(json!({})), inputs.clone()),
    );
    let logps = stage(
        "reference_logps",
        json!({"max_length": 90, "mask_format_tokens": true}),
        inputs,
    );
    succeed(&fixture.path("logps"), &logps);
    let inputs = vec![
        ("model", model.clone()),
        ("dataset", preferences),
        ("reference_logps", fixture.path("logps/outputs/logps")),
    ];
    succeed(
        &fixture.path("dpo"),
        &stage("dpo", trained(json!({"mask_format_tokens": true})), inputs),
    );

    let mut ppo = fixture.ppo("llama");
    ppo.inputs[2].1 = conversations;
    succeed(&fixture.path("ppo"), &ppo);
}
