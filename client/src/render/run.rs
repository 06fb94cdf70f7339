//! Runs: the list, and one with all that is known of it.

use begat_schemas::Purpose;
use begat_schemas::api::{AttemptView, RunDetail, RunView};
use serde_json::Value;

use super::table::{Columns, indented, pairs};
use super::{Look, count, duration, key_metrics, value};
use crate::text::printable;

/// The list of runs.
pub fn runs(runs: &[RunView], look: Look) -> String {
    if runs.is_empty() {
        return "no runs\n".to_owned();
    }
    let header = [
        "RUN", "NAME", "KIND", "STATE", "PROGRESS", "TOOK", "OUTPUT", "METRICS",
    ];
    let mut table = Columns::new(look, &header);
    for run in runs {
        table.row([
            run.run.short(),
            name(run),
            run.kind.to_string(),
            look.state(run.state),
            run.progress.map_or(String::new(), |(step, of)| {
                format!("{}/{}", count(step), count(of))
            }),
            run.seconds.map_or(String::new(), duration),
            outputs(run),
            key_metrics(&run.metrics),
        ]);
    }
    table.text()
}

fn name(run: &RunView) -> String {
    match (&run.recipe, &run.stage) {
        (Some(recipe), Some(stage)) => format!("{recipe}/{stage}"),
        _ => String::new(),
    }
}

fn outputs(run: &RunView) -> String {
    let texts: Vec<String> = run.outputs.values().map(|tree| tree.short()).collect();
    texts.join(" ")
}

/// One run.
pub fn run(run: &RunDetail, look: Look) -> String {
    let view = &run.view;
    let mut head = vec![
        ("run", view.run.to_string()),
        ("name", name(view)),
        (
            "kind",
            format!("{}, revision {}", view.kind, run.derivation.revision),
        ),
        ("state", look.state(view.state)),
    ];
    if let Some(reason) = &view.reason {
        head.push(("reason", printable(reason)));
    }
    if let Some((step, of)) = view.progress {
        head.push(("step", format!("{} of {}", count(step), count(of))));
    }
    if let Some(started) = view.started {
        head.push(("started", started.to_string()));
    }
    if let Some(seconds) = view.seconds {
        head.push(("took", duration(seconds)));
    }
    if let Some(seed) = run.derivation.seed {
        head.push(("seed", seed.to_string()));
    }
    head.push(("launches", list(view.launches.iter())));
    if !run.refs.is_empty() {
        head.push(("refs", list(run.refs.iter())));
    }
    let mut text = pairs(look, &head);
    section(&mut text, look, "inputs", inputs(run, look));
    section(&mut text, look, "outputs", named(look, &view.outputs));
    section(
        &mut text,
        look,
        "parameters",
        parameters(&run.derivation.params, look),
    );
    section(
        &mut text,
        look,
        "metrics (last values)",
        last_values(view, look),
    );
    section(
        &mut text,
        look,
        "attempts",
        attempts(&run.attempt_list, look),
    );
    text
}

fn list(items: impl Iterator<Item = impl ToString>) -> String {
    items
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

fn section(text: &mut String, look: Look, title: &str, body: String) {
    if !body.is_empty() {
        text.push_str(&format!("\n{}\n{}", look.heading(title), indented(&body)));
    }
}

fn named<K: AsName, V: ToString>(look: Look, items: &std::collections::BTreeMap<K, V>) -> String {
    let rows: Vec<(&str, String)> = items
        .iter()
        .map(|(name, value)| (name.as_name(), value.to_string()))
        .collect();
    pairs(look, &rows)
}

trait AsName {
    fn as_name(&self) -> &str;
}

impl AsName for begat_schemas::OutputName {
    fn as_name(&self) -> &str {
        self.as_str()
    }
}

fn inputs(run: &RunDetail, look: Look) -> String {
    let rows: Vec<(&str, String)> = run
        .inputs
        .iter()
        .map(|(name, input)| {
            let producer = input
                .producer
                .map(|run| format!("from run {}", run.short()));
            let refs = (!input.refs.is_empty()).then(|| list(input.refs.iter()));
            let parts = [Some(input.tree.to_string()), refs, producer];
            (
                name.as_str(),
                parts.into_iter().flatten().collect::<Vec<_>>().join("  "),
            )
        })
        .collect();
    pairs(look, &rows)
}

fn parameters(params: &Value, look: Look) -> String {
    let Some(table) = params.as_object() else {
        return String::new();
    };
    let rows: Vec<(&str, String)> = table
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_string()))
        .collect();
    pairs(look, &rows)
}

fn last_values(view: &RunView, look: Look) -> String {
    let rows: Vec<(&str, String)> = view
        .metrics
        .iter()
        .map(|(name, metric)| (name.as_str(), value(metric.0)))
        .collect();
    pairs(look, &rows)
}

fn attempts(attempts: &[AttemptView], look: Look) -> String {
    if attempts.is_empty() {
        return String::new();
    }
    let header = [
        "NO", "FOR", "STATE", "STARTED", "TOOK", "RESUMES", "DEVICE", "THREADS", "NUMERICS",
        "BEGAT",
    ];
    let mut table = Columns::new(look, &header);
    for attempt in attempts {
        let class = attempt.execution_class.as_ref();
        table.row([
            attempt.attempt.number.to_string(),
            match attempt.purpose {
                Purpose::Launch => "launch".to_owned(),
                Purpose::Reproduce => "reproduce".to_owned(),
            },
            look.state(attempt.state),
            attempt.started.to_string(),
            attempt.ended.map_or(String::new(), |ended| {
                duration(ended.seconds_since(attempt.started))
            }),
            attempt.resumes.to_string(),
            attempt.execution.device.to_string(),
            attempt
                .execution
                .threads
                .map_or("default".to_owned(), |threads| threads.to_string()),
            class
                .and_then(|class| class.numerics)
                .map_or(String::new(), |digest| digest.short()),
            attempt.begat.clone(),
        ]);
    }
    let reasons = attempts.iter().filter_map(|attempt| {
        let reason = attempt.reason.as_ref()?;
        Some(format!(
            "attempt {}: {}\n",
            attempt.attempt.number,
            printable(reason)
        ))
    });
    std::iter::once(table.text()).chain(reasons).collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn list_of_runs() {
        insta::assert_snapshot!(runs(&samples::runs(), Look::default()));
    }

    #[test]
    fn list_on_a_narrow_terminal_keeps_to_its_width() {
        let look = Look {
            color: false,
            width: Some(80),
        };
        let text = runs(&samples::runs(), look);
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }

    #[test]
    fn no_runs() {
        assert_eq!(runs(&[], Look::default()), "no runs\n");
    }

    #[test]
    fn colours_only_where_they_are_wanted() {
        let colored = runs(
            &samples::runs(),
            Look {
                color: true,
                width: None,
            },
        );
        assert!(colored.contains("\u{1b}["));
        let plain = console::strip_ansi_codes(&colored);
        assert_eq!(plain, runs(&samples::runs(), Look::default()));
    }

    #[test]
    fn one_run() {
        insta::assert_snapshot!(run(&samples::run(), Look::default()));
    }
}
