mod examples;
mod promtool;
mod runs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use prometheus::proto::MetricType;

use super::*;
use examples::{all, busy, figures, run};

fn assert_says(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            text.lines().any(|found| found == *line),
            "{line} is not in\n{text}"
        );
    }
}

#[test]
fn says_what_is_the_case() {
    let text = busy().text(&all(vec![figures()]));
    let short = run().short();
    let of_run =
        |name: &str, value: &str| format!("{name}{{run=\"{short}\",stage=\"pretrain\"}} {value}");
    for line in [
        of_run("begat_stage_loss", "0.5"),
        of_run("begat_stage_step", "3"),
        of_run("begat_stage_steps_planned", "100"),
        of_run("begat_stage_tokens_total", "300"),
        of_run("begat_stage_energy_joules_total", "900"),
        of_run("begat_stage_last_event_timestamp_seconds", "1700000000.5"),
    ] {
        assert_says(&text, &[&line]);
    }
    assert_says(
        &text,
        &[
            "begat_runs{state=\"running\"} 2",
            "begat_runs{state=\"failed\"} 0",
            "begat_queue_length 4",
            "begat_device_slots_busy{device=\"cpu\"} 1",
            "begat_store_logical_bytes 1000",
            "begat_store_deduplication_ratio 2.5",
            "begat_store_compression_ratio 2",
            "begat_store_read_only 0",
            "begat_store_fsck_errors 2",
            "begat_filesystem_free_bytes{folder=\"data\"} 10",
            "begat_http_requests_total{method=\"GET\",route=\"/api/v1/runs/{id}\",status=\"200\"} 1",
            "begat_inbox_drops_total{inbox=\"inbox\",outcome=\"stored\"} 1",
            "begat_inbox_drops_total{inbox=\"inbox\",outcome=\"failed\"} 0",
            "begat_attempts_ended_total{kind=\"sft\",outcome=\"failed\"} 1",
            "begat_attempts_ended_total{kind=\"dpo\",outcome=\"failed\"} 0",
            "begat_memoised_device_seconds_total{kind=\"sft\"} 100.5",
            "begat_device_seconds_total{kind=\"sft\"} 1.5",
            "begat_reproductions_total{verdict=\"identical\"} 1",
            "begat_reproductions_total{verdict=\"corrupt\"} 0",
            "begat_journal_events_total 7",
            "begat_journal_faults_total 1",
            "begat_stage_step_duration_seconds_bucket{stage=\"pretrain\",le=\"1\"} 1",
            "begat_gpu_power_watts{gpu=\"0\"} 684.2",
            "begat_gpu_clock_hertz{gpu=\"0\",clock=\"sm\"} 1980000000",
            "begat_gpu_throttled{gpu=\"0\",reason=\"power_cap\"} 1",
            "begat_gpu_xid_errors_total{gpu=\"0\",xid=\"79\"} 1",
        ],
    );
}

#[test]
fn a_slow_step_is_named_by_its_bucket() {
    let text = busy().openmetrics(&all(vec![figures()]));
    let short = run().short();
    let bucket = "begat_stage_step_duration_seconds_bucket{stage=\"pretrain\",le=\"1.0\"} 1";
    let exemplar = format!("{bucket} # {{run=\"{short}\",step=\"12\"}} 0.7 1700000000.000");
    assert_says(&text, &[&exemplar, "# EOF"]);
}

/// What is declared, what is shown and what the table says are the same.
#[test]
fn every_family_is_declared_once_and_shown() {
    let (families, _) = busy().families(&all(vec![figures()]));
    let mut declared = BTreeMap::new();
    for family in table::all() {
        let before = declared.insert(family.name, family);
        assert!(before.is_none(), "{} is declared twice", family.name);
    }
    for shown in &families {
        let family = declared.remove(shown.name());
        let family = family.unwrap_or_else(|| panic!("{} is not declared", shown.name()));
        let sort = match shown.get_field_type() {
            MetricType::COUNTER => Sort::Counter,
            MetricType::HISTOGRAM => Sort::Histogram,
            _ => Sort::Gauge,
        };
        assert_eq!(sort, family.sort, "{}", family.name);
        assert_eq!(shown.help(), family.help, "{}", family.name);
        let labels: BTreeSet<&str> = family.labels.iter().copied().collect();
        for metric in shown.get_metric() {
            let found: BTreeSet<&str> = metric.get_label().iter().map(|pair| pair.name()).collect();
            assert_eq!(found, labels, "{}", family.name);
        }
    }
    let missing: Vec<&str> = declared.into_keys().collect();
    assert_eq!(missing, Vec::<&str>::new(), "declared, but never shown");
}

#[test]
fn the_committed_table_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboards/METRICS.md");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let table = table();
    let differing = committed
        .lines()
        .zip(table.lines())
        .find(|(one, other)| one != other);
    assert!(
        committed == table,
        "dashboards/METRICS.md is not what begatd declares, first at {differing:?}: run `make metrics-table`"
    );
}
