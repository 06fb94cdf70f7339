//! Stages side by side, and in what counterparts differ.

use begat_schemas::api::{
    ComparedStage, Comparison, InputSource, KeyDifference, Relation, StageCell, StageDifference,
    StageState,
};
use serde_json::Value;

use super::{is_evaluation, letter, narrower};
use crate::render::table::{Columns, indented};
use crate::render::{Look, count, duration, short, value};

/// Keys that are shown of a difference; more are counted.
const KEYS_MAX: usize = 12;
/// Characters of a value that are shown.
const VALUE_CHARACTERS_MAX: usize = 36;

/// What is shown of a training stage's last values, the most telling first.
const TELLING: [&str; 10] = [
    "eval_loss",
    "loss",
    "mean_token_accuracy",
    "eval_accuracy",
    "accuracy",
    "rewards/accuracies",
    "objective/scores",
    "objective/kl",
    "reward_best",
    "bytes_per_token",
];
const TELLING_MAX: usize = 4;

/// What the lineages call a stage.
pub(super) fn name(stage: &ComparedStage) -> String {
    let mut names: Vec<&str> = Vec::new();
    for cell in stage.cells.iter().flatten() {
        if !names.contains(&cell.stage.as_str()) {
            names.push(&cell.stage);
        }
    }
    names.join(" / ")
}

/// Every stage a line.
pub(super) fn table(view: &Comparison, look: Look) -> String {
    let letters = || (0..view.lineages.len()).map(letter);
    let of = |what: &'static str| letters().map(move |letter| format!("{what} {letter}"));
    let header: Vec<String> = ["", "STAGE"]
        .map(str::to_owned)
        .into_iter()
        .chain(of("RUN"))
        .chain(of("TOKENS"))
        .chain(of("TOOK"))
        .collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = Columns::new(narrower(look), &header);
    for stage in &view.stages {
        table.row(line(stage));
    }
    table.text()
}

fn line(stage: &ComparedStage) -> Vec<String> {
    let indent = if is_evaluation(stage) { "· " } else { "" };
    let mut cells = vec![mark(stage), format!("{indent}{}", name(stage))];
    let (mut seen, is_shared) = (false, stage.relation == Relation::Shared);
    for cell in &stage.cells {
        cells.push(
            cell.as_ref()
                .map_or(String::new(), |cell| run(cell, seen && is_shared)),
        );
        seen |= cell.is_some();
    }
    let each = |show: &dyn Fn(&StageCell) -> Option<String>| -> Vec<String> {
        let mut seen = false;
        let texts = stage.cells.iter().map(|cell| {
            let again = seen && is_shared;
            seen |= cell.is_some();
            let text = cell.as_ref().filter(|_| !again).and_then(show);
            text.unwrap_or_default()
        });
        texts.collect()
    };
    cells.extend(each(&|cell| cell.tokens.map(count)));
    cells.extend(each(&|cell| cell.seconds.map(duration)));
    cells
}

fn mark(stage: &ComparedStage) -> String {
    match stage.relation {
        Relation::Shared => "=".to_owned(),
        Relation::Counterpart => "≠".to_owned(),
        Relation::Only => owners(stage),
    }
}

fn owners(stage: &ComparedStage) -> String {
    let there = stage.cells.iter().enumerate();
    there
        .filter(|(_, cell)| cell.is_some())
        .map(|(number, _)| letter(number))
        .collect()
}

fn run(cell: &StageCell, again: bool) -> String {
    let state = state(cell.state);
    let what = match cell.run {
        Some(_) if again => "the same".to_owned(),
        Some(run) => run.short(),
        None => String::new(),
    };
    format!("{} {what}{state}", cell.position)
}

