//! The kill, resume and reproduce tests at demo size, which takes hours: `make drill`, never part of `cargo test`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(missing_docs, reason = "tests are named by what they hold")]

use std::path::Path;

use begat_tests::{Home, kills, root};

const KILLS: usize = 10;

/// Adds the demo's datasets, from the sources of the crates in configs/demo, which are fetched unless they are there.
fn add_demo_data(home: &Home) {
    let sources = std::env::var_os("BEGAT_DRILL_SOURCES");
    let sources = sources.map_or_else(|| root().join(".begat/demo-sources"), Into::into);
    let cli = home.cli();
    if !Path::new(&sources).join("corpus").is_dir() {
        cli.ok(["demo-data", sources.to_str().unwrap()]);
    }
    for name in [
        "corpus",
        "sft",
        "heldout",
        "prompts-preference",
        "prompts-rl",
    ] {
        let path = sources.join(name);
        let name = format!("demo/{name}");
        cli.ok(["add", path.to_str().unwrap(), "--name", &name]);
    }
}

fn drill(recipe: &str, seed: u64) {
    let home = Home::new();
    let _daemon = home.start();
    add_demo_data(&home);
    let cli = home.cli();
    let path = format!("configs/recipes/{recipe}.toml");
    let launch = ["launch", path.as_str(), "--set", "stages.sft.threads=2"];
    for (at, stage) in ["pretrain", "sft"].into_iter().enumerate() {
        kills::at_random_moments(&cli, &launch, stage, KILLS, seed + at as u64);
    }
    for threads in ["1", "2", "4"] {
        let answer = cli.json(["reproduce", &format!("{recipe}/sft"), "--threads", threads]);
        let verdict = &answer["verdicts"][0];
        assert_eq!(
            verdict["state"], "identical",
            "{threads} threads: {verdict}"
        );
    }
}

#[test]
fn gpt() {
    drill("gpt", 1);
}

#[test]
fn llama() {
    drill("llama", 2);
}
