//! The table of all metrics: `dashboards/METRICS.md`, made from what is declared.

use std::fmt::Write;

use super::family::Family;
use super::journal_metrics::{JournalMetric, SECTIONS};
use super::{
    FAMILIES, fleet_series, gpu, host_series, http_series, inbox_series, journal_metrics,
    otlp_series, process_series, run_series, step_series, store_series, work_series,
};

const HEAD: &str = "# Metrics

Made by `make metrics-table` from what `begatd` declares; a test holds it current.

A series of a run carries `run` (the first 12 digits of its id) and `stage` only, and leaves `/metrics` a set time after the run
ended (`metrics_retention_seconds`). What else there is to know of it is joined:

```promql
begat_stage_loss * on(run) group_left(kind) begat_run_info
begat_stage_loss and on(run) begat_launch_run_info{recipe=\"gpt\"}
```

`/metrics` answers in Prometheus's text form, and in OpenMetrics 1.0 with exemplars where `Accept` asks for it. Counters begin
at zero when the daemon starts. Series of GPUs are there where NVML is.
";

/// The groups of the table, in its order.
const GROUPS: [(&str, &[&[Family]]); 7] = [
    (
        "Runs and work",
        &[fleet_series::FAMILIES, work_series::FAMILIES],
    ),
    (
        "Stages",
        &[
            run_series::FAMILIES,
            step_series::FAMILIES,
            journal_metrics::FAMILIES,
        ],
    ),
    ("Store", &[store_series::FAMILIES]),
    (
        "Daemon",
        &[
            FAMILIES,
            http_series::FAMILIES,
            inbox_series::FAMILIES,
            otlp_series::FAMILIES,
        ],
    ),
    ("Process", &[process_series::FAMILIES]),
    ("Host and runtime", &[host_series::FAMILIES]),
    ("GPU", &[gpu::FAMILIES]),
];

/// Every family that there can be.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = &'static Family> {
    GROUPS
        .iter()
        .flat_map(|(_, lists)| lists.iter().copied().flatten())
}

/// The table, as `dashboards/METRICS.md` holds it.
pub fn table() -> String {
    let mut text = HEAD.to_owned();
    for (title, lists) in GROUPS {
        let _ = write!(
            text,
            "\n## {title}\n\n| name | type | labels | unit | meaning |\n|---|---|---|---|---|\n"
        );
        for family in lists.iter().copied().flatten() {
            write_family(&mut text, family);
        }
    }
    write_journal(&mut text);
    text
}

fn write_family(text: &mut String, family: &Family) {
    let labels: Vec<String> = family
        .labels
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    let _ = writeln!(
        text,
        "| `{}` | {} | {} | {} | {} |",
        family.name,
        family.sort.name(),
        labels.join(", "),
        family.unit,
        family.help
    );
}

fn write_journal(text: &mut String) {
    text.push_str(
        "
## What stages write into their journals

The names are TRL's where TRL has one. A metric without a series of its own is shown by `begat_stage_metric`, 100 of a run at
most. `seconds/PHASE` says how many seconds went into a phase since the line before, and is summed by
`begat_stage_phase_seconds_total`.
",
    );
    for section in SECTIONS {
        let _ = write!(
            text,
            "\n### {}\n\n| metric | series | unit | meaning |\n|---|---|---|---|\n",
            section.stages
        );
        for metric in section.metrics {
            write_metric(text, metric);
        }
    }
}

fn write_metric(text: &mut String, metric: &JournalMetric) {
    let series = metric.series.map(|family| format!("`{}`", family.name));
    let _ = writeln!(
        text,
        "| `{}` | {} | {} | {} |",
        metric.name,
        series.unwrap_or_default(),
        metric.unit,
        metric.meaning
    );
}
