//! `kill -9` of the daemon: training does not notice, and the next daemon knows what happened meanwhile.

use std::time::Duration;

use begat_tests::random::Random;
use begat_tests::{Cli, Home, add_test_data, processes, wait_for};
use serde_json::Value;

const RECIPE: &str = "configs/recipes/test/gpt.toml";
const LONGER: &str = "stages.pretrain.max_steps=400";

fn newest_launch(cli: &Cli) -> Value {
    cli.json(["show", "test-gpt"])
}

/// Every stage that trains: each of its steps once, and as many as the undisturbed launch's had.
fn assert_every_step_once(cli: &Cli, launch: &Value, undisturbed: &Value) {
    for name in ["pretrain", "sft"] {
        let expected: Vec<u64> = (1..=steps_of(cli, undisturbed, name).len() as u64).collect();
        assert!(expected.len() > 10, "{name} trains");
        assert_eq!(
            steps_of(cli, launch, name),
            expected,
            "every step of {name} once"
        );
    }
}

fn steps_of(cli: &Cli, launch: &Value, stage: &str) -> Vec<u64> {
    let metrics = cli.json([
        "metrics",
        run_of(launch, stage),
        "loss",
        "--points",
        "1000000",
    ]);
    let points = metrics["series"]["loss"].as_array().unwrap();
    points
        .iter()
        .map(|point| point[0].as_u64().unwrap())
        .collect()
}

fn run_of<'a>(launch: &'a Value, stage: &str) -> &'a str {
    let stages = launch["stages"].as_array().unwrap();
    let found = stages.iter().find(|candidate| candidate["stage"] == stage);
    found.unwrap()["run"].as_str().unwrap()
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
        let stages: Vec<_> = stages
            .into_iter()
            .filter_map(|pid| Some((pid, processes::work_folder(pid)?)))
            .collect();
        daemon.kill();
        std::thread::sleep(Duration::from_secs_f64(random.fraction() * 0.5));
        for (pid, folder) in &stages {
            let alive = processes::stages(&home.data(), "begat-stage").contains(pid);
            assert!(
                alive || processes::has_ended(folder),
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
        assert_every_step_once(&cli, &launch, &undisturbed);
        for stage in launch["stages"].as_array().unwrap() {
            let detail = cli.json(["show", stage["run"].as_str().unwrap()]);
            assert_eq!(detail["attempts"], 1, "moment {moment}: {stage} ran once");
            assert_eq!(
                detail["attempt_list"][0]["resumes"], 0,
                "moment {moment}: {stage} was not disturbed"
            );
        }
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
