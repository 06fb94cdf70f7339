//! A launch and its stages.

use std::collections::BTreeMap;

use begat_schemas::api::{LaunchState, LaunchView, StageState, StageView};
use begat_schemas::{Metric, RunId};

use super::table::{Columns, pairs};
use super::{Look, count, key_metrics};
use crate::text::printable;

/// A launch with its stages; `metrics` has the last values of its runs.
pub fn launch(
    view: &LaunchView,
    metrics: &BTreeMap<RunId, BTreeMap<String, Metric>>,
    look: Look,
) -> String {
    let state = match view.state {
        LaunchState::Running => "running".to_owned(),
        LaunchState::Succeeded => look.good("succeeded"),
        LaunchState::Failed => look.bad("failed"),
        LaunchState::Cancelled => "cancelled".to_owned(),
    };
    let mut head = vec![
        ("launch", view.launch.to_string()),
        (
            "recipe",
            format!("{}  {}", view.recipe, view.recipe_blob.short()),
        ),
        ("created", view.created.to_string()),
        ("state", state),
    ];
    let changes: Vec<String> = view
        .overrides
        .iter()
        .map(|change| format!("{}={}", change.path, change.value))
        .collect();
    if !changes.is_empty() {
        head.push(("changed", changes.join("  ")));
    }
    format!(
        "{}\n{}",
        pairs(look, &head),
        stage_table(view, metrics, look)
    )
}

/// A launch's stages.
pub fn stage_table(
    view: &LaunchView,
    metrics: &BTreeMap<RunId, BTreeMap<String, Metric>>,
    look: Look,
) -> String {
    let mut table = Columns::new(
        look,
        &["STAGE", "KIND", "STATE", "RUN", "OUTPUT", "METRICS"],
    );
    for stage in &view.stages {
        let measured = stage.run.and_then(|run| metrics.get(&run));
        table.row([
            stage.stage.to_string(),
            stage.kind.to_string(),
            state(stage, look),
            stage.run.map_or(String::new(), |run| run.short()),
            outputs(stage),
            measured.map_or(String::new(), key_metrics),
        ]);
    }
    let reasons = view.stages.iter().filter_map(|stage| {
        let reason = stage.reason.as_ref()?;
        Some(format!(
            "\n{}: {}\n",
            look.bad(stage.stage.as_str()),
            printable(reason)
        ))
    });
    std::iter::once(table.text()).chain(reasons).collect()
}

fn state(stage: &StageView, look: Look) -> String {
    let state = look.stage_state(stage.state);
    match (stage.state, stage.progress) {
        (StageState::Succeeded, _) if stage.found => look.good("found"),
        (StageState::Running, Some((step, of))) => {
            format!("{state} {}/{}", count(step), count(of))
        }
        _ => state,
    }
}

fn outputs(stage: &StageView) -> String {
    let texts: Vec<String> = stage.outputs.values().map(|tree| tree.short()).collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_launch() {
        let (view, metrics) = samples::launch();
        insta::assert_snapshot!(launch(&view, &metrics, Look::default()));
    }
}
