//! The labellers: a rule, a reward model, a program, or what a program has said before.

use std::collections::BTreeMap;

use begat_schemas::{AnnotateParams, Labeller};

use super::candidates::Candidates;
use super::command;
use super::judgements::{Judgement, Judgements};
use crate::contract::{StageError, StageResult};
use crate::data::Rows;
use crate::stages::Context;
use crate::stages::sampling::{Policy, Prompt, answer_tokens};
use crate::stages::scoring::RewardModel;

/// The score of each candidate of each prompt; the greater is better.
pub(super) type Labels = Vec<Vec<f64>>;

/// Where scores come from.
pub(super) struct Source<'a> {
    context: &'a Context<'a>,
    params: &'a AnnotateParams,
    policy: &'a Policy,
    reward_model: Option<RewardModel>,
    /// The input `judgements`, if it is there.
    said_before: Option<Rows>,
}

impl<'a> Source<'a> {
    /// Loads what the labeller needs, before anything is sampled.
    pub(super) fn load(
        context: &'a Context<'a>,
        params: &'a AnnotateParams,
        policy: &'a Policy,
    ) -> StageResult<Self> {
        let mut source = Self {
            context,
            params,
            policy,
            reward_model: None,
            said_before: None,
        };
        match params.labeller {
            Labeller::Rule => {}
            Labeller::RewardModel => {
                let model = RewardModel::load(context, "reward_model")?;
                model.check_tokenizer("policy", &policy.tokenizer)?;
                source.reward_model = Some(model);
            }
            Labeller::Command if context.has_input("judgements") => {
                let folder = context.input("judgements")?;
                source.said_before = Some(Rows::to_train("judgements", &folder)?);
            }
            Labeller::Command => {}
        }
        Ok(source)
    }

    /// The longest sequence that the labeller can read, if it has a limit.
    pub(super) fn longest(&self) -> Option<usize> {
        self.reward_model.as_ref().map(RewardModel::longest)
    }

    /// Scores every candidate.
    pub(super) fn label(
        &self,
        prompts: &[Prompt],
        candidates: &[Candidates],
    ) -> StageResult<Labels> {
        match (&self.reward_model, &self.said_before) {
            (Some(model), _) => self.by_reward_model(model, prompts, candidates),
            (None, Some(rows)) => replay(rows, prompts, candidates),
            (None, None) if self.params.labeller == Labeller::Command => {
                command::judge(self.context, &self.params.command, prompts, candidates)
            }
            (None, None) => by_rule(prompts, candidates),
        }
    }

    fn by_reward_model(
        &self,
        model: &RewardModel,
        prompts: &[Prompt],
        candidates: &[Candidates],
    ) -> StageResult<Labels> {
        let mut answers = Vec::new();
        for (prompt, candidates) in prompts.iter().zip(candidates) {
            for one in candidates {
                let tokens = answer_tokens(&self.policy.tokenizer, &prompt.given, &one.text)?;
                answers.push((&prompt.tokens[..], tokens));
            }
        }
        let batch = self.params.sampling.per_device_eval_batch_size as usize;
        let borrowed: Vec<(&[u32], &[u32])> = answers
            .iter()
            .map(|(prompt, answer)| (*prompt, answer.as_slice()))
            .collect();
        let scores = model.scores(&borrowed, batch, self.context.threads)?;
        let mut scores = scores.into_iter();
        let of_prompt = |candidates: &Candidates| scores.by_ref().take(candidates.len()).collect();
        Ok(candidates.iter().map(of_prompt).collect())
    }
}

fn by_rule(prompts: &[Prompt], candidates: &[Candidates]) -> StageResult<Labels> {
    let score = |prompt: &Prompt, gold: Option<f64>| {
        gold.ok_or_else(|| StageError::Row {
            place: prompt.place.clone(),
            problem: "no score by the rule".to_owned(),
        })
    };
    let of_prompt = |(prompt, candidates): (&Prompt, &Candidates)| {
        candidates
            .iter()
            .map(|one| score(prompt, one.gold))
            .collect()
    };
    prompts.iter().zip(candidates).map(of_prompt).collect()
}

/// What a program has said before, as long as it was said of the same answers.
fn replay(rows: &Rows, prompts: &[Prompt], candidates: &[Candidates]) -> StageResult<Labels> {
    let mut judgements = Judgements::new(prompts, candidates);
    for row in rows.read() {
        let row = row?;
        let fields: BTreeMap<&str, &serde_json::Value> =
            ["row", "k", "score", "ranking", "completion"]
                .into_iter()
                .filter_map(|name| Some((name, row.get(name)?)))
                .collect();
        Judgement::read(&fields)
            .and_then(|judgement| judgements.add(judgement))
            .map_err(|problem| row.error(problem))?;
    }
    judgements
        .finish()
        .map_err(|problem| StageError::dataset(rows.input(), problem))
}
