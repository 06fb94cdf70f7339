//! How good each lineage got: what evaluations report, who wins prompt by prompt, what was answered.

use begat_schemas::api::{
    ComparedAnswer, ComparedStage, Comparison, Duel, DuelSource, Interval, Judge, MetricComparison,
    Relation,
};
use std::collections::BTreeMap;

use super::stages::cut;
use super::{called, count, is_evaluation, letter, narrower};
use crate::render::table::Columns;
use crate::render::{Look, several, value};
use crate::text::printable;

/// What is shown of reports: the column's head, and the metric.
const FIGURES: [(&str, &str); 8] = [
    ("GOLD", "gold_score"),
    ("GREEDY", "gold_score_greedy"),
    ("RM SCORE", "reward_mean"),
    ("WIN RATE", "win_rate_gold"),
    ("KL", "kl"),
    ("LENGTH", "mean_length"),
    ("UNIQUE", "unique"),
    ("LOSS", "eval_loss"),
];
/// Columns of a sample's line, where the terminal's are not known.
const SAMPLE_COLUMNS: usize = 118;

type Metrics = BTreeMap<String, MetricComparison>;

/// Each judged model a line, with the difference below counterparts.
pub(super) fn checkpoints(view: &Comparison, look: Look) -> String {
    let judged: Vec<&ComparedStage> = view
        .stages
        .iter()
        .filter(|stage| is_evaluation(stage))
        .collect();
    let figures: Vec<(&str, &str)> = FIGURES
        .into_iter()
        .filter(|(_, name)| judged.iter().any(|stage| stage.metrics.contains_key(*name)))
        .collect();
    if figures.is_empty() {
        return String::new();
    }
    let header: Vec<&str> = std::iter::once("MODEL")
        .chain(figures.iter().map(|(head, _)| *head))
        .collect();
    let mut table = Columns::new(narrower(look), &header);
    for stage in &judged {
        for row in rows_of(view, stage, &figures) {
            table.row(row);
        }
    }
    if let Some(row) = last_row(view, &figures) {
        table.row(row);
    }
    table.text()
}

fn rows_of(view: &Comparison, stage: &ComparedStage, figures: &[(&str, &str)]) -> Vec<Vec<String>> {
    let there: Vec<usize> = (0..stage.cells.len())
        .filter(|at| stage.cells[*at].is_some())
        .collect();
    if stage.relation == Relation::Shared {
        let letters: String = there.iter().map(|at| letter(*at)).collect();
        let first = there.first().copied().unwrap_or_default();
        let label = format!("{letters} {}", model_name(view, stage, first));
        return vec![figure_row(label, &stage.metrics, first, figures)];
    }
    let mut rows: Vec<Vec<String>> = there
        .iter()
        .map(|at| {
            let label = format!("{} {}", letter(*at), model_name(view, stage, *at));
            figure_row(label, &stage.metrics, *at, figures)
        })
        .collect();
    for at in there.iter().skip(1) {
        let label = format!("  {} − {}", letter(*at), letter(there[0]));
        rows.push(delta_row(label, &stage.metrics, *at, figures));
    }
    rows
}

/// The stage that made the judged model; the evaluation's own name where several judge it or nobody made it.
fn model_name(view: &Comparison, stage: &ComparedStage, number: usize) -> String {
    let own = stage.cells[number]
        .as_ref()
        .map_or("", |cell| cell.stage.as_str());
    let Some(judged) = stage.judges.and_then(|at| view.stages.get(at as usize)) else {
        return own.to_owned();
    };
    let maker = judged.cells[number]
        .as_ref()
        .map_or("", |cell| cell.stage.as_str());
    let others = view.stages.iter().filter(|other| {
        is_evaluation(other) && other.judges == stage.judges && other.cells[number].is_some()
    });
    match others.count() {
        0 | 1 => maker.to_owned(),
        _ => format!("{maker} ({own})"),
    }
}

/// The last models' difference, where no two stages that stand beside each other made them.
fn last_row(view: &Comparison, figures: &[(&str, &str)]) -> Option<Vec<String>> {
    let stage = |at: usize| {
        let lineage = &view.lineages[at];
        lineage.checkpoint_stage.clone().unwrap_or_default()
    };
    let is_shown = view.stages.iter().any(|stage| {
        is_evaluation(stage)
            && view
                .finals
                .evaluations
                .iter()
                .zip(&stage.cells)
                .all(|(run, cell)| {
                    run.is_some() && cell.as_ref().is_some_and(|cell| cell.run == *run)
                })
    });
    let judged: Vec<usize> = (0..view.lineages.len())
        .filter(|at| {
            view.finals
                .evaluations
                .get(*at)
                .is_some_and(Option::is_some)
        })
        .collect();
    let (first, last) = (*judged.first()?, *judged.last()?);
    (!is_shown && first != last).then(|| {
        let label = format!(
            "  {} {} − {} {}",
            letter(last),
            stage(last),
            letter(first),
            stage(first)
        );
        delta_row(label, &view.finals.metrics, last, figures)
    })
}

fn figure_row(
    label: String,
    metrics: &Metrics,
    at: usize,
    figures: &[(&str, &str)],
) -> Vec<String> {
    row(label, metrics, figures, |metric| {
        let value = (*metric.values.get(at)?)?.0;
        let interval = metric.intervals.get(at).copied().flatten();
        let half = interval.map(|found| format!(" ±{:.3}", (found.high - found.low) / 2.0));
        Some(format!("{value:.3}{}", half.unwrap_or_default()))
    })
}

