//! Values as they stand at one moment, gathered family by family.
//!
//! What the engine knows anyway is written onto a fresh sheet at each scrape, not kept in gauges: so a run that is no longer
//! named has no series left, whatever it had before.

use std::collections::BTreeMap;

use prometheus::proto::{Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::family::{Family, Sort};

/// Families with their samples.
#[derive(Debug, Default)]
pub(super) struct Sheet(BTreeMap<&'static str, (Family, Vec<Metric>)>);

impl Sheet {
    /// A counter's or a gauge's value.
    pub(super) fn put(&mut self, family: &Family, labels: &[&str], value: f64) {
        let mut metric = Metric::from_label(pairs(family, labels));
        match family.sort {
            Sort::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            Sort::Gauge | Sort::Histogram => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        self.add(family, metric);
    }

    /// The value, if there is one.
    pub(super) fn put_some(&mut self, family: &Family, labels: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.put(family, labels, value);
        }
    }

    pub(super) fn put_histogram(&mut self, family: &Family, labels: &[&str], value: Histogram) {
        let mut metric = Metric::from_label(pairs(family, labels));
        metric.set_histogram(value);
        self.add(family, metric);
    }

    fn add(&mut self, family: &Family, metric: Metric) {
        let (_, metrics) = self
            .0
            .entry(family.name)
            .or_insert_with(|| (*family, Vec::new()));
        metrics.push(metric);
    }

    pub(super) fn into_families(self) -> Vec<MetricFamily> {
        let families = self.0.into_values().map(|(family, metrics)| {
            let mut form = MetricFamily::default();
            form.set_name(family.name.to_owned());
            form.set_help(family.help.to_owned());
            form.set_field_type(match family.sort {
                Sort::Counter => MetricType::COUNTER,
                Sort::Gauge => MetricType::GAUGE,
                Sort::Histogram => MetricType::HISTOGRAM,
            });
            form.set_metric(metrics);
            form
        });
        families.collect()
    }
}

fn pairs(family: &Family, labels: &[&str]) -> Vec<LabelPair> {
    debug_assert_eq!(family.labels.len(), labels.len(), "{}", family.name);
    let pairs = family.labels.iter().zip(labels).map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    pairs.collect()
}
