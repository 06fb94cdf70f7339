//! Lineages side by side.
//!
//! [`compare`] is pure: from what is known of some lineages to a [`Comparison`]. `gather` asks a daemon for what is known.
//! One file an idea: which stages stand beside each other, in what their derivations differ, what was measured, who wins
//! prompt by prompt, and what it all cost.

mod align;
mod ancestry;
mod costs;
mod differences;
mod duel;
mod facts;
mod finals;
mod gather;
mod metrics;
#[cfg(test)]
mod samples;

use begat_schemas::api::{
    ComparedLineage, ComparedStage, Comparison, Parting, Relation, StageCell, Usage,
};
use begat_schemas::{RunId, StageKind};

use align::{Row, align};
use differences::differences;
use facts::{LineageFacts, StageFacts};
use finals::finals;
use metrics::stage_metrics;

/// The metric that counts the tokens of a training stage.
const TOKENS: &str = "num_tokens";

/// What is to be compared, and how much of it shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompareQuery {
    /// Refs, runs, recipes, launches, or digests of trees; at least one.
    pub names: Vec<String>,
    /// The most prompts with their answers.
    pub samples: usize,
}

/// Compares lineages. `others` are evaluations of their last models that belong to none of them; `usage` is what the
/// lineages' outputs take, in their order.
fn compare(
    lineages: &[LineageFacts],
    others: &[StageFacts],
    usage: &Usage,
    samples: usize,
) -> Comparison {
    let rows = align(lineages);
    let stages: Vec<ComparedStage> = rows.iter().map(|row| stage(lineages, row)).collect();
    let finals = finals(lineages, others, samples);
    Comparison {
        parting: parting(&stages, lineages.len()),
        costs: costs::costs(lineages, usage),
        lineages: lineages.iter().map(head).collect(),
        finals: finals.compared,
        samples: finals.samples,
        stages,
    }
}

fn head(lineage: &LineageFacts) -> ComparedLineage {
    ComparedLineage {
        name: lineage.name.clone(),
        kind: lineage.kind,
        id: lineage.id.clone(),
        recipe: lineage.recipe.clone(),
        stages: lineage.stages.len() as u64,
        checkpoint: lineage.checkpoint,
        checkpoint_stage: lineage
            .checkpoint
            .and_then(|tree| lineage.maker(tree))
            .map(|at| lineage.stages[at].name.clone()),
    }
}

fn stage(lineages: &[LineageFacts], row: &Row) -> ComparedStage {
    let facts: Vec<Option<&StageFacts>> = row.facts(lineages);
    let cells = row.cells.iter().zip(&facts).map(|(at, facts)| {
        let position = (*at)? as u64 + 1;
        facts.map(|facts| cell(facts, position))
    });
    let cells: Vec<Option<StageCell>> = cells.collect();
    ComparedStage {
        kind: row.kind,
        relation: relation(&facts),
        judges: row.judges.map(|at| at as u64),
        differences: differences(lineages, &facts),
        metrics: stage_metrics(&facts),
        cells,
    }
}

fn cell(facts: &StageFacts, position: u64) -> StageCell {
    StageCell {
        position,
        stage: facts.name.clone(),
        run: facts.run,
        state: facts.state,
        outputs: facts.outputs.clone(),
        tokens: facts.tokens(),
        seconds: facts.seconds(),
    }
}

fn relation(facts: &[Option<&StageFacts>]) -> Relation {
    let there: Vec<&StageFacts> = facts.iter().flatten().copied().collect();
    let runs: Vec<Option<RunId>> = there.iter().map(|facts| facts.run).collect();
    let is_one = runs[0].is_some() && runs.iter().all(|run| *run == runs[0]);
    match there.len() {
        count if count == facts.len() && is_one => Relation::Shared,
        1 => Relation::Only,
        _ => Relation::Counterpart,
    }
}

/// Evaluations judge and lead nowhere, so lineages do not part at one.
fn parting(stages: &[ComparedStage], lineages: usize) -> Option<Parting> {
    let parts = |stage: &ComparedStage| {
        stage.kind != StageKind::Evaluate && stage.relation != Relation::Shared
    };
    let next: Vec<Option<u64>> = (0..lineages)
        .map(|lineage| {
            let own = stages.iter().enumerate().filter_map(|(row, stage)| {
                let cell = stage.cells[lineage].as_ref()?;
                parts(stage).then_some((cell.position, row as u64))
            });
            own.min().map(|(_, row)| row)
        })
        .collect();
    let shared = stages.iter().enumerate().filter_map(|(row, stage)| {
        let cell = stage.cells[0].as_ref()?;
        let is_before = next[0].is_none_or(|next| {
            let first = stages[next as usize].cells[0].as_ref();
            first.is_none_or(|first| cell.position < first.position)
        });
        let counts = stage.kind != StageKind::Evaluate && stage.relation == Relation::Shared;
        (counts && is_before).then_some((cell.position, row as u64))
    });
    let after = shared.max().map(|(_, row)| row);
    next.iter()
        .any(Option::is_some)
        .then_some(Parting { after, next })
}

#[cfg(test)]
mod tests;