fn delta_row(label: String, metrics: &Metrics, at: usize, figures: &[(&str, &str)]) -> Vec<String> {
    row(label, metrics, figures, |metric| {
        Some(format!("{:+.3}", (*metric.deltas.get(at)?)?.0))
    })
}

fn row(
    label: String,
    metrics: &Metrics,
    figures: &[(&str, &str)],
    show: impl Fn(&MetricComparison) -> Option<String>,
) -> Vec<String> {
    let cells = figures
        .iter()
        .map(|(_, name)| metrics.get(*name).and_then(&show));
    std::iter::once(label)
        .chain(cells.map(Option::unwrap_or_default))
        .collect()
}

/// Who wins, and by whose judgement.
pub(super) fn duels(view: &Comparison) -> String {
    let mut text: String = view
        .finals
        .duels
        .iter()
        .map(|one| duel(view, one))
        .collect();
    for difference in &view.finals.evaluation_differences {
        let keys: Vec<&str> = difference
            .keys
            .iter()
            .map(|key| key.difference.key.as_str())
            .collect();
        text.push_str(&format!(
            "note: the evaluations of {} and {} differ in {}: their figures are not alike\n",
            letter(difference.left as usize),
            letter(difference.right as usize),
            keys.join(", ")
        ));
    }
    text
}

fn duel(view: &Comparison, duel: &Duel) -> String {
    let part = |value: f64| format!("{:.1} %", value * 100.0);
    let within = |interval: Option<Interval>| {
        interval.map_or(String::new(), |found| {
            format!(
                " (95 %: {:.1} to {:.1})",
                found.low * 100.0,
                found.high * 100.0
            )
        })
    };
    let prompts = duel.prompts.map_or(String::new(), |prompts| {
        format!(" of {}", several(prompts, "prompt"))
    });
    let mut text = format!(
        "{} wins {}{}{prompts} against {}, by {}\n  {}\n",
        called(view, duel.lineage as usize),
        part(duel.win_rate),
        within(duel.interval),
        called(view, duel.against as usize),
        judge(duel),
        source(duel),
    );
    if let (Some(wins), Some(ties), Some(losses)) = (duel.wins, duel.ties, duel.losses) {
        text.push_str(&format!(
            "  {} won, {} tied (each counts half), {} lost\n",
            count(wins),
            count(ties),
            count(losses)
        ));
    }
    if let Some(mean) = duel.mean_difference {
        let within = duel
            .mean_difference_interval
            .map_or(String::new(), |found| {
                format!(" (95 %: {:+.3} to {:+.3})", found.low, found.high)
            });
        text.push_str(&format!(
            "  score {mean:+.3}{within}, mean of the differences\n"
        ));
    }
    text
}

fn judge(duel: &Duel) -> String {
    let rule = duel.rule.and_then(|rule| serde_json::to_value(rule).ok());
    match (duel.by, rule.as_ref().and_then(|rule| rule.as_str())) {
        (Judge::Rule, Some(rule)) => format!("the rule {rule}"),
        (Judge::Rule, None) => "a rule".to_owned(),
        (Judge::RewardModel, _) => "a reward model".to_owned(),
    }
}

fn source(duel: &Duel) -> String {
    let runs: Vec<String> = duel.evaluations.iter().map(|run| run.short()).collect();
    match duel.source {
        DuelSource::Report => format!("as evaluation {} reports", runs.join(", ")),
        DuelSource::Scores => format!("from the scores of {}", runs.join(" and ")),
    }
}

/// Prompts, each with what every last model sampled.
pub(super) fn samples(view: &Comparison, look: Look) -> String {
    let width = narrower(look).width.map_or(SAMPLE_COLUMNS, usize::from);
    let names: Vec<String> = (0..view.lineages.len())
        .map(|at| called(view, at))
        .collect();
    let longest = names
        .iter()
        .map(|name| name.chars().count())
        .chain([9])
        .max()
        .unwrap_or(9);
    let mut parts = Vec::new();
    for sample in &view.samples {
        let mut text = format!("{}\n", cut(&one_line(&sample.prompt), width));
        if let Some(reference) = &sample.reference {
            text.push_str(&answer_line(
                "reference",
                longest,
                &one_line(reference),
                "",
                width,
            ));
        }
        for (name, answer) in names.iter().zip(&sample.answers) {
            if let Some(answer) = answer {
                text.push_str(&answer_line(
                    name,
                    longest,
                    &one_line(&answer.completion),
                    &score(answer),
                    width,
                ));
            }
        }
        parts.push(text);
    }
    parts.join("\n")
}

fn score(answer: &ComparedAnswer) -> String {
    let named =
        |name: &str, score: Option<f64>| score.map(|score| format!("{name} {}", value(score)));
    let scores = [named("gold", answer.gold_score), named("RM", answer.reward)];
    let scores: Vec<String> = scores.into_iter().flatten().collect();
    match scores.is_empty() {
        true => String::new(),
        false => format!("  [{}]", scores.join(", ")),
    }
}

fn answer_line(name: &str, longest: usize, text: &str, score: &str, width: usize) -> String {
    let room = width
        .saturating_sub(longest + 4 + score.chars().count())
        .max(20);
    let padding = " ".repeat(longest.saturating_sub(name.chars().count()));
    format!("  {name}{padding}  {}{score}\n", cut(text, room))
}

fn one_line(text: &str) -> String {
    printable(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
