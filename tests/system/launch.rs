//! A recipe from data to report, and what a second launch of it does.

use begat_tests::{Home, add_test_data};
use serde_json::Value;

const GPT: &str = "configs/recipes/test/gpt.toml";
const LLAMA: &str = "configs/recipes/test/llama.toml";

fn stage<'a>(launch: &'a Value, name: &str) -> &'a Value {
    let stages = launch["stages"].as_array().unwrap();
    stages.iter().find(|stage| stage["stage"] == name).unwrap()
}

#[test]
fn both_recipes_run_and_share_their_tokenizer() {
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    let cli = home.cli();

    let gpt = cli.json(["launch", GPT, "--follow"]);
    assert_eq!(gpt["state"], "succeeded");
    let llama = cli.json(["launch", LLAMA, "--follow"]);
    assert_eq!(llama["state"], "succeeded");

    assert_eq!(
        stage(&gpt, "tokenizer")["run"],
        stage(&llama, "tokenizer")["run"]
    );
    assert_eq!(stage(&gpt, "tokenizer")["found"], false);
    assert_eq!(stage(&llama, "tokenizer")["found"], true);
    assert_ne!(
        stage(&gpt, "pretrain")["run"],
        stage(&llama, "pretrain")["run"]
    );

    let again = cli.json(["launch", GPT, "--follow"]);
    for stage in again["stages"].as_array().unwrap() {
        assert_eq!(stage["found"], true, "{stage}");
    }
    let runs = cli.json(["runs"]);
    assert_eq!(
        runs.as_array().unwrap().len(),
        9,
        "ten stages, one of them shared"
    );
    for run in runs.as_array().unwrap() {
        assert_eq!(run["state"], "succeeded");
        assert_eq!(run["attempts"], 1, "{run}");
    }
    let sft = cli.json(["show", "test-gpt/sft"]);
    assert!(
        sft["entries"]
            .as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["path"] == "model.safetensors")
    );
}

#[test]
fn a_plan_says_what_is_there_and_what_differs() {
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    let cli = home.cli();
    let first = cli.json(["launch", GPT, "--plan"]);
    let actions: Vec<&Value> = first["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| &stage["action"])
        .collect();
    assert_eq!(actions[0], "run");
    assert!(
        actions[1..].iter().all(|action| **action == "known_after"),
        "{actions:?}"
    );
    assert_eq!(
        stage(&first, "pretrain")["known_after"],
        serde_json::json!(["tokenizer"])
    );

    cli.json(["launch", GPT, "--follow"]);
    let changed = cli.json([
        "launch",
        GPT,
        "--plan",
        "--set",
        "stages.sft.learning_rate=1e-3",
    ]);
    assert_eq!(stage(&changed, "pretrain")["action"], "found");
    let sft = stage(&changed, "sft");
    assert_eq!(sft["action"], "run");
    assert_eq!(
        sft["difference"]["keys"],
        serde_json::json!([{ "key": "params.learning_rate", "left": 0.001, "right": 0.002 }])
    );
    assert_eq!(stage(&changed, "evaluate_sft")["action"], "known_after");
    let count = cli.json(["runs"]).as_array().unwrap().len();
    assert_eq!(count, 5, "a plan runs nothing");
}

#[test]
fn what_is_checked_out_is_what_b3sum_says() {
    let Some(b3sum) = begat_tests::debian_tool("b3sum", "what_is_checked_out_is_what_b3sum_says")
    else {
        return;
    };
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    let cli = home.cli();
    cli.json(["launch", GPT, "--follow"]);
    let folder = home.path().join("out");
    cli.ok(["checkout", "test-gpt/sft", folder.to_str().unwrap()]);
    let tree = cli.json(["show", "test-gpt/sft"]);
    let shown = cli.ok(["show", "test-gpt/sft"]);
    for entry in tree["entries"].as_array().unwrap() {
        let path = folder.join(entry["path"].as_str().unwrap());
        let output = home.command(&b3sum).arg(&path).output().unwrap();
        let sum = String::from_utf8(output.stdout).unwrap();
        let digest = sum.split_whitespace().next().unwrap();
        assert_eq!(entry["blob"], digest);
        assert!(shown.contains(digest), "{shown}");
    }
}
