//! Real Prometheus on the shipped configuration beside a real daemon: every query of every panel, variable, annotation, rule
//! and runbook is asked, none is wrong, and none is empty that should not be.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use begat_tests::boards::{self, Filled, Query, list, text};
use begat_tests::monitors::{Monitoring, Server};
use begat_tests::{Cli, Home, add_test_data, debian_tool, http, processes, wait_for, write_rows};
use regex::Regex;
use rustix::process::Signal;
use serde_json::{Value, json};

/// A scrape every 1.5 s instead of 15.
const SCALE: f64 = 0.1;
const GPT: &str = "configs/recipes/test/align-gpt.toml";
const LLAMA: &str = "configs/recipes/test/align-llama.toml";
const LONG: &str = "configs/recipes/test/gpt.toml";
const FAILS: &str = "name = \"test-align-llama\"\n[stages.fails]\nkind = \"command\"\nsource = [\"fails.sh\"]\n\
                     argv = [\"sh\", \"fails.sh\"]\noutputs = { out = \"files\" }\n";

/// What was asked, and what Prometheus had.
struct Asked<'a> {
    prometheus: &'a Server,
    filled: Filled<'a>,
    /// Seconds since 1970.
    from: f64,
    to: f64,
}

impl Asked<'_> {
    /// The values that a query finds, over the whole time or at its end.
    fn values(&self, expression: &str, instant: bool) -> Result<Vec<f64>, String> {
        let (from, to) = (self.from.to_string(), self.to.to_string());
        let expression = self.filled.fill(expression);
        let found = match instant {
            true => self
                .prometheus
                .api("query", &[("query", &expression), ("time", &to)]),
            false => {
                let range = [
                    ("query", expression.as_str()),
                    ("start", &from),
                    ("end", &to),
                    ("step", "1.5"),
                ];
                self.prometheus.api("query_range", &range)
            }
        };
        let found = found.map_err(|error| format!("{error}\n  {expression}"))?;
        Ok(numbers(&found))
    }

    /// What is wrong with a query, if anything is.
    fn complaint(&self, query: &Query) -> Option<String> {
        let live = query.only.as_deref() == Some("live");
        match self.values(&query.expression, query.instant && !live) {
            Err(error) => Some(format!("{}: {error}", query.place)),
            Ok(values) if values.iter().any(|value| value.is_finite()) => None,
            Ok(values) => {
                let filled = self.filled.fill(&query.expression);
                Some(format!(
                    "{}: {} values, none a number\n  {filled}",
                    query.place,
                    values.len()
                ))
            }
        }
    }
}

/// The numbers in an answer of Prometheus.
fn numbers(found: &Value) -> Vec<f64> {
    let number = |sample: &Value| text_of(&sample[1]).parse().unwrap_or(f64::NAN);
    if found["resultType"] == "scalar" {
        return vec![number(&found["result"])];
    }
    let series = list(found, "/result").iter();
    series
        .flat_map(|series| {
            let one = series.get("value").into_iter();
            one.chain(list(series, "/values"))
                .map(number)
                .collect::<Vec<_>>()
        })
        .collect()
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs_f64()
}

/// Waits for a few scrapes, so that what changed has been seen.
fn scrapes(prometheus: &Server, count: usize) {
    let stamp = "timestamp(up{job=\"begatd\"})";
    for _ in 0..count {
        let seen = numbers_at(prometheus, stamp);
        wait_for("a scrape", || {
            (numbers_at(prometheus, stamp) > seen).then_some(())
        });
    }
}

fn numbers_at(prometheus: &Server, expression: &str) -> Vec<f64> {
    let series = prometheus.instant(expression, None);
    let numbers = series
        .iter()
        .map(|series| text_of(&series["value"][1]).parse());
    numbers.map(Result::unwrap).collect()
}

