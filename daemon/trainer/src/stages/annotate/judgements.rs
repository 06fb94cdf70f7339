//! What a labeller says of candidates: `{row, k, score}` of one, or `{row, ranking: [k, …]}` from best to worst of all of a
//! prompt's.
//!
//! A ranking becomes scores that lie evenly from 1 (the best) to 0 (the worst), so that both kinds give pairs and strengths
//! in one way.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::Value;

use super::candidates::Candidates;
use super::labels::Labels;
use crate::stages::sampling::{Prompt, as_completion};

/// One line of a labeller.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judgement {
    row: u64,
    says: Says,
    /// What it was said of, where a judgement of an earlier run tells.
    completion: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
enum Says {
    Score { k: u32, score: f64 },
    Ranking(Vec<u32>),
}

impl Judgement {
    /// Reads the fields of a line; the error says what was expected.
    pub(super) fn read(fields: &BTreeMap<&str, &Value>) -> Result<Self, String> {
        let row = number(fields, "row")?;
        let says = match (fields.get("ranking"), fields.get("score")) {
            (Some(_), Some(_)) => {
                return Err("`ranking` beside `score`; expected one of them".to_owned());
            }
            (Some(list), None) => Says::Ranking(ranking(list)?),
            (None, Some(score)) => Says::Score {
                k: number(fields, "k")?
                    .try_into()
                    .map_err(|_| "field `k`: too large".to_owned())?,
                score: score
                    .as_f64()
                    .filter(|score| score.is_finite())
                    .ok_or_else(|| {
                        format!("field `score`: expected a finite number, found {score}")
                    })?,
            },
            (None, None) => return Err("expected `score` or `ranking`, found neither".to_owned()),
        };
        Ok(Self {
            row,
            says,
            completion: fields.get("completion").map(|value| (*value).clone()),
        })
    }
}

fn number(fields: &BTreeMap<&str, &Value>, name: &str) -> Result<u64, String> {
    let value = fields.get(name).copied().unwrap_or(&Value::Null);
    value
        .as_u64()
        .ok_or_else(|| format!("field `{name}`: expected a whole number, found {value}"))
}

fn ranking(list: &Value) -> Result<Vec<u32>, String> {
    let wrong =
        || format!("field `ranking`: expected a list of candidates' numbers `k`, found {list}");
    let list = list.as_array().ok_or_else(wrong)?;
    let number = |value: &Value| value.as_u64().and_then(|k| u32::try_from(k).ok());
    list.iter()
        .map(|value| number(value).ok_or_else(wrong))
        .collect()
}

/// Judgements as they come in, beside what must be judged.
pub(super) struct Judgements<'a> {
    prompts: &'a [Prompt],
    candidates: &'a [Candidates],
    /// The prompt's number by its row.
    by_row: HashMap<u64, usize>,
    scores: Vec<Vec<Option<f64>>>,
}

impl<'a> Judgements<'a> {
    pub(super) fn new(prompts: &'a [Prompt], candidates: &'a [Candidates]) -> Self {
        let rows = prompts.iter().map(|prompt| prompt.row);
        Self {
            prompts,
            candidates,
            by_row: rows.zip(0..).collect(),
            scores: candidates
                .iter()
                .map(|some| vec![None; some.len()])
                .collect(),
        }
    }

    /// Takes one in; the error says what is wrong with it.
    pub(super) fn add(&mut self, judgement: Judgement) -> Result<(), String> {
        let Judgement {
            row,
            says,
            completion,
        } = judgement;
        let prompt = *self
            .by_row
            .get(&row)
            .ok_or_else(|| format!("row {row} is not among the prompts that were sampled"))?;
        match says {
            Says::Score { k, score } => {
                let place = self.place(prompt, k)?;
                self.check_text(prompt, place, completion.as_ref())?;
                self.set(prompt, place, score)
            }
            Says::Ranking(order) => {
                let expected = self.candidates[prompt].len();
                if order.len() != expected {
                    return Err(format!(
                        "field `ranking`: expected the {expected} candidates of row {row}, found {}",
                        order.len()
                    ));
                }
                let worst = (expected.max(2) - 1) as f64;
                for (rank, k) in order.into_iter().enumerate() {
                    let place = self.place(prompt, k)?;
                    self.set(prompt, place, 1.0 - rank as f64 / worst)?;
                }
                Ok(())
            }
        }
    }

    fn place(&self, prompt: usize, k: u32) -> Result<usize, String> {
        let candidates = &self.candidates[prompt];
        let place = candidates.iter().position(|one| one.k == k);
        place.ok_or_else(|| {
            let known: Vec<String> = candidates.iter().map(|one| one.k.to_string()).collect();
            let row = self.prompts[prompt].row;
            format!(
                "row {row} has no candidate {k}; it has {}",
                known.join(", ")
            )
        })
    }

