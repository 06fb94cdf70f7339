//! Curves and last values.

use std::collections::BTreeMap;
use std::fmt::Write;

use begat_schemas::Metric;
use begat_schemas::api::MetricsView;
use textplots::{Chart, LabelBuilder, LabelFormat, Plot, Shape};

use super::table::Columns;
use super::{Look, count, value};

/// The metrics that say most about a stage, the most telling first.
const TELLING: [&str; 8] = [
    "eval_loss",
    "gold_score",
    "gold_score_greedy",
    "loss",
    "mean_token_accuracy",
    "accuracy",
    "vocabulary_size",
    "bytes_per_token",
];
/// How many of them a line has room for.
const TELLING_MAX: usize = 3;
/// Dots of a chart: two a column, four a line.
const CHART_WIDTH_MAX: u32 = 160;
const CHART_WIDTH_MIN: u32 = 40;
const CHART_HEIGHT: u32 = 48;
/// Columns right of a chart for its labels.
const LABEL_COLUMNS: u32 = 12;

/// The most telling of `metrics` in one line.
pub fn key_metrics(metrics: &BTreeMap<String, Metric>) -> String {
    let telling = TELLING
        .iter()
        .filter_map(|name| metrics.get_key_value(*name));
    let mut found: Vec<_> = telling.take(TELLING_MAX).collect();
    if found.is_empty() {
        found = metrics.iter().take(TELLING_MAX).collect();
    }
    let texts: Vec<String> = found
        .iter()
        .map(|(name, metric)| format!("{name} {}", value(metric.0)))
        .collect();
    texts.join(", ")
}

/// A table of a run's metrics, and the curves of those that were asked for; of the most telling one if none was.
pub fn curves(view: &MetricsView, asked: bool, look: Look) -> String {
    let mut text = summary(view, look);
    let drawn: Vec<&String> = if asked {
        view.series.keys().collect()
    } else {
        most_telling(view).into_iter().collect()
    };
    for name in drawn {
        if let Some(chart) = chart(&view.series[name], look) {
            let _ = write!(text, "\n{} by step\n{chart}", look.heading(name));
        }
    }
    text
}

fn most_telling(view: &MetricsView) -> Option<&String> {
    let curve = |name: &&String| view.series[*name].len() > 1;
    ["loss", "eval_loss"]
        .iter()
        .filter_map(|name| view.series.get_key_value(*name).map(|(name, _)| name))
        .find(curve)
        .or_else(|| view.series.keys().find(curve))
}

fn summary(view: &MetricsView, look: Look) -> String {
    let mut table = Columns::new(
        look,
        &["METRIC", "POINTS", "FIRST", "LAST", "LOWEST", "HIGHEST"],
    );
    for (name, points) in &view.series {
        let values = || points.iter().map(|(_, metric)| metric.0);
        table.row([
            name.clone(),
            count(points.len() as u64),
            values().next().map_or(String::new(), value),
            values().next_back().map_or(String::new(), value),
            value(values().fold(f64::INFINITY, f64::min)),
            value(values().fold(f64::NEG_INFINITY, f64::max)),
        ]);
    }
    table.text()
}

/// A chart of the finite points; none if there are fewer than two.
fn chart(points: &[(u64, Metric)], look: Look) -> Option<String> {
    let points: Vec<(f32, f32)> = points
        .iter()
        .filter(|(_, metric)| metric.0.is_finite())
        .map(|(step, metric)| (*step as f32, metric.0 as f32))
        .collect();
    let (first, last) = (points.first()?.0, points.last()?.0);
    if first >= last {
        return None;
    }
    let columns = look.width.map_or(CHART_WIDTH_MAX / 2, u32::from);
    let width = columns
        .saturating_sub(LABEL_COLUMNS)
        .saturating_mul(2)
        .clamp(CHART_WIDTH_MIN, CHART_WIDTH_MAX);
    let shape = Shape::Lines(&points);
    let mut chart = Chart::new(width, CHART_HEIGHT, first, last);
    let chart = chart
        .x_label_format(LabelFormat::Custom(Box::new(|step| count(step as u64))))
        .y_label_format(LabelFormat::Custom(Box::new(|y| value(f64::from(y)))))
        .lineplot(&shape);
    chart.axis();
    chart.figures();
    let text = chart.to_string().replace('\u{2800}', " ");
    Some(
        text.lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect(),
    )
}

/// Every step a line, every metric a column; a step that lacks a metric leaves it empty.
pub fn csv(view: &MetricsView) -> String {
    let names: Vec<&String> = view.series.keys().collect();
    let mut rows: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (at, name) in names.iter().enumerate() {
        for (step, metric) in &view.series[*name] {
            let row = rows
                .entry(*step)
                .or_insert_with(|| vec![String::new(); names.len()]);
            row[at] = metric.0.to_string();
        }
    }
    let mut text = String::from("step");
    for name in names {
        text.push(',');
        text.push_str(&quoted(name));
    }
    text.push('\n');
    for (step, row) in rows {
        let _ = writeln!(text, "{step},{}", row.join(","));
    }
    text
}

/// A field by RFC 4180.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn curve() {
        insta::assert_snapshot!(curves(&samples::metrics(), false, Look::default()));
    }

    #[test]
    fn as_csv() {
        insta::assert_snapshot!(csv(&samples::metrics()));
    }

    #[test]
    fn fields_with_commas_are_quoted() {
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }

    #[test]
    fn a_single_point_makes_no_chart() {
        assert_eq!(chart(&[(1, Metric(2.0))], Look::default()), None);
        assert_eq!(
            chart(&[(1, Metric(f64::NAN)), (2, Metric(1.0))], Look::default()),
            None
        );
    }

    #[test]
    fn the_most_telling_metrics_come_first() {
        let metrics = ["loss", "eval_loss", "learning_rate"]
            .map(|name| (name.to_owned(), Metric(0.5)))
            .into();
        assert_eq!(key_metrics(&metrics), "eval_loss 0.5000, loss 0.5000");
        let others = [("reward".to_owned(), Metric(1.0))].into();
        assert_eq!(key_metrics(&others), "reward 1");
    }
}
