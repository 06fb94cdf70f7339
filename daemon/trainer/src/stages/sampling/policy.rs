//! The model that is sampled from, with its tokenizer.

use crate::contract::StageResult;
use crate::data::{SampleReader, TextTokenizer};
use crate::model::{Head, Model, ModelConfig};
use crate::stages::Context;
use crate::stages::scoring::check_head;
use crate::stages::sft::check_fit;

/// A language model and its tokenizer.
#[derive(Debug)]
pub(crate) struct Policy {
    /// The model.
    pub model: Model,
    /// Its tokenizer.
    pub tokenizer: TextTokenizer,
}

impl Policy {
    /// Loads the language model in the input `input`; a reward model is refused.
    pub(crate) fn load(context: &Context<'_>, input: &str) -> StageResult<Self> {
        let folder = context.input(input)?;
        check_head(input, &ModelConfig::load(&folder)?, Head::LanguageModel)?;
        let tokenizer = TextTokenizer::load(&folder)?;
        let model = Model::load(&folder, context.device)?;
        check_fit(model.config(), &tokenizer, 1)?;
        Ok(Self { model, tokenizer })
    }

    /// Its longest sequence.
    pub(crate) fn positions(&self) -> usize {
        self.model.config().max_position_embeddings as usize
    }

    /// Reads rows with its tokenizer.
    pub(crate) fn reader(&self) -> SampleReader<'_> {
        SampleReader {
            tokenizer: &self.tokenizer,
            completion_only: true,
        }
    }
}
