//! What was measured of stages, side by side.

use std::collections::{BTreeMap, BTreeSet};

use begat_schemas::Metric;
use begat_schemas::api::{Interval, MetricComparison};

use super::facts::StageFacts;

/// What the ends of a metric's interval are called, behind the metric's name.
const INTERVAL_ENDS: (&str, &str) = ("_low", "_high");

type Values = BTreeMap<String, Metric>;

/// The metrics of stages that stand beside each other: what a report says, else the run's last values.
pub(super) fn stage_metrics(facts: &[Option<&StageFacts>]) -> BTreeMap<String, MetricComparison> {
    let values: Vec<Option<&Values>> = facts
        .iter()
        .map(|stage| (*stage).and_then(values))
        .collect();
    side_by_side(&values)
}

fn values(stage: &StageFacts) -> Option<&Values> {
    let report = stage.report.as_ref().map(|found| &found.report.metrics);
    report.or_else(|| stage.detail.as_ref().map(|detail| &detail.view.metrics))
}

fn side_by_side(lineages: &[Option<&Values>]) -> BTreeMap<String, MetricComparison> {
    let names: BTreeSet<&String> = lineages
        .iter()
        .flatten()
        .flat_map(|one| one.keys())
        .collect();
    let ends: BTreeSet<String> = names
        .iter()
        .flat_map(|name| [end(name, INTERVAL_ENDS.0), end(name, INTERVAL_ENDS.1)])
        .collect();
    names
        .into_iter()
        .filter(|name| !ends.contains(*name))
        .map(|name| (name.clone(), one_metric(lineages, name)))
        .collect()
}

fn end(name: &str, which: &str) -> String {
    format!("{name}{which}")
}

fn one_metric(lineages: &[Option<&Values>], name: &str) -> MetricComparison {
    let get = |values: Option<&Values>, name: &str| values?.get(name).copied();
    let values: Vec<Option<Metric>> = lineages.iter().map(|one| get(*one, name)).collect();
    let intervals = lineages.iter().map(|one| {
        let low = get(*one, &end(name, INTERVAL_ENDS.0))?.0;
        let high = get(*one, &end(name, INTERVAL_ENDS.1))?.0;
        Some(Interval { low, high })
    });
    MetricComparison {
        deltas: deltas(&values),
        intervals: intervals.collect(),
        values,
    }
}

/// Each value less the first one; none at the first.
fn deltas(values: &[Option<Metric>]) -> Vec<Option<Metric>> {
    let mut first: Option<f64> = None;
    let delta = |value: &Option<Metric>| {
        let value = (*value)?.0;
        match first {
            Some(first) => Some(Metric(value - first)),
            None => {
                first = Some(value);
                None
            }
        }
    };
    values.iter().map(delta).collect()
}
