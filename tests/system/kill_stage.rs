//! `kill -9` of a stage: it goes on from its last checkpoint by itself, and nobody can tell from the result.

use std::time::Duration;

use begat_tests::{Cli, Home, add_test_data, processes, wait_for};
use serde_json::Value;

use crate::random::Random;

const RECIPE: &str = "configs/recipes/test/gpt.toml";
const KILLS: usize = 10;

fn attempts(cli: &Cli, run: &str) -> Vec<Value> {
    cli.json(["show", run])["attempt_list"]
        .as_array()
        .unwrap()
        .clone()
}

/// Ten more attempts of `stage`, each killed once at a random moment; every one must end with the first one's outputs.
fn kill_at_random_moments(stage: &str, longer: &str, seed: u64) {
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    let cli = home.cli();
    let launch = cli.json(["launch", RECIPE, "--set", longer, "--follow"]);
    let stages = launch["stages"].as_array().unwrap();
    let run = stages
        .iter()
        .find(|candidate| candidate["stage"] == stage)
        .unwrap()["run"]
        .as_str()
        .unwrap();
    let first = attempts(&cli, run)[0].clone();
    let seconds = cli.json(["show", run])["seconds"].as_f64().unwrap();

    let mut random = Random::new(seed);
    let mut killed = 0;
    while killed < KILLS {
        let before = attempts(&cli, run).len();
        cli.ok(["launch", RECIPE, "--set", longer, "--rerun", stage]);
        let pid = wait_for("the stage's process", || {
            processes::stages(&home.data(), "begat-stage")
                .first()
                .copied()
        });
        std::thread::sleep(Duration::from_secs_f64(seconds * random.fraction()));
        let alive = processes::stages(&home.data(), "begat-stage").contains(&pid);
        processes::signal(pid, rustix::process::Signal::KILL);
        let last = wait_for("the attempt to end", || {
            let all = attempts(&cli, run);
            let last = all.last().unwrap().clone();
            let ended = ["succeeded", "failed"].contains(&last["state"].as_str().unwrap());
            (all.len() > before && ended).then_some(last)
        });
        assert_eq!(
            last["state"], "succeeded",
            "seed {seed}, kill {killed}: {last}"
        );
        assert_eq!(
            last["outputs"], first["outputs"],
            "seed {seed}, kill {killed}"
        );
        if alive && last["resumes"].as_u64().unwrap() > 0 {
            killed += 1;
        }
    }
}

#[test]
fn pretrain_killed_at_ten_random_moments() {
    kill_at_random_moments("pretrain", "stages.pretrain.max_steps=300", 11);
}

#[test]
fn sft_killed_at_ten_random_moments() {
    kill_at_random_moments("sft", "stages.sft.num_train_epochs=12", 12);
}
