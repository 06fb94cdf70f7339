//! Lineages side by side, in sections: what they share, stage by stage, where they part and why, what each cost, how good
//! each got, and what each answered.

mod outcome;
mod stages;

use begat_schemas::StageKind;
use begat_schemas::api::{CandidateKind, ComparedLineage, ComparedStage, Comparison, Relation};

use super::table::{Columns, indented};
use super::{Look, bytes, count, duration, several, short};

/// A comparison.
pub fn comparison(view: &Comparison, look: Look) -> String {
    let mut text = heads(view, look);
    section(&mut text, look, "What they share", shared(view));
    let legend = "Stage by stage (= one and the same run, ≠ counterparts; the number is the place in its lineage)";
    section(&mut text, look, legend, stages::table(view, look));
    section(
        &mut text,
        look,
        "Where they part, and why",
        stages::reasons(view, look),
    );
    section(&mut text, look, "What each cost", costs(view, look));
    let title = "How good each got (± half a 95 % interval, where the report has one; gold: by a rule, not by people)";
    section(&mut text, look, title, outcome::checkpoints(view, look));
    section(&mut text, look, "Prompt by prompt", outcome::duels(view));
    let title = "Samples: the first held-out prompts that all were asked, not picked";
    section(&mut text, look, title, outcome::samples(view, look));
    text
}

fn section(text: &mut String, look: Look, title: &str, body: String) {
    if !body.is_empty() {
        text.push_str(&format!("\n{}\n{}", look.heading(title), indented(&body)));
    }
}

/// Tables are moved to the right, so they have less room.
fn narrower(look: Look) -> Look {
    Look {
        width: look.width.map(|width| width.saturating_sub(2)),
        ..look
    }
}

/// The letter that stands for a lineage.
fn letter(number: usize) -> char {
    u8::try_from(number).map_or('?', |number| char::from(b'A' + number % 26))
}

/// A lineage's letter and what it was called.
fn called(view: &Comparison, number: usize) -> String {
    let name = view.lineages.get(number).map(|one| short(&one.name));
    format!("{} {}", letter(number), name.unwrap_or_default())
}

fn heads(view: &Comparison, look: Look) -> String {
    let mut table = Columns::new(look, &["", "NAME", "IS", "STAGES", "LAST MODEL"]);
    for (number, lineage) in view.lineages.iter().enumerate() {
        let model = lineage.checkpoint.map_or("none".to_owned(), |tree| {
            let stage = lineage.checkpoint_stage.as_deref().unwrap_or("added");
            format!("{} ({stage})", tree.short())
        });
        table.row([
            letter(number).to_string(),
            short(&lineage.name).to_owned(),
            what(lineage),
            count(lineage.stages),
            model,
        ]);
    }
    table.text()
}

fn what(lineage: &ComparedLineage) -> String {
    let id = short(&lineage.id);
    match lineage.kind {
        CandidateKind::Launch | CandidateKind::Recipe => format!("launch {id}"),
        CandidateKind::Run | CandidateKind::Attempt => format!("run {id}"),
        CandidateKind::Ref => "ref".to_owned(),
        CandidateKind::Tree | CandidateKind::Blob => format!("tree {id}"),
    }
}

fn shared(view: &Comparison) -> String {
    let is_shared = |stage: &&ComparedStage| stage.relation == Relation::Shared;
    let names: Vec<String> = view
        .stages
        .iter()
        .filter(is_shared)
        .map(stages::name)
        .collect();
    let mut text = match names.len() {
        0 => "no stage\n".to_owned(),
        all if all == view.stages.len() => "every stage\n".to_owned(),
        some => format!("{}: {}\n", several(some as u64, "stage"), names.join(", ")),
    };
    let Some(parting) = &view.parting else {
        return text;
    };
    let after = parting.after.and_then(|at| view.stages.get(at as usize));
    let after = after.map_or("from the start".to_owned(), |stage| {
        format!("after {}", stages::name(stage))
    });
    let next: Vec<String> = (0..)
        .zip(&parting.next)
        .map(|(number, at)| next(view, number, *at))
        .collect();
    text.push_str(&format!("they part {after}: {}\n", next.join(", ")));
    text
}

fn next(view: &Comparison, number: usize, at: Option<u64>) -> String {
    let cell = at.and_then(|at| view.stages.get(at as usize)?.cells.get(number)?.as_ref());
    match cell {
        Some(cell) => format!("{} goes on with {}", letter(number), cell.stage),
        None => format!("{} ends there", letter(number)),
    }
}

fn costs(view: &Comparison, look: Look) -> String {
    let header = ["", "RUNS", "TOKENS", "TIME", "STORED", "BEFORE COMPRESSION"];
    let mut table = Columns::new(narrower(look), &header);
    let costs = &view.costs;
    let own = (0..)
        .zip(&costs.own)
        .map(|(number, cost)| (format!("own to {}", called(view, number)), cost));
    let whole = (0..)
        .zip(&costs.whole)
        .map(|(number, cost)| (format!("all of {}", called(view, number)), cost));
    let shared = std::iter::once(("shared by all".to_owned(), &costs.shared));
    for (name, cost) in shared.chain(own).chain(whole) {
        table.row([
            name,
            count(cost.runs),
            count(cost.tokens),
            duration(cost.device_seconds),
            bytes(cost.bytes.stored_bytes),
            bytes(cost.bytes.unique_bytes),
        ]);
    }
    table.text()
}

fn is_evaluation(stage: &ComparedStage) -> bool {
    stage.kind == StageKind::Evaluate
}

#[cfg(test)]
mod tests;