/// A state that is not success, in words.
fn state(state: StageState) -> &'static str {
    match state {
        StageState::Succeeded => "",
        StageState::Waiting => "waiting",
        StageState::Blocked => "blocked",
        StageState::Queued => " queued",
        StageState::Running => " running",
        StageState::Storing => " storing",
        StageState::Interrupted => " interrupted",
        StageState::Failed => " failed",
        StageState::Cancelled => " cancelled",
    }
}

/// In what counterparts differ, and what only one lineage has.
pub(super) fn reasons(view: &Comparison, look: Look) -> String {
    let mut parts = Vec::new();
    for stage in &view.stages {
        for difference in &stage.differences {
            parts.extend(reason(view, stage, difference, look));
        }
    }
    let mut text = parts.join("\n");
    for number in 0..view.lineages.len() {
        let only = view.stages.iter().filter(|stage| {
            stage.relation == Relation::Only
                && stage.cells[number].is_some()
                && !is_evaluation(stage)
        });
        let names: Vec<String> = only.map(name).collect();
        if !names.is_empty() {
            let gap = if text.is_empty() || text.ends_with("\n\n") {
                ""
            } else {
                "\n"
            };
            let gap = if number == 0 { gap } else { "" };
            text.push_str(&format!(
                "{gap}only in {}: {}\n",
                letter(number),
                names.join(", ")
            ));
        }
    }
    text
}

fn reason(
    view: &Comparison,
    stage: &ComparedStage,
    difference: &StageDifference,
    look: Look,
) -> Option<String> {
    let (left, right) = (difference.left as usize, difference.right as usize);
    // That an evaluation judges another model is no news.
    let told =
        |key: &&KeyDifference| !is_evaluation(stage) || !key.difference.key.starts_with("inputs.");
    let keys: Vec<&KeyDifference> = difference.keys.iter().filter(told).collect();
    if keys.is_empty() {
        return None;
    }
    let (a, b) = (letter(left).to_string(), letter(right).to_string());
    let mut table = Columns::new(
        narrower(narrower(look)),
        &["", &a, &b, &format!("{b} − {a}")],
    );
    for key in keys.iter().take(KEYS_MAX) {
        table.row([
            key.difference.key.clone(),
            shown(&key.difference.left, key.left_source.as_ref()),
            shown(&key.difference.right, key.right_source.as_ref()),
            String::new(),
        ]);
    }
    if !is_evaluation(stage) {
        measured(stage, left, right)
            .into_iter()
            .for_each(|row| table.row(row));
    }
    let mut text = format!(
        "{}\n{}",
        look.heading(&name(stage)),
        indented(&table.text())
    );
    let more = keys.len().saturating_sub(KEYS_MAX);
    if more > 0 {
        text.push_str(&format!("  and {more} more keys, which `--json` has\n"));
    }
    debug_assert!(right < view.lineages.len());
    Some(text)
}

fn measured(stage: &ComparedStage, left: usize, right: usize) -> Vec<[String; 4]> {
    let telling = TELLING.iter().filter_map(|name| {
        let values = &stage.metrics.get(*name)?.values;
        let (a, b) = ((*values.get(left)?)?.0, (*values.get(right)?)?.0);
        let delta = format!("{}{}", if b >= a { "+" } else { "" }, value(b - a));
        Some([(*name).to_owned(), value(a), value(b), delta])
    });
    telling.take(TELLING_MAX).collect()
}

/// A value of a derivation; of an input, what made it and its tree.
fn shown(value: &Value, source: Option<&InputSource>) -> String {
    let plain = match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => short(text).to_owned(),
        other => other.to_string(),
    };
    let plain = cut(&plain, VALUE_CHARACTERS_MAX);
    let known = source.and_then(|source| source.stage.as_ref().or(source.name.as_ref()));
    match known {
        Some(known) => format!("{known} {plain}"),
        None => plain,
    }
}

/// The first characters, with a sign that there are more.
pub(super) fn cut(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let kept: String = text.chars().take(characters.saturating_sub(1)).collect();
    format!("{kept}…")
}
