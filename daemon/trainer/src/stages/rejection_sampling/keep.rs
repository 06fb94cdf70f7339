//! Which answer of each prompt is kept.

use std::collections::{HashMap, HashSet};

use begat_schemas::RejectionSamplingParams;
use serde_json::{Map, Value, json};

use super::earlier::{Answer, Earlier};
use super::scores::Scored;
use crate::contract::{StageError, StageResult};
use crate::stages::Context;
use crate::stages::report::Findings;
use crate::stages::sampling::{Drawn, as_completion};
use crate::stages::statistics::mean;

/// The rows of the dataset, and what became of the prompts.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub rows: Vec<Value>,
    /// This round's number, from 1.
    pub round: u64,
    rewards: Vec<f64>,
    gold: Vec<f64>,
    /// Prompts all of whose answers are empty, or below the least reward.
    left_out: u64,
    /// Rows whose answer comes from an earlier round.
    from_earlier: u64,
}

/// The best of each prompt's new and earlier answers; of equals the earlier round's, and then the first sample. After them
/// come the answers of earlier prompts that were not sampled this time.
pub(super) fn keep(
    context: &Context<'_>,
    params: &RejectionSamplingParams,
    drawn: &Drawn,
    scored: &Scored,
    earlier: Earlier,
) -> StageResult<Kept> {
    let mut kept = Kept {
        round: if context.has_input("earlier") {
            earlier.round + 1
        } else {
            1
        },
        ..Kept::default()
    };
    let by_prompt = best_by_prompt(&earlier.answers);
    let least = params.min_score.unwrap_or(f64::NEG_INFINITY);
    let mut seen = HashSet::new();
    for (number, prompt) in drawn.prompts.iter().enumerate() {
        let key = prompt.given.to_string();
        let old = by_prompt.get(&key).copied();
        seen.insert(key);
        let best = best(&scored.chosen_by[number]);
        let reward = best.map(|k| scored.rewards[number][k]);
        match (best.zip(reward), old) {
            (_, Some(old)) if reward.is_none_or(|reward| old.reward >= reward) => {
                kept.take_old(context, old, least);
            }
            (Some((k, reward)), _) if reward >= least => {
                let row = new_row(context, params, drawn, scored, kept.round, (number, k));
                let gold = scored.gold[number].as_ref().map(|gold| gold[k]);
                kept.take(context, row, reward, gold);
            }
            _ => kept.left_out += 1,
        }
    }
    for answer in &earlier.answers {
        // The first of several answers to one prompt stands for the best of them.
        let key = answer.prompt.to_string();
        if let Some(best) = by_prompt.get(&key)
            && seen.insert(key)
        {
            kept.take_old(context, best, least);
        }
    }
    kept.not_empty(drawn.prompts.len(), params.min_score)
}

/// The best earlier answer to each prompt, the first of equals.
fn best_by_prompt(answers: &[Answer]) -> HashMap<String, &Answer> {
    let mut by_prompt: HashMap<String, &Answer> = HashMap::new();
    for answer in answers {
        let known = by_prompt.entry(answer.prompt.to_string()).or_insert(answer);
        if answer.reward > known.reward {
            *known = answer;
        }
    }
    by_prompt
}

/// The best sample, the first of equals; none if none says anything.
fn best(chosen_by: &[f64]) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (k, &reward) in chosen_by.iter().enumerate() {
        let better = best.is_none_or(|best| reward > chosen_by[best]);
        if better && reward > f64::NEG_INFINITY {
            best = Some(k);
        }
    }
    best
}

fn new_row(
    context: &Context<'_>,
    params: &RejectionSamplingParams,
    drawn: &Drawn,
    scored: &Scored,
    round: u64,
    (number, k): (usize, usize),
) -> Map<String, Value> {
    let (prompt, sample) = (&drawn.prompts[number], &drawn.samples[number][k]);
    let mut row = Map::new();
    let mut put = |name: &str, value: Value| row.insert(name.to_owned(), value);
    put("prompt", prompt.given.clone());
    put("completion", as_completion(&prompt.given, &sample.text));
    put("row", json!(prompt.row));
    put("sample", json!(k));
    put("seed", json!(context.seed()));
    put("round", json!(round));
    put("policy", json!(context.digest_of("policy")));
    if let Some(gold) = &scored.gold[number] {
        put("gold", json!(gold[k]));
    }
    // A text that the limit cut has no end to be learned, and one that a stop text cut only if it is wished.
    if !sample.ended || (sample.stopped && !params.append_end) {
        put("append_end", json!(false));
    }
    row
}

impl Kept {
    /// Refuses to be a dataset without rows.
    fn not_empty(self, prompts: usize, least: Option<f64>) -> StageResult<Self> {
        if !self.rows.is_empty() {
            return Ok(self);
        }
        let wanted = least.map_or(String::new(), |least| {
            format!(" with a reward of at least {least}")
        });
        let problem = format!("none of its {prompts} prompts has an answer{wanted}");
        Err(StageError::dataset("prompts", problem))
    }

    fn take(
        &mut self,
        context: &Context<'_>,
        mut row: Map<String, Value>,
        reward: f64,
        gold: Option<f64>,
    ) {
        row.insert("score".to_owned(), json!(reward));
        let digest = json!(context.digest_of("reward_model"));
        row.insert("reward_model".to_owned(), digest);
        self.rewards.push(reward);
        self.gold.extend(gold);
        self.rows.push(Value::Object(row));
    }

    fn take_old(&mut self, context: &Context<'_>, old: &Answer, least: f64) {
        if old.reward < least {
            self.left_out += 1;
            return;
        }
        self.from_earlier += 1;
        let gold = old.row.get("gold").and_then(Value::as_f64);
        self.take(context, old.row.clone(), old.reward, gold);
    }

    /// What is said of the rows.
    pub(super) fn measure(&self, findings: &mut Findings) {
        findings.count("kept", self.rows.len() as u64);
        findings.count("left_out", self.left_out);
        findings.count("kept_of_earlier_rounds", self.from_earlier);
        findings.count("round", self.round);
        findings.put("kept_reward", mean(self.rewards.iter().copied()));
        if !self.gold.is_empty() {
            findings.put("kept_gold_score", mean(self.gold.iter().copied()));
        }
    }
}