#[test]
fn every_query_is_answered_while_both_recipes_run() {
    let home = Home::new();
    let inbox = home.path().join("inbox");
    std::fs::create_dir(&inbox).unwrap();
    let home = home.reconfigured(&format!(
        "threads = 1\nmetrics_retention_seconds = 3600\n[slots]\ncpu = 2\n[[inbox]]\npath = \"{}\"\nname = \"inbox\"\n\
         settle_seconds = 0.1\n",
        inbox.display()
    ));
    let folder = home.path().join("monitoring");
    let name = "every_query_is_answered_while_both_recipes_run";
    let Some(monitoring) = Monitoring::new(&folder, SCALE, name) else {
        return;
    };
    let _daemon = home.start();
    let (address, _) = home.endpoint();
    monitoring.target("begatd", Some(&address));
    let prometheus = monitoring.prometheus(&home.path().join("samples"));
    let from = now();
    wait_for("the first scrape", || {
        (numbers_at(&prometheus, "up{job=\"begatd\"}") == [1.0]).then_some(())
    });
    happenings(&home, &prometheus, &inbox);
    let to = now();
    let range = format!("{}s", (to - from).ceil());
    let asked = Asked {
        prometheus: &prometheus,
        filled: Filled {
            rate_interval: "6s",
            range: &range,
            sides: ["test-align-gpt", "test-align-llama"],
        },
        from,
        to,
    };
    let mut complaints = of_queries(&asked);
    complaints.extend(of_variables(&asked));
    complaints.extend(of_rules(&asked));
    complaints.extend(of_runbooks(&asked));
    assert!(
        complaints.is_empty(),
        "{} complaints:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
    pages_are_true(&asked);
}

/// Something of everything that a board shows.
fn happenings(home: &Home, prometheus: &Server, inbox: &Path) {
    let cli = home.cli();
    write_rows(&inbox.join("rows.jsonl"), [json!({ "text": "dropped" })]);
    add_test_data(home);
    both(&cli);
    fails(home);
    goes_on(&cli, prometheus);
    let gpt = cli.json(["launch", GPT, "--follow"]);
    let tokenizer = gpt["stages"][0]["run"].as_str().unwrap();
    cli.json(["reproduce", tokenizer]);
    cli.json(["fsck"]);
    for number in 0..4 {
        let folder = home.path().join(format!("out-{number}"));
        cli.ok(["checkout", "test-align-gpt/ppo", folder.to_str().unwrap()]);
        scrapes(prometheus, 1);
    }
    let (address, _) = home.endpoint();
    for _ in 0..3 {
        let (status, _) = http::get(&address, "/api/v1/runs");
        assert_eq!(status, 401, "it was asked without the token");
        scrapes(prometheus, 1);
    }
    scrapes(prometheus, 4);
}

/// Both recipes at once on one base model; one of their stages is killed on the way.
fn both(cli: &Cli) {
    let llama = [
        "--json",
        "launch",
        LLAMA,
        "--follow",
        "--set",
        "model=test-gpt2",
    ];
    let mut llama = cli
        .command(llama)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut gpt = cli
        .command(["--json", "launch", GPT, "--follow"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let stage = wait_for("a stage that has written a checkpoint", || {
        let stages = processes::stages(&cli.data(), "begat-stage").into_iter();
        let mut stages = stages.filter(|pid| {
            let work = processes::work_folder(*pid);
            let saved = work.map(|work| std::fs::read_dir(work.join("checkpoints")));
            saved.is_some_and(|saved| saved.is_ok_and(|mut saved| saved.next().is_some()))
        });
        stages.next()
    });
    processes::signal(stage, Signal::KILL);
    assert!(gpt.wait().unwrap().success());
    assert!(llama.wait().unwrap().success());
}

/// A stage that lives until a rule has said how long it has still to go: those of the recipes may end between two scrapes.
fn goes_on(cli: &Cli, prometheus: &Server) {
    let steps = "stages.pretrain.max_steps=100000";
    let launch = cli.json(["launch", LONG, "--set", steps]);
    wait_for("an estimate of the time left", || {
        let left = "instance_run_stage:begat_stage_remaining_seconds:estimate > 0";
        (!numbers_at(prometheus, left).is_empty()).then_some(())
    });
    let stages = launch["stages"].as_array().unwrap().iter();
    let mut stages = stages.filter(|stage| stage["stage"] == "pretrain");
    let run = stages.next().unwrap()["run"].as_str().unwrap();
    cli.ok(["cancel", run]);
}

/// A launch whose only stage fails, of a recipe that the boards compare.
fn fails(home: &Home) {
    std::fs::write(home.path().join("fails.sh"), "exit 1\n").unwrap();
    let recipe = home.path().join("fails.toml");
    std::fs::write(&recipe, FAILS).unwrap();
    let answer = home
        .cli()
        .run(["launch", recipe.to_str().unwrap(), "--follow"]);
    assert_eq!(answer.code, 7, "{}{}", answer.stdout, answer.stderr);
}

fn of_queries(asked: &Asked<'_>) -> Vec<String> {
    let queries = boards::queries();
    let here = queries
        .iter()
        .filter(|query| query.only.as_deref() != Some("gpu"));
    here.filter_map(|query| asked.complaint(query)).collect()
}

/// Each variable has a choice to offer, and one that reads its choices off series finds them with its pattern.
fn of_variables(asked: &Asked<'_>) -> Vec<String> {
    let mut complaints = Vec::new();
    for board in &boards::all() {
        let variables = list(board, "/templating/list").iter();
        for variable in variables.filter(|variable| variable["type"] == "query") {
            let choices = match boards::variable(variable) {
                (selector, Some(label)) => values_of_label(asked, &selector, &label),
                (expression, None) => {
                    values_by_pattern(asked, &expression, text(variable, "regex"))
                }
            };
            if choices.is_empty() {
                complaints.push(format!("{}, variable {}", board["uid"], variable["name"]));
            }
        }
    }
    complaints
}

fn values_of_label(asked: &Asked<'_>, selector: &str, label: &str) -> Vec<Value> {
    let path = format!("label/{label}/values");
    let found = asked
        .prometheus
        .api(&path, &[("match[]", &asked.filled.fill(selector))]);
    found.unwrap().as_array().unwrap().clone()
}

/// As Grafana does it: each series as text, with its labels in order, and a pattern that finds value and text in it.
fn values_by_pattern(asked: &Asked<'_>, expression: &str, pattern: &str) -> Vec<Value> {
    let pattern = Regex::new(pattern.trim_matches('/')).unwrap();
    let series = asked
        .prometheus
        .instant(&asked.filled.fill(expression), Some(asked.to));
    let labels = series.iter().map(|series| {
        let labels = series["metric"].as_object().unwrap().iter();
        labels
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join(",")
    });
    labels
        .filter_map(|labels| {
            let found = pattern.captures(&labels)?;
            Some(json!([found["value"], found["text"]]))
        })
        .collect()
}

/// Each rule is evaluated without an error, and what is recorded is not nothing.
fn of_rules(asked: &Asked<'_>) -> Vec<String> {
    let rules = asked.prometheus.api("rules", &[]).unwrap();
    let groups = list(&rules, "/groups");
    assert!(groups.len() > 4, "{rules}");
    let mut complaints = Vec::new();
    for rule in groups.iter().flat_map(|group| list(group, "/rules")) {
        let name = text(rule, "name");
        if rule["health"] != "ok" {
            complaints.push(format!(
                "rule {name}: {} {}",
                rule["health"], rule["lastError"]
            ));
        }
        let values = asked.values(text(rule, "query"), false);
        match values {
            Err(error) => complaints.push(format!("rule {name}: {error}")),
            Ok(values) if rule["type"] == "recording" && values.is_empty() => {
                complaints.push(format!("rule {name} records nothing"));
            }
            Ok(_) => {}
        }
    }
    complaints
}

fn of_runbooks(asked: &Asked<'_>) -> Vec<String> {
    let diagnoses = crate::rules::diagnoses();
    assert!(diagnoses.len() > 20);
    let wrong = diagnoses
        .iter()
        .map(|query| asked.values(query, true).err());
    wrong.flatten().collect()
}

/// The run that failed was paged; nothing is said to have stalled, vanished or become no number.
fn pages_are_true(asked: &Asked<'_>) {
    let fired = |alert: &str| {
        let expression = format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}");
        !asked.values(&expression, false).unwrap().is_empty()
    };
    assert!(fired("BegatRunFailed"));
    for alert in [
        "BegatStageStalled",
        "BegatRunVanished",
        "BegatLossNotANumber",
        "BegatDaemonDown",
        "BegatFsckErrors",
    ] {
        assert!(!fired(alert), "{alert} fired");
    }
}

/// The moment that the recorded series end at, in seconds since 1970.
const RECORDED: f64 = 1_795_780_860.0;

#[test]
fn what_needs_a_gpu_is_answered_from_recorded_series() {
    let home = Home::new();
    let name = "what_needs_a_gpu_is_answered_from_recorded_series";
    let Some(monitoring) = Monitoring::new(&home.path().join("monitoring"), SCALE, name) else {
        return;
    };
    let Some(promtool) = debian_tool("promtool", name) else {
        return;
    };
    let samples = home.path().join("samples");
    let recorded = ["tsdb", "create-blocks-from", "openmetrics", "tests/gpu.om"];
    let recorded = recorded.into_iter().chain([samples.to_str().unwrap()]);
    crate::rules::promtool_accepts(&promtool, &recorded.collect::<Vec<_>>());
    let prometheus = monitoring.prometheus(&samples);
    let asked = Asked {
        prometheus: &prometheus,
        filled: Filled {
            rate_interval: "60s",
            range: "60s",
            sides: ["gpt", "llama"],
        },
        from: RECORDED - 60.0,
        to: RECORDED,
    };
    let queries = boards::queries().into_iter();
    let queries: Vec<Query> = queries
        .filter(|query| query.only.as_deref() == Some("gpu"))
        .collect();
    assert!(queries.len() > 10);
    let complaints: Vec<String> = queries
        .iter()
        .filter_map(|query| asked.complaint(query))
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
