//! `kill -9` of stages, at random moments.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::random::Random;
use crate::{Cli, processes, wait_for};

fn attempts(cli: &Cli, run: &str) -> Vec<Value> {
    let detail = cli.json(["show", run]);
    detail["attempt_list"].as_array().unwrap().clone()
}

/// As many more attempts of `stage`, each killed once at a random moment; every one must end with the first one's outputs.
/// `launch` is what starts the recipe, without `--follow`.
pub fn at_random_moments(cli: &Cli, launch: &[&str], stage: &str, kills: usize, seed: u64) {
    let followed = cli.json([launch, &["--follow"]].concat());
    let stages = followed["stages"].as_array().unwrap();
    let found = stages.iter().find(|candidate| candidate["stage"] == stage);
    let run = found.unwrap()["run"].as_str().unwrap();
    let first = attempts(cli, run)[0].clone();
    let mut seconds = cli.json(["show", run])["seconds"].as_f64().unwrap();

    let mut random = Random::new(seed);
    let mut killed = 0;
    while killed < kills {
        let before = attempts(cli, run).len();
        cli.ok([launch, &["--rerun", stage]].concat());
        let pid = wait_for("the stage's process", || {
            processes::stages(&cli.data(), "begat-stage")
                .first()
                .copied()
        });
        std::thread::sleep(Duration::from_secs_f64(seconds * random.fraction()));
        let alive = processes::stages(&cli.data(), "begat-stage").contains(&pid);
        processes::signal(pid, Signal::KILL);
        let last = wait_for("the attempt to end", || {
            let last = attempts(cli, run).last().unwrap().clone();
            let ended = ["succeeded", "failed"].contains(&last["state"].as_str().unwrap());
            (attempts(cli, run).len() > before && ended).then_some(last)
        });
        let moment = format!("seed {seed}, kill {killed}: {last}");
        assert_eq!(last["state"], "succeeded", "{moment}");
        assert_eq!(last["outputs"], first["outputs"], "{moment}");
        if alive && last["resumes"].as_u64().unwrap() > 0 {
            killed += 1;
        } else if !alive {
            // The first attempt was slower than this one: on a busy machine most moments would come too late.
            seconds *= 0.8;
        }
    }
}
