//! The inputs of the stage, and whether they fit each other.

use begat_schemas::{BadValue, PpoParams};

use super::pretraining::Pretraining;
use super::prompts::Prompts;
use crate::contract::{StageError, StageResult};
use crate::data::{Rows, TextTokenizer};
use crate::model::{Head, Model, ModelConfig};
use crate::stages::Context;
use crate::stages::scoring::{RewardModel, check_head};

/// What the stage is given, loaded.
pub(super) struct Inputs {
    pub tokenizer: TextTokenizer,
    /// The policy as it comes; it stays as the reference.
    pub reference: Model,
    pub reward_model: RewardModel,
    pub prompts: Prompts,
    pub pretraining: Option<Pretraining>,
}

impl Inputs {
    pub(super) fn load(context: &Context<'_>, params: &PpoParams) -> StageResult<Self> {
        let policy = context.input("policy")?;
        let config = ModelConfig::load(&policy)?;
        check_head("policy", &config, Head::LanguageModel)?;
        let tokenizer = TextTokenizer::load(&policy)?;
        let reward_model = RewardModel::load(context, "reward_model")?;
        reward_model.check_tokenizer("policy", &tokenizer)?;
        for (input, config) in [
            ("policy", &config),
            ("reward_model", reward_model.model().config()),
        ] {
            fits(input, config, &tokenizer)?;
        }
        let positions = config
            .max_position_embeddings
            .min(reward_model.model().config().max_position_embeddings);
        let longest = room(params, positions)?;
        let rows = Rows::to_train("prompts", &context.input("prompts")?)?;
        let prompts = Prompts::read(&rows, &tokenizer, longest, context.random("order"))?;
        if prompts.dropped > 0 {
            let (count, length) = (prompts.dropped, params.response_length);
            context.log("warn", format!(
                "prompts: {count} rows dropped, whose prompt has no token, or more than the {longest} that a completion of {length} leaves"
            ));
        }
        let pretraining = match params.ptx_coef > 0.0 {
            true => Some(Pretraining::read(context, params, &tokenizer, &config)?),
            false => None,
        };
        Ok(Self {
            reference: Model::load(&policy, context.device)?,
            tokenizer,
            reward_model,
            prompts,
            pretraining,
        })
    }
}

/// The most tokens of a prompt.
fn room(params: &PpoParams, positions: i64) -> StageResult<usize> {
    let length = params.response_length;
    let left = positions - i64::from(length);
    if left >= 1 {
        return Ok(left as usize);
    }
    let expected = format!("less than the {positions} positions of policy and reward model");
    Err(BadValue::new("response_length", expected, length).into())
}

fn fits(input: &str, config: &ModelConfig, tokenizer: &TextTokenizer) -> StageResult<()> {
    let (has, needs) = (config.vocab_size, tokenizer.vocabulary_size());
    if needs as i64 <= has {
        return Ok(());
    }
    Err(StageError::input(
        input,
        format!("its tokenizer has {needs} tokens, but its vocab_size is {has}"),
    ))
}
