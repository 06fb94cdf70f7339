//! Two recipes side by side, over the real programs.

use std::io::Write;
use std::process::Stdio;

use begat_tests::{Cli, Home, add_test_data};
use serde_json::{Value, json};

const GPT: &str = "configs/recipes/test/gpt.toml";
const LLAMA: &str = "configs/recipes/test/llama.toml";
const NOT_FOUND: i32 = 3;
const USAGE: i32 = 2;
const BAD_INPUT: i32 = 6;

fn names(row: &Value) -> String {
    let cells = row["cells"].as_array().unwrap();
    let names: Vec<&str> = cells
        .iter()
        .map(|cell| cell["stage"].as_str().unwrap_or("-"))
        .collect();
    format!("{} {}", names.join(" "), row["relation"].as_str().unwrap())
}

fn check_two_recipes(cli: &Cli) {
    let found = cli.json(["compare", "test-gpt", "test-llama", "--samples", "3"]);
    let rows: Vec<String> = found["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(names)
        .collect();
    assert_eq!(
        rows,
        [
            "tokenizer tokenizer shared",
            "pretrain pretrain counterpart",
            "evaluate_pretrain evaluate_pretrain counterpart",
            "sft sft counterpart",
            "evaluate_sft evaluate_sft counterpart",
        ]
    );
    assert_eq!(found["parting"], json!({"after": 0, "next": [1, 1]}));
    let keys: Vec<&str> = found["stages"][3]["differences"][0]["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["inputs.model"]);
    let model = &found["stages"][3]["differences"][0]["keys"][0];
    assert_eq!(model["left_source"]["stage"], "pretrain");
    assert_eq!(
        model["left_source"]["run"],
        found["stages"][1]["cells"][0]["run"]
    );

    let costs = &found["costs"];
    assert_eq!(
        (&costs["shared"]["runs"], &costs["own"][1]["runs"]),
        (&json!(1), &json!(4))
    );
    let stored = |cost: &Value| cost["bytes"]["stored_bytes"].as_u64().unwrap();
    for at in 0..2 {
        assert!(stored(&costs["own"][at]) > 0);
        let sum = stored(&costs["shared"]) + stored(&costs["own"][at]);
        assert_eq!(stored(&costs["whole"][at]), sum);
    }
    check_outcome(cli, &found);
}

fn check_outcome(cli: &Cli, found: &Value) {
    let duel = &found["finals"]["duels"][0];
    assert_eq!((&duel["by"], &duel["prompts"]), (&json!("rule"), &json!(8)));
    let count = |what: &str| duel[what].as_u64().unwrap();
    assert_eq!(count("wins") + count("ties") + count("losses"), 8);
    let gold = &found["finals"]["metrics"]["gold_score"];
    let value = |at: usize| gold["values"][at].as_f64().unwrap();
    let difference = value(1) - value(0);
    assert_eq!(gold["deltas"][1].as_f64().unwrap(), difference);
    let mean = duel["mean_difference"].as_f64().unwrap();
    assert!((mean - difference).abs() < 1e-9, "{mean} {difference}");
    let samples = found["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 3);
    let folder = cli.data().with_file_name("report");
    let report = found["stages"][4]["cells"][1]["outputs"]["report"]
        .as_str()
        .unwrap();
    cli.ok(["checkout", report, folder.to_str().unwrap()]);
    let lines = std::fs::read_to_string(folder.join("samples.jsonl")).unwrap();
    for (line, sample) in lines.lines().zip(samples) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(sample["prompt"], line["prompt"], "the first ones");
        assert_eq!(sample["answers"][1]["completion"], line["completion"]);
    }
}

fn check_other_names(cli: &Cli) {
    let found = cli.json(["compare", "test-gpt/pretrain", "test-gpt/sft"]);
    let rows: Vec<String> = found["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(names)
        .collect();
    assert_eq!(
        rows,
        [
            "tokenizer tokenizer shared",
            "pretrain pretrain shared",
            "evaluate_pretrain evaluate_pretrain shared",
            "- sft only",
            "- evaluate_sft only",
        ]
    );
    assert_eq!(found["parting"], json!({"after": 1, "next": [null, 3]}));
    let differing = &found["finals"]["evaluation_differences"][0]["keys"][0]["key"];
    assert_eq!(differing, "params.stop");

    let launch = cli.json(["show", "test-gpt"])["launch"]
        .as_str()
        .unwrap()
        .to_owned();
    let run = found["stages"][3]["cells"][1]["run"]
        .as_str()
        .unwrap()
        .to_owned();
    let same = cli.json(["compare", &launch, "test-gpt", &run]);
    let shared = same["stages"].as_array().unwrap().iter();
    assert!(
        shared.clone().all(|row| row["relation"] == "shared"),
        "{same}"
    );
    assert_eq!(same["parting"], Value::Null);

    for (arguments, code) in [
        (vec!["compare", "test-gpt", "nothing/here"], NOT_FOUND),
        (vec!["compare", "test-gpt"], USAGE),
    ] {
        assert_eq!(cli.run(arguments).code, code);
    }
    let blob = cli.json(["show", "test-gpt/sft"])["entries"][0]["blob"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(cli.run(["compare", "test-gpt", &blob]).code, BAD_INPUT);
    assert_eq!(cli.json(["show", &blob])["kind"], "blob");
}

fn check_text(cli: &Cli) {
    let text = cli.ok(["compare", "test-gpt", "test-llama"]);
    for words in [
        "1 stage: tokenizer",
        "they part after tokenizer: A goes on with pretrain, B goes on with pretrain",
        "inputs.model",
        "params.model.model_type",
        "shared by all",
        "by the rule rust-signature",
        "not picked",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

/// What both models answer to two lines.
fn chat(cli: &Cli, options: &[&str]) -> String {
    let models = ["test-gpt/sft", "test-llama/sft", "--max-new-tokens", "4"];
    let mut chat = cli
        .command([options, &["chat"], &models[..]].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = chat.stdin.take().unwrap();
    input
        .write_all(b"/// Returns true\n/// Makes a list\n")
        .unwrap();
    drop(input);
    let output = chat.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Each line goes to both, and each answers below its own name, or on a line of JSON.
fn check_chat(cli: &Cli) {
    let text = chat(cli, &[]);
    let order: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("[test-"))
        .collect();
    assert_eq!(
        order,
        ["[test-gpt/sft]", "[test-llama/sft]"].repeat(2),
        "{text}"
    );
    let lines = chat(cli, &["--json"]);
    let said: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let models: Vec<&str> = said
        .iter()
        .map(|one| one["model"].as_str().unwrap())
        .collect();
    assert_eq!(models, ["test-gpt/sft", "test-llama/sft"].repeat(2));
    for one in &said {
        let content = one["content"].as_str().unwrap();
        assert!(text.contains(content), "{content} is not in {text}");
    }
}

#[test]
fn compare_two_launches_and_what_they_made() {
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    let cli = home.cli();
    cli.json(["launch", GPT, "--follow"]);
    cli.json(["launch", LLAMA, "--follow"]);
    check_two_recipes(&cli);
    check_other_names(&cli);
    check_text(&cli);
    let log = cli.ok(["--json", "logs", "test-gpt/sft"]);
    for line in log.lines() {
        let chunk: Value = serde_json::from_str(line).unwrap();
        assert_eq!(chunk["ended"], true);
    }
    check_chat(&cli);
}
