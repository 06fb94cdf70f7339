//! The rules as files: Prometheus's own tool checks them, each alert fires when it should and not when it should not, and
//! each has a runbook.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use begat_tests::{debian_tool, root};
use regex::Regex;

/// Runs promtool in dashboards/prometheus and insists on success.
#[track_caller]
pub fn promtool_accepts(promtool: &Path, arguments: &[&str]) {
    let output = Command::new(promtool)
        .args(arguments)
        .current_dir(root().join("dashboards/prometheus"))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "promtool {arguments:?}:\n{}",
        String::from_utf8_lossy(&said)
    );
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join("dashboards").join(path)).unwrap()
}

fn alerts() -> BTreeSet<String> {
    let text = read("prometheus/rules/alerts.rules.yml");
    let name = Regex::new(r"- alert: (\w+)").unwrap();
    name.captures_iter(&text)
        .map(|found| found[1].to_owned())
        .collect()
}

/// The files of promtool's tests, by name.
fn tests() -> Vec<String> {
    let folder = root().join("dashboards/prometheus/tests");
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.ends_with(".test.yml"))
        .map(|name| format!("tests/{name}"))
        .collect()
}

#[test]
fn promtool_and_amtool_accept_the_configuration() {
    let name = "promtool_and_amtool_accept_the_configuration";
    let (Some(promtool), Some(amtool)) =
        (debian_tool("promtool", name), debian_tool("amtool", name))
    else {
        return;
    };
    promtool_accepts(&promtool, &["check", "config", "prometheus.yml"]);
    promtool_accepts(
        &promtool,
        &[
            "check",
            "rules",
            "rules/begat.rules.yml",
            "rules/alerts.rules.yml",
        ],
    );
    promtool_accepts(
        &amtool,
        &["check-config", "../alertmanager/alertmanager.yml"],
    );
}

#[test]
fn alerts_fire_when_they_should_and_not_when_they_should_not() {
    let Some(promtool) = debian_tool(
        "promtool",
        "alerts_fire_when_they_should_and_not_when_they_should_not",
    ) else {
        return;
    };
    let tests = tests();
    let arguments = ["test", "rules"]
        .into_iter()
        .chain(tests.iter().map(String::as_str));
    promtool_accepts(&promtool, &arguments.collect::<Vec<_>>());
}

#[test]
fn every_alert_has_a_test_that_fires_it() {
    let fires = Regex::new(r#"labels: 'ALERTS\{alertname="(\w+)""#).unwrap();
    let text: String = tests()
        .iter()
        .map(|name| read(&format!("prometheus/{name}")))
        .collect();
    let tested: BTreeSet<String> = fires
        .captures_iter(&text)
        .map(|found| found[1].to_owned())
        .collect();
    assert_eq!(tested, alerts());
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let page = read("RUNBOOKS.md");
    let sections: Vec<&str> = page.split("\n## ").skip(1).collect();
    let named: BTreeSet<String> = sections
        .iter()
        .map(|section| section.lines().next().unwrap().to_owned())
        .collect();
    assert_eq!(named, alerts());
    for section in sections {
        let name = section.lines().next().unwrap();
        for part in [
            "**Meaning.**",
            "**Impact.**",
            "**Diagnosis.**",
            "**Mitigation.**",
            "```promql",
        ] {
            assert!(section.contains(part), "{name} has no {part}");
        }
    }
    let rules = read("prometheus/rules/alerts.rules.yml");
    for alert in alerts() {
        let link = format!("dashboards/RUNBOOKS.md#{}", alert.to_lowercase());
        assert!(
            rules.contains(&link),
            "{alert} does not lead to its runbook"
        );
    }
}

/// The queries of the runbooks' diagnoses.
pub fn diagnoses() -> Vec<String> {
    let page = read("RUNBOOKS.md");
    let blocks = page.split("```promql\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap().lines());
    lines.map(str::to_owned).collect()
}
