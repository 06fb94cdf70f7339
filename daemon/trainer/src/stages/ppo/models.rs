//! The inputs of the stage, and whether they fit each other.

use std::path::Path;

use begat_schemas::{BadValue, BlobDigest, PpoParams};

use super::pretraining::Pretraining;
use super::prompts::Prompts;
use super::scorer::Scorer;
use crate::contract::{At, StageError, StageResult};
use crate::data::{Rows, TextTokenizer};
use crate::model::{Head, Model, ModelConfig};
use crate::stages::Context;

/// What the stage is given, loaded.
pub(super) struct Inputs {
    pub tokenizer: TextTokenizer,
    /// The policy as it comes; it stays as the reference.
    pub reference: Model,
    pub scorer: Scorer,
    pub prompts: Prompts,
    pub pretraining: Option<Pretraining>,
}

impl Inputs {
    pub(super) fn load(context: &Context<'_>, params: &PpoParams) -> StageResult<Self> {
        let policy = context.input("policy")?;
        let reward_model = context.input("reward_model")?;
        let config = ModelConfig::load(&policy)?;
        if config.head == Head::Score {
            return Err(StageError::work(
                &policy,
                "a reward model; expected a model that gives text",
            ));
        }
        same_tokenizer(&policy, &reward_model)?;
        let tokenizer = TextTokenizer::load(&policy)?;
        let scorer = Scorer::load(&reward_model, context)?;
        for (folder, config) in [(&policy, &config), (&reward_model, scorer.model().config())] {
            fits(folder, config, &tokenizer)?;
        }
        let positions = config
            .max_position_embeddings
            .min(scorer.model().config().max_position_embeddings);
        let longest = room(params, positions)?;
        let rows = Rows::to_train("prompts", &context.input("prompts")?)?;
        let prompts = Prompts::read(&rows, &tokenizer, longest, context.random("order"))?;
        if prompts.dropped > 0 {
            let (count, length) = (prompts.dropped, params.response_length);
            context.log("warn", format!(
                "prompts: {count} rows dropped, whose prompt has more than the {longest} tokens that a completion of {length} leaves"
            ));
        }
        let pretraining = match params.ptx_coef > 0.0 {
            true => Some(Pretraining::read(context, params, &tokenizer, &config)?),
            false => None,
        };
        Ok(Self {
            reference: Model::load(&policy, context.device)?,
            tokenizer,
            scorer,
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

fn fits(folder: &Path, config: &ModelConfig, tokenizer: &TextTokenizer) -> StageResult<()> {
    let (has, needs) = (config.vocab_size, tokenizer.vocabulary_size());
    if needs as i64 <= has {
        return Ok(());
    }
    Err(StageError::work(
        folder,
        format!("its tokenizer has {needs} tokens, but its vocab_size is {has}"),
    ))
}

/// A score says nothing about tokens that another tokenizer would have made.
fn same_tokenizer(policy: &Path, reward_model: &Path) -> StageResult<()> {
    let digest = |folder: &Path| -> StageResult<BlobDigest> {
        let path = folder.join("tokenizer.json");
        Ok(BlobDigest::of(&std::fs::read(&path).at(&path)?))
    };
    let (one, other) = (digest(policy)?, digest(reward_model)?);
    if one == other {
        return Ok(());
    }
    Err(StageError::work(
        reward_model,
        format!(
            "its tokenizer.json has digest {other}, but the policy's has {one}; expected the same tokenizer"
        ),
    ))
}
