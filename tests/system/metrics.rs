//! `/metrics` as Prometheus sees it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Stdio};

use begat_schemas::PHASES;
use begat_tests::{Home, add_test_data, debian_tool, root, wait_for};
use serde_json::Value;

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let Some(promtool) = debian_tool("promtool", "promtool_finds_nothing_to_complain_about") else {
        return;
    };
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    home.cli()
        .json(["launch", "configs/recipes/test/gpt.toml", "--follow"]);
    let (address, _) = home.endpoint();
    let text = crate::security::get(&address, "/metrics", &[]).1;
    for family in [
        "begat_build_info",
        "begat_store_logical_bytes",
        "begat_store_stored_bytes",
        "begat_store_chunks",
        "begat_runs",
        "begat_stage_loss",
        "begat_http_request_duration_seconds_bucket",
        "process_resident_memory_bytes",
    ] {
        assert!(text.contains(family), "{family} is missing from\n{text}");
    }
    let mut check = home
        .command(&promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = check.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Every metric of the journals of a whole lineage that has no gauge of its own stands in the table, and none is left out.
#[test]
fn what_stages_write_is_in_the_table() {
    let home =
        Home::with_config("threads = 1\nmetrics_retention_seconds = 100000\n[slots]\ncpu = 2\n");
    let _daemon = home.start();
    add_test_data(&home);
    let recipe = "configs/recipes/test/align-gpt.toml";
    home.cli().json(["launch", recipe, "--follow"]);
    let (address, _) = home.endpoint();
    let text = crate::security::get(&address, "/metrics", &[]).1;
    let table = std::fs::read_to_string(root().join("dashboards/METRICS.md")).unwrap();
    let names = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let names: Vec<&str> = names.collect();
    let other = text.lines().filter_map(|line| {
        let labels = line.strip_prefix("begat_stage_metric{")?;
        labels.split("metric=\"").nth(1)?.split('"').next()
    });
    let other: BTreeSet<&str> = other.collect();
    assert!(other.contains("epoch"), "{other:?}");
    let unknown = other
        .into_iter()
        .filter(|metric| !names.iter().any(|name| means(name, metric)));
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&str>::new());
    let dropped = "\nbegat_stage_metrics_dropped_total 0\n";
    assert!(text.contains(dropped), "{text}");
    for phase in PHASES {
        let label = format!("phase=\"{phase}\"");
        assert!(text.contains(&label), "{phase} is not in\n{text}");
    }
}

/// Whether a name of the table, in which `{WORD}` stands for anything, is that of the metric.
fn means(name: &str, metric: &str) -> bool {
    let metric = metric.strip_suffix("_low").unwrap_or(metric);
    let metric = metric.strip_suffix("_high").unwrap_or(metric);
    let (Some((before, _)), Some((_, after))) = (name.split_once('{'), name.rsplit_once('}'))
    else {
        return name == metric;
    };
    metric.len() > before.len() + after.len()
        && metric.starts_with(before)
        && metric.ends_with(after)
}

#[test]
fn a_slow_steps_bucket_names_its_run_in_a_real_prometheus() {
    let Some(program) = debian_tool("prometheus", "a_slow_steps_bucket_names_its_run") else {
        return;
    };
    let home = Home::new();
    let _daemon = home.start();
    let (address, _) = home.endpoint();
    let prometheus = Prometheus::start(&home, &program, &address);
    add_test_data(&home);
    let launched = home
        .cli()
        .json(["launch", "configs/recipes/test/gpt.toml", "--follow"]);
    let runs: Vec<&str> = launched["stages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|stage| stage["run"].as_str())
        .collect();
    let query = "/api/v1/query_exemplars?query=begat_stage_step_duration_seconds_bucket&start=0&end=9999999999";
    let labels = wait_for("an exemplar", || {
        let series = prometheus.get(query)["data"].as_array()?.clone();
        let exemplars = series.iter().find_map(|one| one["exemplars"].as_array())?;
        Some(exemplars.first()?["labels"].clone())
    });
    let run = labels["run"].as_str().unwrap();
    assert!(
        runs.iter().any(|full| full.starts_with(run)),
        "{run} is none of {runs:?}"
    );
    assert!(labels["step"].as_str().unwrap().parse::<u64>().unwrap() > 0);
}

/// A Prometheus that finds the daemon by its service discovery; dropped, it is killed.
struct Prometheus {
    child: Child,
    address: String,
}

impl Prometheus {
    fn start(home: &Home, program: &Path, daemon: &str) -> Self {
        let config = home.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: begat\n  http_sd_configs:\n  - url: http://{daemon}/api/v1/prometheus/sd\n    refresh_interval: 1s\n"
        );
        std::fs::write(&config, text).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let log = std::fs::File::create(home.path().join("prometheus.log")).unwrap();
        let child = home
            .command(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                home.path().join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=exemplar-storage")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let prometheus = Self { child, address };
        wait_for("Prometheus to listen", || {
            std::net::TcpStream::connect(&prometheus.address).ok()
        });
        prometheus
    }

    fn get(&self, path: &str) -> Value {
        let (_, body) = crate::security::get(&self.address, path, &[]);
        serde_json::from_str(&without_chunks(&body)).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A body without the lengths of its chunks, if it came in chunks.
fn without_chunks(body: &str) -> String {
    if body.starts_with('{') {
        return body.to_owned();
    }
    let (mut rest, mut text) = (body, String::new());
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap_or(0);
        if length == 0 {
            break;
        }
        text.push_str(&after[..length]);
        rest = after[length..].trim_start_matches("\r\n");
    }
    text
}
