//! Prometheus's families as an OTLP request.
//!
//! Names stay Prometheus's, but a counter's has no `_total`: a collector that tells Prometheus of it puts that back
//! (OpenTelemetry specification, "Prometheus and OpenMetrics compatibility"). Sums and histograms are cumulative since the daemon
//! began; units are UCUM's.

use begat_schemas::Time;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exemplar, metric::Data,
    number_data_point::Value,
};
use prometheus::proto::{self, MetricFamily, MetricType};

use super::resource::Resource;
use super::value::{nanoseconds, scope, text};
use crate::telemetry::{self, Exemplars};

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// UCUM's unit by the word that a name ends with.
const UNITS: [(&str, &str); 8] = [
    ("seconds", "s"),
    ("bytes", "By"),
    ("ratio", "1"),
    ("joules", "J"),
    ("watts", "W"),
    ("celsius", "Cel"),
    ("hertz", "Hz"),
    ("nats", "{nat}"),
];

/// What is told of the families at `now` by a daemon that began at `began`.
pub(super) fn request(
    resource: &Resource,
    families: &[MetricFamily],
    exemplars: &Exemplars,
    began: Time,
    now: Time,
) -> ExportMetricsServiceRequest {
    let times = Times {
        began: nanoseconds(began),
        now: nanoseconds(now),
    };
    let metrics = families
        .iter()
        .map(|family| metric(family, exemplars, times));
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource.message()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics: metrics.collect(),
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

#[derive(Clone, Copy)]
struct Times {
    began: u64,
    now: u64,
}

fn metric(family: &MetricFamily, exemplars: &Exemplars, times: Times) -> Metric {
    let sort = family.get_field_type();
    let name = match sort {
        MetricType::COUNTER => family.name().strip_suffix("_total"),
        _ => None,
    }
    .unwrap_or(family.name());
    let samples = family.get_metric().iter();
    let data = match sort {
        MetricType::COUNTER => Data::Sum(Sum {
            data_points: samples
                .map(|one| number(one, one.get_counter().get_value(), times.began, times))
                .collect(),
            aggregation_temporality: CUMULATIVE,
            is_monotonic: true,
        }),
        MetricType::HISTOGRAM => Data::Histogram(Histogram {
            data_points: samples
                .map(|one| histogram(one, exemplars.of(family.name(), one), times))
                .collect(),
            aggregation_temporality: CUMULATIVE,
        }),
        _ => Data::Gauge(Gauge {
            data_points: samples
                .map(|one| number(one, one.get_gauge().get_value(), 0, times))
                .collect(),
        }),
    };
    Metric {
        name: name.to_owned(),
        description: family.help().to_owned(),
        unit: unit(name).to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn unit(name: &str) -> &'static str {
    let last = name.rsplit('_').next().unwrap_or_default();
    let found = UNITS.iter().find(|(word, _)| *word == last);
    found.map_or("", |(_, unit)| unit)
}

/// `began` is 0 for what stands as it is.
fn number(sample: &proto::Metric, value: f64, began: u64, times: Times) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(sample),
        start_time_unix_nano: began,
        time_unix_nano: times.now,
        value: Some(Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn histogram(
    sample: &proto::Metric,
    examples: &[Option<telemetry::Exemplar>],
    times: Times,
) -> HistogramDataPoint {
    let histogram = sample.get_histogram();
    let finite = histogram
        .get_bucket()
        .iter()
        .filter(|bucket| bucket.upper_bound().is_finite());
    let (bounds, mut counts): (Vec<f64>, Vec<u64>) = finite
        .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
        .unzip();
    counts.push(histogram.get_sample_count());
    // Prometheus counts what is below a bound, OTLP what is between two.
    for at in (1..counts.len()).rev() {
        counts[at] = counts[at].saturating_sub(counts[at - 1]);
    }
    HistogramDataPoint {
        attributes: attributes(sample),
        start_time_unix_nano: times.began,
        time_unix_nano: times.now,
        count: histogram.get_sample_count(),
        sum: Some(histogram.get_sample_sum()),
        bucket_counts: counts,
        explicit_bounds: bounds,
        exemplars: examples.iter().flatten().map(exemplar).collect(),
        ..HistogramDataPoint::default()
    }
}

fn exemplar(example: &telemetry::Exemplar) -> Exemplar {
    let attributes = example
        .labels
        .iter()
        .map(|(name, value)| text(name, value.clone()));
    Exemplar {
        filtered_attributes: attributes.collect(),
        time_unix_nano: nanoseconds(example.time),
        value: Some(exemplar::Value::AsDouble(example.value)),
        ..Exemplar::default()
    }
}

fn attributes(sample: &proto::Metric) -> Vec<KeyValue> {
    let pairs = sample.get_label().iter();
    pairs.map(|pair| text(pair.name(), pair.value())).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::telemetry::{Figures, Outcome, Telemetry};
    use begat_schemas::StageKind;

    fn told(telemetry: &Telemetry) -> Vec<Metric> {
        let (families, exemplars) = telemetry.families(&Figures::default());
        let (began, now) = (Time::from_milliseconds(1000), Time::from_milliseconds(3000));
        let request = request(
            &Resource::new(&[], Path::new("/data")),
            &families,
            &exemplars,
            began,
            now,
        );
        let mut resources = request.resource_metrics.into_iter();
        let scope = resources.next().unwrap().scope_metrics.remove(0);
        scope.metrics
    }

    fn named<'a>(metrics: &'a [Metric], name: &str) -> &'a Metric {
        metrics.iter().find(|metric| metric.name == name).unwrap()
    }

    #[test]
    fn a_counter_is_a_rising_sum_without_its_suffix() {
        let telemetry = Telemetry::new();
        telemetry.work().ended(StageKind::Sft, Outcome::Failed);
        let metrics = told(&telemetry);
        let Some(Data::Sum(sum)) = &named(&metrics, "begat_attempts_ended").data else {
            panic!("no sum");
        };
        assert!(sum.is_monotonic && sum.aggregation_temporality == CUMULATIVE);
        let of_sft = [text("kind", "sft"), text("outcome", "failed")];
        let point = sum
            .data_points
            .iter()
            .find(|point| point.attributes == of_sft)
            .unwrap();
        assert_eq!(point.value, Some(Value::AsDouble(1.0)));
        assert_eq!(
            (point.start_time_unix_nano, point.time_unix_nano),
            (1_000_000_000, 3_000_000_000)
        );
    }

    #[test]
    fn a_histogram_counts_between_its_bounds() {
        let telemetry = Telemetry::new();
        for milliseconds in [50, 50, 500, 100_000_000] {
            telemetry.work().waited(
                StageKind::Dpo,
                std::time::Duration::from_millis(milliseconds),
            );
        }
        let metrics = told(&telemetry);
        let wait = named(&metrics, "begat_queue_wait_seconds");
        assert_eq!(wait.unit, "s");
        let Some(Data::Histogram(histogram)) = &wait.data else {
            panic!("no histogram");
        };
        let point = &histogram.data_points[0];
        assert_eq!(point.explicit_bounds.len() + 1, point.bucket_counts.len());
        assert_eq!(point.explicit_bounds[..2], [0.1, 1.0]);
        assert_eq!(point.bucket_counts[..2], [2, 1]);
        assert_eq!(point.bucket_counts.last(), Some(&1));
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
        assert_eq!(point.sum, Some(100_000.6));
    }

    #[test]
    fn every_family_of_the_text_form_is_told() {
        let telemetry = Telemetry::new();
        let (families, _) = telemetry.families(&Figures::default());
        let metrics = told(&telemetry);
        assert_eq!(metrics.len(), families.len());
        assert!(
            metrics
                .iter()
                .all(|metric| metric.data.is_some() && !metric.description.is_empty())
        );
        let Some(Data::Gauge(build)) = &named(&metrics, "begat_build_info").data else {
            panic!("no gauge");
        };
        assert_eq!(build.data_points[0].value, Some(Value::AsDouble(1.0)));
    }
}
