//! The series of runs: which there are, and that they leave together.

use begat_schemas::{Metric, Purpose, RunId, RunState};

use super::examples::{all, busy, figures, launch, run};
use super::*;

/// Series of a run with one of everything: info, state and a launch; step, planned, step seconds, last event, started, memory
/// and lag; tokens, samples, processor time and energy; six phases; and one metric without a gauge. The gauges come on top.
const SERIES_WITHOUT_GAUGES: usize = 3 + 7 + 4 + 6 + 1;

fn gauges() -> usize {
    journal_metrics::gauges().len()
}

fn lines_of_run(text: &str) -> Vec<String> {
    let label = format!("run=\"{}\"", run().short());
    text.lines()
        .filter(|line| line.contains(&label))
        .map(str::to_owned)
        .collect()
}

fn shown(telemetry: &Telemetry, runs: Vec<RunFigures>) -> Vec<String> {
    lines_of_run(&telemetry.text(&all(runs)))
}

fn value(lines: &[String], name: &str) -> Option<String> {
    let line = lines.iter().find(|line| line.starts_with(name))?;
    Some(line.rsplit(' ').next()?.to_owned())
}

#[test]
fn a_runs_series_leave_together() {
    let telemetry = busy();
    let found = shown(&telemetry, vec![figures()]);
    assert_eq!(found.len(), SERIES_WITHOUT_GAUGES + gauges(), "{found:#?}");
    assert_eq!(shown(&telemetry, vec![]), Vec::<String>::new());
    let text = telemetry.openmetrics(&all(vec![]));
    let left = lines_of_run(&text);
    let exemplar = |line: &String| line.starts_with("begat_stage_step_duration_seconds_bucket");
    assert!(
        left.iter().all(exemplar),
        "only an exemplar names it: {left:#?}"
    );
}

#[test]
fn a_shared_run_has_its_series_once_and_each_of_its_launches() {
    let shared = RunFigures {
        launches: [launch("gpt"), launch("llama")].into(),
        ..figures()
    };
    let found = shown(&busy(), vec![shared]);
    assert_eq!(found.len(), SERIES_WITHOUT_GAUGES + 1 + gauges());
    for recipe in ["gpt", "llama"] {
        let label = format!("recipe=\"{recipe}\"");
        assert_eq!(found.iter().filter(|line| line.contains(&label)).count(), 1);
    }
}

#[test]
fn a_reproduction_takes_the_place_of_its_run_and_says_so() {
    let telemetry = busy();
    shown(&telemetry, vec![figures()]);
    let mut again = RunFigures {
        purpose: Purpose::Reproduce,
        consumed: Some((10, 1)),
        metrics: BTreeMap::from([("loss".to_owned(), Metric(0.25))]),
        ..figures()
    };
    again.attempt.number = 2;
    let found = shown(&telemetry, vec![again, figures()]);
    assert_eq!(
        found.len(),
        SERIES_WITHOUT_GAUGES,
        "one gauge, nothing else: {found:#?}"
    );
    assert_eq!(value(&found, "begat_stage_loss").as_deref(), Some("0.25"));
    assert_eq!(
        value(&found, "begat_stage_tokens_total").as_deref(),
        Some("10")
    );
    let info: Vec<&String> = found
        .iter()
        .filter(|line| line.starts_with("begat_run_info"))
        .collect();
    assert!(
        info.len() == 1 && info[0].contains("purpose=\"reproduction\""),
        "{info:?}"
    );
}

#[test]
fn of_a_run_that_was_found_its_final_figures_are_shown() {
    let found = RunFigures {
        state: RunState::Succeeded,
        energy_joules: None,
        journal_lag_bytes: None,
        ..figures()
    };
    let lines = shown(&busy(), vec![found]);
    assert_eq!(lines.len(), SERIES_WITHOUT_GAUGES - 2 + gauges());
    let state = lines
        .iter()
        .filter(|line| line.starts_with("begat_run_state"));
    let state: Vec<&String> = state.collect();
    assert!(
        state.len() == 1 && state[0].contains("state=\"succeeded\""),
        "{state:?}"
    );
}

#[test]
fn counters_never_fall_and_count_once_across_a_resume() {
    let telemetry = busy();
    for (tokens, expected) in [(300, "300"), (200, "300"), (400, "400")] {
        let figures = RunFigures {
            consumed: Some((tokens, 3)),
            ..figures()
        };
        let lines = shown(&telemetry, vec![figures]);
        let found = value(&lines, "begat_stage_tokens_total");
        assert_eq!(found.as_deref(), Some(expected));
    }
}

#[test]
fn a_program_cannot_flood_prometheus() {
    let made_up = |count: usize| RunFigures {
        metrics: (0..count)
            .map(|number| (format!("made_up_{number}"), Metric(1.0)))
            .chain([("x".repeat(101), Metric(1.0))])
            .collect(),
        ..figures()
    };
    let telemetry = busy();
    for (count, others, dropped) in [(10, 10, 1), (1000, 100, 901), (1000, 100, 901)] {
        let text = telemetry.text(&all(vec![made_up(count)]));
        let found = lines_of_run(&text);
        let found = found
            .iter()
            .filter(|line| line.starts_with("begat_stage_metric{"));
        assert_eq!(found.count(), others);
        assert_says(
            &text,
            &[&format!("begat_stage_metrics_dropped_total {dropped}")],
        );
    }
}

/// Every series that a run can have, of fifty of them, in what one scrape may bring.
#[test]
fn fifty_runs_are_half_a_megabyte_at_most() {
    let runs = (0..50_u32).map(|number| {
        let mut figures = figures();
        figures.attempt.run = RunId::of(&number.to_le_bytes());
        figures
    });
    let (telemetry, figures) = (busy(), all(runs.collect()));
    for text in [telemetry.text(&figures), telemetry.openmetrics(&figures)] {
        assert_eq!(text.matches("\nbegat_run_info{").count(), 50);
        assert!(text.len() < 500_000, "{} bytes", text.len());
    }
}

#[test]
fn a_loss_of_nan_is_a_value() {
    let metrics = BTreeMap::from([("loss".to_owned(), Metric(f64::NAN))]);
    let lines = shown(
        &busy(),
        vec![RunFigures {
            metrics,
            ..figures()
        }],
    );
    assert_eq!(value(&lines, "begat_stage_loss").as_deref(), Some("NaN"));
}
