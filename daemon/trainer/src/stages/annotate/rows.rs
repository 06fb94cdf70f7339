//! The dataset's rows: pairs, rankings or scores, each with where it comes from.

use std::collections::BTreeMap;

use begat_schemas::{AnnotateParams, AnnotationForm, Strength};
use serde_json::{Map, Value, json};

use super::candidates::{Candidate, Candidates};
use super::labels::Labels;
use super::pairs::{Pair, comparable, drawn, ranked};
use crate::stages::Context;
use crate::stages::report::Findings;
use crate::stages::sampling::{Prompt, as_completion};
use crate::stages::statistics::mean;

/// The rows, and what was seen while they were made.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub rows: Vec<Value>,
    form: AnnotationForm,
    ties: u64,
    gaps: Vec<f64>,
    strengths: BTreeMap<Strength, u64>,
    scores: Vec<f64>,
    /// Pairs whose chosen answer has more, as many, or fewer characters than the rejected one.
    longer: [u64; 3],
    /// Pairs that the rule sees the same way, the other way round, and as equal.
    agreement: [u64; 3],
}

/// Makes the rows, in the order of their prompts.
pub(super) fn make(
    context: &Context<'_>,
    params: &AnnotateParams,
    prompts: &[Prompt],
    candidates: &[Candidates],
    labels: &Labels,
) -> Made {
    let maker = Maker {
        context,
        params,
        source: source(context, params),
    };
    let mut made = Made {
        form: params.form,
        ..Made::default()
    };
    for ((prompt, candidates), scores) in prompts.iter().zip(candidates).zip(labels) {
        made.scores.extend(scores);
        match params.form {
            AnnotationForm::Pairs => maker.pairs(&mut made, prompt, candidates, scores),
            AnnotationForm::Rankings => maker.ranking(&mut made, prompt, candidates, scores),
            AnnotationForm::Scores => maker.scores(&mut made, prompt, candidates, scores),
        }
    }
    made
}

/// What every row says of its origin.
fn source(context: &Context<'_>, params: &AnnotateParams) -> Map<String, Value> {
    let fields = [
        ("policy", json!(context.digest_of("policy"))),
        ("labeller", json!(super::card::labeller(context, params))),
        ("seed", json!(context.seed())),
    ];
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

struct Maker<'a> {
    context: &'a Context<'a>,
    params: &'a AnnotateParams,
    source: Map<String, Value>,
}

impl Maker<'_> {
    fn row(&self, prompt: &Prompt, fields: Value) -> Value {
        let mut row = self.source.clone();
        row.insert("prompt".to_owned(), prompt.given.clone());
        row.insert("row".to_owned(), json!(prompt.row));
        if let Value::Object(fields) = fields {
            row.extend(fields);
        }
        Value::Object(row)
    }

    fn pairs(&self, made: &mut Made, prompt: &Prompt, candidates: &Candidates, scores: &[f64]) {
        let (pairs, ties) = comparable(scores, self.params.min_gap);
        made.ties += ties;
        let most = self.params.max_pairs_per_prompt as usize;
        for pair in drawn(pairs, most, self.context.random("pairs"), prompt.row) {
            let (chosen, rejected) = (&candidates[pair.chosen], &candidates[pair.rejected]);
            let strength = self.params.strengths.strength(pair.gap);
            made.saw(pair, strength, chosen, rejected);
            made.rows.push(self.row(
                prompt,
                json!({
                    "chosen": as_completion(&prompt.given, &chosen.text),
                    "rejected": as_completion(&prompt.given, &rejected.text),
                    "strength": strength.name(),
                    "score_chosen": scores[pair.chosen],
                    "score_rejected": scores[pair.rejected],
                    "samples": [chosen.k, rejected.k],
                }),
            ));
        }
    }

    fn ranking(&self, made: &mut Made, prompt: &Prompt, candidates: &Candidates, scores: &[f64]) {
        let order = ranked(candidates, scores, self.params.min_gap);
        made.ties += (candidates.len() - order.len()) as u64;
        if order.len() < 2 {
            return;
        }
        let each = |what: &dyn Fn(usize) -> Value| {
            order.iter().map(|&place| what(place)).collect::<Vec<_>>()
        };
        let row = json!({
            "responses": each(&|place| as_completion(&prompt.given, &candidates[place].text)),
            "scores": each(&|place| json!(scores[place])),
            "samples": each(&|place| json!(candidates[place].k)),
        });
        made.rows.push(self.row(prompt, row));
    }

    fn scores(&self, made: &mut Made, prompt: &Prompt, candidates: &Candidates, scores: &[f64]) {
        for (one, &score) in candidates.iter().zip(scores) {
            let completion = as_completion(&prompt.given, &one.text);
            let row = json!({"completion": completion, "score": score, "sample": one.k});
            made.rows.push(self.row(prompt, row));
        }
    }
}

impl Made {
    fn saw(&mut self, pair: Pair, strength: Strength, chosen: &Candidate, rejected: &Candidate) {
        self.gaps.push(pair.gap);
        *self.strengths.entry(strength).or_default() += 1;
        let length = |one: &Candidate| one.text.chars().count();
        self.longer[order(length(chosen), length(rejected))] += 1;
        if let (Some(chosen), Some(rejected)) = (chosen.gold, rejected.gold) {
            self.agreement[order(chosen, rejected)] += 1;
        }
    }

    /// What is said of the rows; `by_other` if it was not the rule that labelled them.
    pub(super) fn measure(&self, findings: &mut Findings, by_other: bool) {
        findings.put("score", mean(self.scores.iter().copied()));
        let rows = self.rows.len() as u64;
        match self.form {
            AnnotationForm::Scores => findings.count("scores", rows),
            AnnotationForm::Rankings => {
                findings.count("rankings", rows);
                findings.count("ties", self.ties);
            }
            AnnotationForm::Pairs => {
                findings.count("pairs", rows);
                findings.count("ties", self.ties);
                for strength in Strength::ALL {
                    let count = self.strengths.get(&strength).copied().unwrap_or(0);
                    findings.count(format!("pairs_{strength}"), count);
                }
                findings.put("gap", mean(self.gaps.iter().copied()));
                findings.put("chosen_longer", part(self.longer[0], rows));
                findings.put("chosen_shorter", part(self.longer[2], rows));
            }
        }
        let [same, _, otherwise] = self.agreement;
        if by_other && same + otherwise > 0 {
            findings.put("agreement", part(same, same + otherwise));
            findings.count("agreement_pairs", same + otherwise);
        }
    }
}

/// 0 if the first is greater, 1 if they are equal, 2 if it is less.
fn order<T: PartialOrd>(one: T, other: T) -> usize {
    if one > other {
        0
    } else if one == other {
        1
    } else {
        2
    }
}

fn part(some: u64, all: u64) -> f64 {
    some as f64 / all.max(1) as f64
}
