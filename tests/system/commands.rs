//! `kind = "command"`: any program is a stage, with the same lineage and the same promises.

use begat_tests::{Answer, Home, add_test_data, processes, wait_for};
use serde_json::{Value, json};

const RUN_FAILED: i32 = 7;

fn launch(home: &Home, script: &str, extra: &str) -> Answer {
    let folder = home.path().join("recipe");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("work.sh"), script).unwrap();
    let recipe = format!(
        "name = \"external\"\n[stages.work]\nkind = \"command\"\ninputs.data = \"test/sft\"\nsource = [\"work.sh\"]\n\
         argv = [\"sh\", \"work.sh\"]\noutputs = {{ result = \"files\" }}\n{extra}"
    );
    let file = folder.join("recipe.toml");
    std::fs::write(&file, recipe).unwrap();
    home.cli()
        .run(["--json", "launch", file.to_str().unwrap(), "--follow"])
}

#[test]
fn its_outputs_have_lineage_and_are_not_made_twice() {
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    let script = "set -e\nmkdir -p $BEGAT_WORK/outputs/result\nwc -l < $BEGAT_WORK/inputs/data/train.jsonl \
                  > $BEGAT_WORK/outputs/result/count\n";
    let answer = launch(&home, script, "");
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
    let out = home.path().join("out");
    home.cli()
        .ok(["checkout", "external/work", out.to_str().unwrap()]);
    assert_eq!(
        std::fs::read_to_string(out.join("count")).unwrap().trim(),
        "120"
    );
    let lineage = home.cli().json(["lineage", "external/work"]);
    let names: Vec<&Value> = lineage["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| &edge["name"])
        .collect();
    for name in ["data", "source", "result"] {
        assert!(names.contains(&&json!(name)), "{names:?}");
    }
    let again: Value = serde_json::from_str(&launch(&home, script, "").stdout).unwrap();
    assert_eq!(again["stages"][0]["found"], true);
    let changed: Value =
        serde_json::from_str(&launch(&home, &format!("{script}# changed\n"), "").stdout).unwrap();
    assert_eq!(
        changed["stages"][0]["found"], false,
        "another source is another run"
    );
}

#[test]
fn the_example_trains_with_plain_python() {
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    let cli = home.cli();
    let arguments = [
        "launch",
        "configs/recipes/command.toml",
        "--follow",
        "--set",
    ];
    let launch = cli.json(
        arguments
            .into_iter()
            .chain(["stages.classifier.inputs.dataset=test/sft"]),
    );
    assert_eq!(launch["state"], "succeeded");
    let run = launch["stages"][0]["run"].as_str().unwrap();
    let series = cli.json(["metrics", run]);
    let loss = series["series"]["loss"].as_array().unwrap();
    assert_eq!(loss.len(), 3);
    assert!(loss[2][1].as_f64() < loss[0][1].as_f64(), "{loss:?}");
    assert_eq!(cli.json(["reproduce", run])["state"], "identical");
}

#[test]
fn a_failure_is_told_with_its_status() {
    let home = Home::new();
    let mut daemon = home.start();
    add_test_data(&home);
    let answer = launch(&home, "echo what went wrong >&2\nexit 3\n", "");
    assert_eq!(answer.code, RUN_FAILED);
    let launch: Value = serde_json::from_str(&answer.stdout).unwrap();
    let reason = launch["stages"][0]["reason"].as_str().unwrap();
    assert!(reason.contains('3'), "{reason}");
    let run = launch["stages"][0]["run"].as_str().unwrap();
    assert!(home.cli().ok(["logs", run]).contains("what went wrong"));
    assert!(daemon.is_alive());
}

#[test]
fn an_output_that_was_promised_and_not_written() {
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    let answer = launch(&home, "exit 0\n", "");
    assert_eq!(answer.code, RUN_FAILED);
    let launch: Value = serde_json::from_str(&answer.stdout).unwrap();
    let reason = launch["stages"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("result"), "{reason}");
}

#[test]
fn one_that_ignores_sigterm_is_killed_after_the_grace_period() {
    let home = Home::with_config("stop_grace_seconds = 1\n[slots]\ncpu = 1\n");
    let _daemon = home.start();
    add_test_data(&home);
    let folder = home.path().join("recipe");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("work.sh"),
        "trap '' TERM\nwhile true; do sleep 0.1; done\n",
    )
    .unwrap();
    let recipe = "name = \"stubborn\"\n[stages.work]\nkind = \"command\"\nsource = [\"work.sh\"]\n\
                  argv = [\"sh\", \"work.sh\"]\noutputs = { result = \"files\" }\n";
    std::fs::write(folder.join("recipe.toml"), recipe).unwrap();
    home.cli()
        .ok(["launch", folder.join("recipe.toml").to_str().unwrap()]);
    let shells = || {
        let all = processes::below(&home.data());
        all.into_iter()
            .filter(|(_, name)| name.contains("sh") && !name.contains("begat"))
            .count()
    };
    wait_for("the program to run", || (shells() > 0).then_some(()));
    home.cli().ok(["cancel", "stubborn"]);
    wait_for("the program to be killed", || (shells() == 0).then_some(()));
    let launch = wait_for("the launch to be cancelled", || {
        let launch = home.cli().json(["show", "stubborn"]);
        (launch["state"] != "running").then_some(launch)
    });
    assert_eq!(launch["state"], "cancelled");
}
