//! The last model of each lineage, compared: what evaluations report of them, who wins, and what they answered.

use std::collections::{BTreeMap, VecDeque};

use begat_schemas::api::{
    ComparedAnswer, ComparedFinals, ComparedSample, Duel, DuelSource, Interval, Judge,
    KeyDifference, StageDifference,
};
use begat_schemas::{GoldRule, Report, ReportSample, StageParams};

use super::differences::differences_of_setting;
use super::duel;
use super::facts::{LineageFacts, ReportFacts, StageFacts};
use super::metrics::stage_metrics;

/// Who judges, and by what name reports call it: `win_rate_gold`, `ties_gold`, `gold_difference`.
const JUDGES: [(Judge, &str); 2] = [(Judge::Rule, "gold"), (Judge::RewardModel, "reward")];

pub(super) struct Finals {
    pub compared: ComparedFinals,
    pub samples: Vec<ComparedSample>,
}

type Chosen<'a> = Vec<Option<&'a StageFacts>>;

pub(super) fn finals(lineages: &[LineageFacts], others: &[StageFacts], samples: usize) -> Finals {
    let candidates: Vec<Vec<&StageFacts>> = lineages
        .iter()
        .map(|lineage| judging_last(lineage, others))
        .collect();
    let chosen = choose(&candidates);
    let compared = ComparedFinals {
        evaluations: chosen
            .iter()
            .map(|stage| stage.and_then(|stage| stage.run))
            .collect(),
        evaluation_differences: setting_differences(lineages, &chosen),
        metrics: stage_metrics(&chosen),
        duels: duels(lineages, &candidates, &chosen),
    };
    Finals {
        samples: side_by_side(&chosen, samples),
        compared,
    }
}

/// The evaluations that judge the lineage's last model, its own first.
fn judging_last<'a>(lineage: &'a LineageFacts, others: &'a [StageFacts]) -> Vec<&'a StageFacts> {
    let Some(checkpoint) = lineage.checkpoint else {
        return Vec::new();
    };
    let all = lineage.stages.iter().chain(others);
    all.filter(|stage| stage.is_evaluation() && stage.report.is_some())
        .filter(|stage| stage.input("model") == Some(checkpoint))
        .collect()
}

/// Of each lineage one evaluation, so that they are as alike as can be.
fn choose<'a>(candidates: &[Vec<&'a StageFacts>]) -> Chosen<'a> {
    let Some(first) = candidates.iter().position(|own| !own.is_empty()) else {
        return vec![None; candidates.len()];
    };
    let alike = |stage: &'a StageFacts| -> (usize, Chosen<'a>) {
        let mut distance = 0;
        let chosen = candidates.iter().enumerate().map(|(number, own)| {
            if number == first {
                return Some(stage);
            }
            let with_distance = own
                .iter()
                .map(|other| (differences_of_setting(stage, other).len(), *other));
            let (found, other) = with_distance.min_by_key(|(found, _)| *found)?;
            distance += found;
            Some(other)
        });
        let chosen = chosen.collect();
        (distance, chosen)
    };
    let all = candidates[first].iter().map(|stage| alike(stage));
    all.min_by_key(|(distance, _)| *distance)
        .map_or_else(Vec::new, |(_, chosen)| chosen)
}

fn setting_differences(lineages: &[LineageFacts], chosen: &Chosen<'_>) -> Vec<StageDifference> {
    let mut there = chosen
        .iter()
        .enumerate()
        .filter_map(|(number, stage)| Some((number, (*stage)?)));
    let Some((left, first)) = there.next() else {
        return Vec::new();
    };
    there
        .map(|(right, second)| {
            let keys = differences_of_setting(first, second).into_iter();
            let keys = keys.map(|difference| {
                let input = difference.key.strip_prefix("inputs.").map(str::to_owned);
                let source =
                    |number: usize, stage| lineages[number].source(stage, input.as_deref()?);
                KeyDifference {
                    left_source: source(left, first),
                    right_source: source(right, second),
                    difference,
                }
            });
            StageDifference {
                left: left as u64,
                right: right as u64,
                keys: keys.collect(),
            }
        })
        .filter(|difference| !difference.keys.is_empty())
        .collect()
}

/// Each lineage against the first that has a last model.
fn duels(
    lineages: &[LineageFacts],
    candidates: &[Vec<&StageFacts>],
    chosen: &Chosen<'_>,
) -> Vec<Duel> {
    let Some(first) = lineages
        .iter()
        .position(|lineage| lineage.checkpoint.is_some())
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for other in first + 1..lineages.len() {
        if lineages[other].checkpoint == lineages[first].checkpoint {
            continue;
        }
        let before = found.len();
        for (one, against) in [(other, first), (first, other)] {
            found.extend(reported(lineages, candidates, one, against));
        }
        for (by, _) in JUDGES {
            if !found[before..].iter().any(|duel| duel.by == by) {
                found.extend(computed(chosen, other, first, by));
            }
        }
    }
    found
}

