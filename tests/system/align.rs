//! The alignment stages through the real programs: shared once, found again, made again to the bit.

use std::process::Stdio;

use begat_tests::{Cli, Home, add_test_data};
use serde_json::{Value, json};

const GPT: &str = "configs/recipes/test/align-gpt.toml";
const LLAMA: &str = "configs/recipes/test/align-llama.toml";
/// Puts Llama's recipe on the model of GPT's, so that both begin with the same runs.
const SAME_MODEL: [&str; 2] = ["--set", "model=test-gpt2"];

fn stages(launch: &Value) -> &[Value] {
    launch["stages"].as_array().unwrap()
}

fn run_of<'a>(launch: &'a Value, name: &str) -> &'a str {
    let found = stages(launch).iter().find(|stage| stage["stage"] == name);
    found.unwrap()["run"].as_str().unwrap()
}

/// Launches both at the same time and waits for them.
fn both(cli: &Cli) -> [Value; 2] {
    let gpt = ["--json", "launch", GPT, "--follow"];
    let mut gpt = cli.command(gpt).stdout(Stdio::null()).spawn().unwrap();
    let llama = cli.json([&["launch", LLAMA, "--follow"][..], &SAME_MODEL].concat());
    assert!(gpt.wait().unwrap().success());
    [cli.json(["show", "test-align-gpt"]), llama]
}

#[test]
fn two_lineages_at_once_share_their_base_and_every_output_comes_out_again() {
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    let cli = home.cli();
    let [gpt, llama] = both(&cli);
    for launch in [&gpt, &llama] {
        assert_eq!(launch["state"], "succeeded", "{launch}");
    }
    for shared in ["tokenizer", "pretrain"] {
        let run = run_of(&gpt, shared);
        assert_eq!(run, run_of(&llama, shared));
        assert_eq!(cli.json(["show", run])["attempts"], 1, "{shared} ran once");
    }
    only_ppo_runs_again(&cli);
    compare_takes_win_rates_from_reports(&cli, run_of(&gpt, "evaluate_ppo"));
    for stage in stages(&gpt).iter().chain(stages(&llama)) {
        let answer = cli.json(["reproduce", stage["run"].as_str().unwrap()]);
        let verdict = &answer["verdicts"][0];
        assert_eq!(verdict["state"], "identical", "{stage}: {verdict}");
    }
}

/// A plan with another of PPO's parameters: all that is before it is found.
fn only_ppo_runs_again(cli: &Cli) {
    let changed = ["launch", GPT, "--plan", "--set", "stages.ppo.kl_coef=0.07"];
    let plan = cli.json(changed);
    for stage in stages(&plan) {
        let expected = match stage["stage"].as_str().unwrap() {
            "ppo" => "run",
            "evaluate_ppo" => "known_after",
            _ => "found",
        };
        assert_eq!(stage["action"], expected, "{stage}");
    }
}

/// A model evaluated against the other's lineage: the report knows the win rate, and compare repeats it.
fn compare_takes_win_rates_from_reports(cli: &Cli, evaluation: &str) {
    let found = cli.json(["compare", "test-align-gpt/sft", "test-align-gpt/ppo"]);
    let metrics = &cli.json(["show", evaluation])["metrics"];
    for (by, name) in [
        ("rule", "win_rate_gold"),
        ("reward_model", "win_rate_reward"),
    ] {
        let duels = found["finals"]["duels"].as_array().unwrap();
        let duel = duels.iter().find(|duel| duel["by"] == by).unwrap();
        let direction = (&duel["lineage"], &duel["against"], &duel["source"]);
        assert_eq!(direction, (&json!(1), &json!(0), &json!("report")));
        assert_eq!(duel["win_rate"], metrics[name], "{duel}");
    }
}
