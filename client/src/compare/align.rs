//! Which stages stand beside each other.
//!
//! The same run is the same stage. Else a stage's counterpart is one of its kind and name, else the next of its kind, each in
//! the order of its lineage. Recipes do the same things in another order (one fine-tunes before its reward model, one after),
//! so counterparts may cross: a reader wants fine-tuning beside fine-tuning. An evaluation's counterpart judges the
//! counterpart of what it judges.

use begat_schemas::{RunId, StageKind};

use super::facts::{LineageFacts, StageFacts};

/// Stages that stand beside each other: per lineage the index of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub kind: StageKind,
    /// Of an evaluation, the row of what it judges.
    pub judges: Option<usize>,
    pub cells: Vec<Option<usize>>,
}

impl Row {
    /// The lineages' stages.
    pub(super) fn facts<'a>(&self, lineages: &'a [LineageFacts]) -> Vec<Option<&'a StageFacts>> {
        let cells = self.cells.iter().zip(lineages);
        cells
            .map(|(at, lineage)| at.map(|at| &lineage.stages[at]))
            .collect()
    }
}

/// Aligns lineages: rows in the first one's order, evaluations right after what they judge.
pub(super) fn align(lineages: &[LineageFacts]) -> Vec<Row> {
    let of = |wanted: bool| -> Vec<Vec<usize>> {
        let stages = lineages.iter().map(|lineage| {
            let all = lineage.stages.iter().enumerate();
            all.filter(|(_, stage)| stage.is_evaluation() == wanted)
                .map(|(at, _)| at)
                .collect()
        });
        stages.collect()
    };
    let makers = align_some(lineages, &of(false));
    let evaluations = of(true);
    let mut rows = Vec::new();
    for maker in &makers {
        let judging = judging(lineages, &evaluations, |lineage, judged| {
            judged.is_some() && judged == maker.cells[lineage]
        });
        let judges = Some(rows.len());
        rows.push(maker.clone());
        let found = align_some(lineages, &judging).into_iter();
        rows.extend(found.map(|row| Row { judges, ..row }));
    }
    // What they judge was not made here.
    let rest = judging(lineages, &evaluations, |_, judged| judged.is_none());
    rows.extend(align_some(lineages, &rest));
    rows
}

/// Of each lineage the evaluations whose judged stage passes.
fn judging(
    lineages: &[LineageFacts],
    evaluations: &[Vec<usize>],
    passes: impl Fn(usize, Option<usize>) -> bool,
) -> Vec<Vec<usize>> {
    let all = lineages.iter().zip(evaluations).enumerate();
    all.map(|(number, (lineage, stages))| {
        let judged = |at: usize| {
            let model = lineage.stages[at].input("model");
            model.and_then(|model| lineage.maker(model))
        };
        let stages = stages.iter().copied();
        stages.filter(|at| passes(number, judged(*at))).collect()
    })
    .collect()
}

/// Aligns the stages with these indices.
fn align_some(lineages: &[LineageFacts], stages: &[Vec<usize>]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (number, (lineage, own)) in lineages.iter().zip(stages).enumerate() {
        let matched = match_rows(lineages, &rows, lineage, own);
        for (at, row) in own.iter().zip(&matched) {
            if let Some(row) = row {
                rows[*row].cells[number] = Some(*at);
            }
        }
        for (at, _) in own.iter().zip(&matched).filter(|(_, row)| row.is_none()) {
            insert(&mut rows, number, *at, lineages);
        }
    }
    rows
}

/// Puts a stage that has no counterpart behind all that comes before it in its lineage.
fn insert(rows: &mut Vec<Row>, number: usize, at: usize, lineages: &[LineageFacts]) {
    let is_before = |row: &Row| row.cells[number].is_some_and(|other| other < at);
    let place = rows.iter().rposition(is_before).map_or(0, |row| row + 1);
    let mut cells = vec![None; lineages.len()];
    cells[number] = Some(at);
    let kind = lineages[number].stages[at].kind;
    let row = Row {
        kind,
        judges: None,
        cells,
    };
    rows.insert(place, row);
}

/// What a row has that a stage is matched by.
struct Known<'a> {
    kind: StageKind,
    runs: Vec<RunId>,
    names: Vec<&'a str>,
}

/// Whether a stage is like a row in some way.
type Likeness<'a> = &'a dyn Fn(&StageFacts, &Known<'_>) -> bool;

/// For each stage the row it belongs to. The strongest likeness is tried for all stages before the next.
fn match_rows(
    lineages: &[LineageFacts],
    rows: &[Row],
    lineage: &LineageFacts,
    own: &[usize],
) -> Vec<Option<usize>> {
    let known: Vec<Known<'_>> = rows.iter().map(|row| known(lineages, row)).collect();
    let mut matched = vec![None; own.len()];
    let mut taken = vec![false; rows.len()];
    let by_run =
        |stage: &StageFacts, row: &Known<'_>| stage.run.is_some_and(|run| row.runs.contains(&run));
    let by_name = |stage: &StageFacts, row: &Known<'_>| {
        stage.kind == row.kind && row.names.contains(&stage.name.as_str())
    };
    let by_kind = |stage: &StageFacts, row: &Known<'_>| stage.kind == row.kind;
    let ways: [Likeness<'_>; 3] = [&by_run, &by_name, &by_kind];
    for is_like in ways {
        for (at, found) in own.iter().zip(&mut matched) {
            let stage = &lineage.stages[*at];
            if found.is_none() {
                *found = (0..rows.len()).find(|row| !taken[*row] && is_like(stage, &known[*row]));
                found.iter().for_each(|row| taken[*row] = true);
            }
        }
    }
    matched
}

fn known<'a>(lineages: &'a [LineageFacts], row: &Row) -> Known<'a> {
    let there: Vec<&StageFacts> = row.facts(lineages).into_iter().flatten().collect();
    Known {
        kind: row.kind,
        runs: there.iter().filter_map(|stage| stage.run).collect(),
        names: there.iter().map(|stage| stage.name.as_str()).collect(),
    }
}
