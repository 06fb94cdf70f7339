//! What a launch would do, and why.

use begat_schemas::api::{Plan, PlanAction, PlannedStage};

use super::Look;
use super::table::Columns;

/// Keys that are shown of a difference; more are counted.
const KEYS_MAX: usize = 8;

/// A plan: its stages, then for each that would run the finished run nearest to it and what differs.
pub fn plan(plan: &Plan, look: Look) -> String {
    let mut table = Columns::new(look, &["STAGE", "KIND", "RUN", "WHAT WOULD BE DONE"]);
    for stage in &plan.stages {
        table.row([
            stage.stage.to_string(),
            stage.kind.to_string(),
            stage.run.map_or(String::new(), |run| run.short()),
            action(stage),
        ]);
    }
    let reasons = plan.stages.iter().filter_map(|stage| reason(stage, look));
    std::iter::once(table.text()).chain(reasons).collect()
}

fn action(stage: &PlannedStage) -> String {
    match stage.action {
        PlanAction::Found => "nothing: its result is there".to_owned(),
        PlanAction::Shared => "nothing more: another launch is at it".to_owned(),
        PlanAction::Run if stage.difference.is_some() => "run".to_owned(),
        PlanAction::Run => "run: no run like it is there".to_owned(),
        PlanAction::KnownAfter => {
            let stages: Vec<&str> = stage.known_after.iter().map(|name| name.as_str()).collect();
            format!("known after {}", stages.join(", "))
        }
    }
}

fn reason(stage: &PlannedStage, look: Look) -> Option<String> {
    let difference = stage.difference.as_ref()?;
    let run = stage
        .run
        .map_or("it".to_owned(), |run| format!("run {}", run.short()));
    let mut text = format!(
        "\n{}: {run} differs from the finished run {} in\n",
        look.heading(stage.stage.as_str()),
        difference.nearest.short()
    );
    for key in difference.keys.iter().take(KEYS_MAX) {
        text.push_str(&format!(
            "  {}: {} here, {} there\n",
            key.key,
            shortened(&key.left),
            shortened(&key.right)
        ));
    }
    let more = difference.keys.len().saturating_sub(KEYS_MAX);
    if more > 0 {
        text.push_str(&format!("  and {more} more\n"));
    }
    Some(text)
}

fn shortened(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "nothing".to_owned(),
        serde_json::Value::String(text) => super::short(text).to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_plan() {
        insta::assert_snapshot!(plan(&samples::plan(), Look::default()));
    }
}
