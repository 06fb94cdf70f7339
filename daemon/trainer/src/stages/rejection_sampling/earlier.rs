//! What earlier rounds kept.

use begat_schemas::RejectionSamplingParams;
use serde_json::{Map, Value};

use crate::contract::StageResult;
use crate::data::{Row, Rows};
use crate::stages::Context;
use crate::stages::sampling::{Policy, answer_tokens};
use crate::stages::scoring::RewardModel;

/// An answer that an earlier round kept.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The row as it is, provenance included.
    pub row: Map<String, Value>,
    /// Its prompt.
    pub prompt: Value,
    /// Its reward by this round's reward model.
    pub reward: f64,
    tokens: (Vec<u32>, Vec<u32>),
}

/// The answers of the input `earlier`, if there is one.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    pub answers: Vec<Answer>,
    /// The newest round among them; 0 if there is none.
    pub round: u64,
}

impl Earlier {
    pub(super) fn load(context: &Context<'_>, policy: &Policy) -> StageResult<Self> {
        let mut earlier = Self::default();
        if !context.has_input("earlier") {
            return Ok(earlier);
        }
        let rows = Rows::to_train("earlier", &context.input("earlier")?)?;
        for row in rows.read() {
            let row = row?;
            earlier.round = earlier.round.max(round(&row)?);
            earlier.answers.push(answer(policy, &row)?);
        }
        Ok(earlier)
    }

    /// With the rewards that this round's reward model gives them.
    pub(super) fn scored(
        mut self,
        context: &Context<'_>,
        params: &RejectionSamplingParams,
        policy: &Policy,
        reward_model: &RewardModel,
    ) -> StageResult<Self> {
        // What was kept for a model with a longer context keeps its end, where the reward is read.
        let longest = reward_model.longest().min(policy.positions());
        for answer in &mut self.answers {
            let (prompt, completion) = &mut answer.tokens;
            let surplus = (prompt.len() + completion.len()).saturating_sub(longest);
            prompt.drain(..surplus.min(prompt.len()));
        }
        let answers = self.answers.iter();
        let answers: Vec<(&[u32], &[u32])> = answers
            .map(|answer| (answer.tokens.0.as_slice(), answer.tokens.1.as_slice()))
            .collect();
        let batch = params.sampling.per_device_eval_batch_size as usize;
        let rewards = reward_model.scores(&answers, batch, context.threads)?;
        for (answer, reward) in self.answers.iter_mut().zip(rewards) {
            answer.reward = reward;
        }
        Ok(self)
    }
}

/// A row that names no round comes from elsewhere, and counts as the first.
fn round(row: &Row) -> StageResult<u64> {
    match row.get("round") {
        None => Ok(1),
        Some(value) => value.as_u64().ok_or_else(|| {
            let problem = format!("field `round`: expected a whole number, found {value}");
            row.error(problem)
        }),
    }
}

fn answer(policy: &Policy, row: &Row) -> StageResult<Answer> {
    let prompted = policy.reader().prompted(row)?;
    let (Some(prompted), Some(completion)) = (prompted, row.get("completion")) else {
        let found = row.field_names();
        return Err(row.error(format!(
            "expected `prompt` and `completion`; it has {found}"
        )));
    };
    let text = prompted.reference.unwrap_or_default();
    let prompt = row.get("prompt").cloned().unwrap_or_default();
    let tokens = answer_tokens(&policy.tokenizer, &prompt, &text)?;
    let names = [
        "seed",
        "row",
        "sample",
        "policy",
        "round",
        "gold",
        "append_end",
    ];
    let mut kept: Map<String, Value> = names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), row.get(name)?.clone())))
        .collect();
    kept.insert("prompt".to_owned(), prompt.clone());
    kept.insert("completion".to_owned(), completion.clone());
    Ok(Answer {
        row: kept,
        prompt,
        reward: 0.0,
        tokens: (prompted.tokens, tokens),
    })
}
