//! The README's promise to someone with their own data: a JSON Lines file and a model folder become a fine-tuned model
//! in three commands.

use begat_tests::{Home, root, write_rows};
use serde_json::json;

#[test]
fn fifty_rows_and_a_transformers_folder_in_three_commands() {
    let home = Home::new();
    let mine = home.path().join("mine");
    write_rows(
        &mine.join("my-data.jsonl"),
        (0..50).map(|at| json!({"prompt": format!("What is {at} plus one?"), "completion": format!(" {}", at + 1)})),
    );
    let model = root().join("tests/fixtures/transformers-gpt2");
    let recipe = root().join("configs/recipes/sft.toml");
    let cli = home.cli().in_folder(&mine);
    // Whoever runs this test may have a daemon of their own on the usual port.
    std::fs::write(
        home.path().join("begatd.toml"),
        "listen = \"127.0.0.1:0\"\n",
    )
    .unwrap();

    cli.ok(["add", "my-data.jsonl", "--name", "my/data", "--start"]);
    cli.ok(["add", model.to_str().unwrap(), "--name", "my/model"]);
    let launch = cli.json(["launch", recipe.to_str().unwrap(), "--follow"]);

    assert_eq!(launch["state"], "succeeded");
    let told = cli.json(["show", launch["stages"][0]["run"].as_str().unwrap()]);
    assert!(told["metrics"]["loss"].as_f64().unwrap().is_finite());
    cli.ok(["daemon", "stop"]);
}
