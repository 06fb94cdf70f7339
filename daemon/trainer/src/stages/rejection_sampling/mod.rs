//! `rejection_sampling`: the best of K completions of each prompt, by a reward model (Llama 2, §3.2.3).
//!
//! With the input `earlier`, the answers that earlier rounds kept compete with the new ones, as in Llama 2, where a round
//! that learned from its own samples only forgot what the ones before knew. They are scored anew, because scores of
//! another reward model say nothing beside those of this one; prompts of earlier rounds that this one does not sample
//! keep their answers.

mod card;
mod earlier;
mod keep;
mod scores;

use begat_schemas::RejectionSamplingParams;

use super::Context;
use super::report::{Findings, json_lines};
use super::sampling::{How, Policy, Prompts, Slice, draw};
use super::scoring::RewardModel;
use crate::contract::{OutputFolder, StageResult};
use earlier::Earlier;
use keep::keep;
use scores::Scored;

pub(super) fn run(context: &Context<'_>, params: &RejectionSamplingParams) -> StageResult<()> {
    let policy = Policy::load(context, "policy")?;
    let reward_model = RewardModel::load(context, "reward_model")?;
    reward_model.check_tokenizer("policy", &policy.tokenizer)?;
    let earlier = Earlier::load(context, &policy)?;
    let drawn = draw(
        context,
        &policy,
        How::from(&params.sampling),
        Slice {
            prompts: Prompts {
                first: params.first_prompt,
                count: (params.prompts > 0).then_some(params.prompts),
                compared_by: None,
            },
            num_generations: params.num_generations,
            longest: Some(reward_model.longest()),
        },
    )?;
    let scored = Scored::new(context, params, &policy, &reward_model, &drawn)?;
    let earlier = earlier.scored(context, params, &policy, &reward_model)?;
    let kept = keep(context, params, &drawn, &scored, earlier)?;
    let mut findings = Findings::default();
    drawn.measure(&mut findings);
    scored.measure(&mut findings);
    kept.measure(&mut findings);
    let output = OutputFolder::begin(context.work, "dataset")?;
    output.write("train.jsonl", &json_lines(&output, &kept.rows)?)?;
    let card = card::card(context, params, kept.round, &findings);
    output.write("README.md", card.as_bytes())?;
    output.publish()?;
    findings.write(context, drawn.steps, None)
}