/// What evaluations of one lineage's last model against another's report.
fn reported(
    lineages: &[LineageFacts],
    candidates: &[Vec<&StageFacts>],
    one: usize,
    against: usize,
) -> Vec<Duel> {
    let reference = lineages[against].checkpoint;
    let mut duels = Vec::new();
    let evaluations = candidates[one].iter();
    for stage in evaluations.filter(|stage| stage.input("reference") == reference) {
        let Some(found) = &stage.report else { continue };
        for (by, name) in JUDGES {
            if let Some(duel) = reported_duel(stage, &found.report, by, name) {
                duels.push(Duel {
                    lineage: one as u64,
                    against: against as u64,
                    ..duel
                });
            }
        }
    }
    duels
}

fn reported_duel(stage: &StageFacts, report: &Report, by: Judge, name: &str) -> Option<Duel> {
    let value = |name: &str| report.metrics.get(name).map(|metric| metric.0);
    let interval = |name: &str| {
        let (low, high) = (
            value(&format!("{name}_low")),
            value(&format!("{name}_high")),
        );
        low.zip(high).map(|(low, high)| Interval { low, high })
    };
    let (rate, difference) = (format!("win_rate_{name}"), format!("{name}_difference"));
    let win_rate = value(&rate)?;
    let prompts = report.counts.get("prompts").copied();
    // The report has the part of ties; that of wins is the rate without their half.
    let ties = value(&format!("ties_{name}"));
    let counted = |part: Option<f64>| Some((part? * prompts? as f64).round() as u64);
    Some(Duel {
        lineage: 0,
        against: 0,
        by,
        rule: rule(stage).filter(|_| by == Judge::Rule),
        source: DuelSource::Report,
        evaluations: stage.run.into_iter().collect(),
        prompts,
        wins: counted(ties.map(|ties| win_rate - ties / 2.0)),
        ties: counted(ties),
        losses: counted(ties.map(|ties| 1.0 - win_rate - ties / 2.0)),
        win_rate,
        interval: interval(&rate),
        mean_difference: value(&difference),
        mean_difference_interval: interval(&difference),
    })
}

/// Prompt by prompt from two reports; by reward model only if one and the same scored both.
fn computed(chosen: &Chosen<'_>, one: usize, against: usize, by: Judge) -> Option<Duel> {
    let (left, right) = (chosen[one]?, chosen[against]?);
    let judge = left.input("reward_model");
    if by == Judge::RewardModel && (judge.is_none() || judge != right.input("reward_model")) {
        return None;
    }
    let of = |sample: &ReportSample| match by {
        Judge::Rule => sample.gold_score,
        Judge::RewardModel => sample.reward,
    };
    let score = duel::score(samples(left), samples(right), of)?;
    Some(Duel {
        lineage: one as u64,
        against: against as u64,
        by,
        rule: rule(left).filter(|_| by == Judge::Rule),
        source: DuelSource::Scores,
        evaluations: [left.run, right.run].into_iter().flatten().collect(),
        prompts: Some(score.prompts()),
        wins: Some(score.wins),
        ties: Some(score.ties),
        losses: Some(score.losses),
        win_rate: score.win_rate(),
        interval: Some(score.interval()),
        mean_difference: Some(score.mean_difference),
        mean_difference_interval: score.mean_difference_interval,
    })
}

fn rule(stage: &StageFacts) -> Option<GoldRule> {
    match stage.derivation()?.stage_params().ok()? {
        StageParams::Evaluate(params) => params.gold,
        _ => None,
    }
}

fn samples(stage: &StageFacts) -> &[ReportSample] {
    let found: Option<&ReportFacts> = stage.report.as_ref();
    found.map_or(&[], |found| &found.samples)
}

/// The first prompts that all of them answered, with the answers.
fn side_by_side(chosen: &Chosen<'_>, limit: usize) -> Vec<ComparedSample> {
    type Waiting<'a> = BTreeMap<(&'a str, Option<&'a str>), VecDeque<&'a ReportSample>>;
    let mut waiting: Vec<Option<Waiting<'_>>> = chosen
        .iter()
        .map(|stage| {
            let mut of_one = Waiting::new();
            for sample in samples((*stage)?) {
                of_one
                    .entry(duel::key(sample))
                    .or_default()
                    .push_back(sample);
            }
            Some(of_one)
        })
        .collect();
    let Some(first) = chosen.iter().flatten().next() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for sample in samples(first) {
        if found.len() >= limit {
            break;
        }
        let key = duel::key(sample);
        let taken: Vec<Option<Option<&ReportSample>>> = waiting
            .iter_mut()
            .map(|own| Some(own.as_mut()?.get_mut(&key).and_then(VecDeque::pop_front)))
            .collect();
        let is_whole = taken.iter().flatten().all(Option::is_some);
        if is_whole {
            found.push(ComparedSample {
                prompt: sample.prompt.clone(),
                reference: sample.reference.clone(),
                answers: taken.iter().map(|one| (*one)?.map(answer)).collect(),
            });
        }
    }
    found
}

fn answer(sample: &ReportSample) -> ComparedAnswer {
    ComparedAnswer {
        completion: sample.completion.clone(),
        ended: sample.ended,
        greedy: sample.greedy.clone(),
        gold_score: sample.gold_score,
        reward: sample.reward,
    }
}
