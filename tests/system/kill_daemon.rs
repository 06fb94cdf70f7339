//! `kill -9` of the daemon: training does not notice, and the next daemon knows what happened meanwhile.

use std::time::Duration;

use begat_tests::{Cli, Home, add_test_data, processes, wait_for};
use serde_json::Value;

use crate::random::Random;

const RECIPE: &str = "configs/recipes/test/gpt.toml";
const LONGER: &str = "stages.pretrain.max_steps=400";

fn newest_launch(cli: &Cli) -> Value {
    cli.json(["show", "test-gpt"])
}

fn assert_every_event_once(cli: &Cli, run: &str) {
    let metrics = cli.json(["metrics", run, "loss", "--points", "1000000"]);
    let steps: Vec<u64> = metrics["series"]["loss"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| point[0].as_u64().unwrap())
        .collect();
    let expected: Vec<u64> = (1..=400).collect();
    assert_eq!(steps, expected, "every step once");
}

#[test]
fn twenty_random_moments_of_a_launch() {
    let home = Home::new();
    let mut daemon = home.start();
    add_test_data(&home);
    let cli = home.cli();
    let undisturbed = cli.json(["launch", RECIPE, "--set", LONGER, "--follow"]);
    let seed = 21;
    let mut random = Random::new(seed);
    for moment in 0..20 {
        let name = format!("seed={}", 100 + moment);
        cli.ok(["launch", RECIPE, "--set", LONGER, "--set", &name]);
        std::thread::sleep(Duration::from_secs_f64(random.fraction() * 4.0));
        let stages = processes::stages(&home.data(), "begat-stage");
        daemon.kill();
        std::thread::sleep(Duration::from_secs_f64(random.fraction() * 0.5));
        for pid in &stages {
            let cut = processes::exit_written_for(&home.data(), *pid);
            let alive = processes::stages(&home.data(), "begat-stage").contains(pid);
            assert!(
                alive || cut,
                "moment {moment}: the stage {pid} did not survive its daemon"
            );
        }
        daemon = home.start();
        let launch = wait_for("the launch to end", || {
            let launch = newest_launch(&cli);
            (launch["state"] != "running").then_some(launch)
        });
        assert_eq!(
            launch["state"], "succeeded",
            "seed {seed}, moment {moment}: {launch}"
        );
        let pretrain = launch["stages"]
            .as_array()
            .unwrap()
            .iter()
            .find(|stage| stage["stage"] == "pretrain");
        let run = pretrain.unwrap()["run"].as_str().unwrap();
        assert_every_event_once(&cli, run);
        let detail = cli.json(["show", run]);
        assert_eq!(detail["attempts"], 1, "moment {moment}: the stage ran once");
        assert_eq!(
            detail["attempt_list"][0]["resumes"], 0,
            "moment {moment}: the stage was not disturbed"
        );
    }
    assert_eq!(undisturbed["state"], "succeeded");
    let report = cli.json(["fsck", "--read-data"]);
    assert_eq!(report["faults"], serde_json::json!([]));
}

#[test]
fn sigterm_leaves_stages_alive() {
    let home = Home::new();
    let daemon = home.start();
    add_test_data(&home);
    let cli = home.cli();
    cli.ok(["launch", RECIPE, "--set", "stages.pretrain.max_steps=3000"]);
    wait_for("pretrain to run", || {
        let launch = newest_launch(&cli);
        let running =
            launch["stages"].as_array().unwrap().iter().any(|stage| {
                stage["stage"] == "pretrain" && stage["progress"][0].as_u64() > Some(5)
            });
        running.then_some(())
    });
    let stages = processes::stages(&home.data(), "begat-stage");
    daemon.stop();
    assert_eq!(processes::stages(&home.data(), "begat-stage"), stages);
    let _daemon = home.start();
    cli.ok(["cancel", "test-gpt"]);
    wait_for("the stage to stop", || {
        processes::stages(&home.data(), "begat-stage")
            .is_empty()
            .then_some(())
    });
    assert_eq!(newest_launch(&cli)["state"], "cancelled");
}
