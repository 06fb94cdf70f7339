//! `ppo`: proximal policy optimization of a policy against a reward model.
//!
//! Rollout by rollout: complete prompts, score the completions, estimate advantages, and update policy and value model
//! some epochs long. The arithmetic is in [`crate::ppo`]; here are the models, the order of things, and what is written
//! down. A rollout is a function of the models, the episodes' numbers and the seed, so checkpoints lie between rollouts.

mod experience;
mod figures;
mod learner;
mod models;
mod policy;
mod pretraining;
mod prompts;
mod rollout;
mod training;
mod value;

use begat_schemas::PpoParams;

use super::Context;
use crate::contract::StageResult;
use models::Inputs;
use training::Training;

pub(super) fn run(context: &Context<'_>, params: &PpoParams) -> StageResult<()> {
    let inputs = Inputs::load(context, params)?;
    let files = inputs.tokenizer.side_files()?;
    let policy = Training::begin(context, params, inputs)?.run()?;
    context.write_model(&policy, &files)
}