    /// An answer that was judged must be the one that is here now.
    fn check_text(
        &self,
        prompt: usize,
        place: usize,
        judged: Option<&Value>,
    ) -> Result<(), String> {
        let one = &self.candidates[prompt][place];
        let here = as_completion(&self.prompts[prompt].given, &one.text);
        match judged {
            Some(judged) if *judged != here => Err(format!(
                "field `completion`: {judged} was judged, but sample {} of row {} is {here}: another policy, seed or way of sampling",
                one.k, self.prompts[prompt].row
            )),
            _ => Ok(()),
        }
    }

    fn set(&mut self, prompt: usize, place: usize, score: f64) -> Result<(), String> {
        let slot = &mut self.scores[prompt][place];
        if slot.is_some() {
            let (row, k) = (self.prompts[prompt].row, self.candidates[prompt][place].k);
            return Err(format!("candidate {k} of row {row} is judged twice"));
        }
        *slot = Some(score);
        Ok(())
    }

    /// The scores, if there is one for each candidate.
    pub(super) fn finish(self) -> Result<Labels, String> {
        let scores = self.scores.into_iter().enumerate();
        scores
            .map(|(prompt, scores)| {
                let scores = scores.into_iter().enumerate();
                scores
                    .map(|(place, score)| {
                        let (row, k) = (self.prompts[prompt].row, self.candidates[prompt][place].k);
                        score.ok_or_else(|| format!("no judgement of candidate {k} of row {row}"))
                    })
                    .collect()
            })
            .collect()
    }
}

/// A judgement as it is kept.
#[derive(Debug, Serialize)]
pub(super) struct Said<'a> {
    prompt: &'a Value,
    completion: Value,
    row: u64,
    k: u32,
    score: f64,
}

/// Every judgement, with what it was said of.
pub(super) fn lines<'a>(
    prompts: &'a [Prompt],
    candidates: &[Candidates],
    labels: &Labels,
) -> Vec<Said<'a>> {
    let mut lines = Vec::new();
    for ((prompt, candidates), scores) in prompts.iter().zip(candidates).zip(labels) {
        for (one, &score) in candidates.iter().zip(scores) {
            lines.push(Said {
                prompt: &prompt.given,
                completion: as_completion(&prompt.given, &one.text),
                row: prompt.row,
                k: one.k,
                score,
            });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::candidates::Candidate;
    use super::*;
    use serde_json::json;

    fn prompt(row: u64) -> Prompt {
        Prompt {
            row,
            place: format!("train.jsonl:{}", row + 1),
            given: json!("p"),
            text: "p".to_owned(),
            tokens: vec![1],
            reference: None,
        }
    }

    fn candidate(k: u32) -> Candidate {
        Candidate {
            k,
            text: format!(" {k}"),
            ended: true,
            gold: None,
        }
    }

    fn judged(lines: &[Value]) -> Result<Labels, String> {
        let prompts = [prompt(4), prompt(6)];
        let candidates = [
            vec![candidate(0), candidate(2), candidate(3)],
            vec![candidate(1)],
        ];
        let mut judgements = Judgements::new(&prompts, &candidates);
        for line in lines {
            let fields = line.as_object().unwrap().iter();
            let fields = fields.map(|(name, value)| (name.as_str(), value)).collect();
            judgements.add(Judgement::read(&fields)?)?;
        }
        judgements.finish()
    }

    #[test]
    fn scores_and_rankings_become_labels_in_any_order() {
        let labels = judged(&[
            json!({"row": 6, "k": 1, "score": -2, "completion": " 1"}),
            json!({"row": 4, "ranking": [3, 0, 2]}),
        ]);
        assert_eq!(labels, Ok(vec![vec![0.5, 0.0, 1.0], vec![-2.0]]));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let good = json!({"row": 6, "k": 1, "score": 1});
        for (lines, expected) in [
            (
                vec![json!({"k": 1, "score": 1})],
                "field `row`: expected a whole number, found null",
            ),
            (
                vec![json!({"row": 5, "k": 1, "score": 1})],
                "row 5 is not among the prompts that were sampled",
            ),
            (
                vec![json!({"row": 4, "k": 1, "score": 1})],
                "row 4 has no candidate 1; it has 0, 2, 3",
            ),
            (
                vec![json!({"row": 4, "k": 0, "score": "x"})],
                "field `score`: expected a finite number, found \"x\"",
            ),
            (
                vec![json!({"row": 4, "k": 0})],
                "expected `score` or `ranking`, found neither",
            ),
            (
                vec![json!({"row": 4, "ranking": [0, 2]})],
                "field `ranking`: expected the 3 candidates of row 4, found 2",
            ),
            (
                vec![json!({"row": 4, "ranking": [0, 2, 2]})],
                "candidate 2 of row 4 is judged twice",
            ),
            (
                vec![good.clone(), good.clone()],
                "candidate 1 of row 6 is judged twice",
            ),
            (vec![good], "no judgement of candidate 0 of row 4"),
        ] {
            assert_eq!(judged(&lines), Err(expected.to_owned()));
        }
        let other = judged(&[json!({"row": 6, "k": 1, "score": 1, "completion": " x"})]);
        let reason = other.unwrap_err();
        assert!(
            reason.contains("another policy, seed or way of sampling"),
            "{reason}"
        );
    }
}
