//! From a recipe's model to the shape that is trained.

use begat_schemas::ModelConfig as Recipe;

use crate::data::TextTokenizer;
use crate::model::ModelConfig;

/// The shape, with the tokenizer's vocabulary and special tokens.
pub(super) fn model_config(recipe: &Recipe, tokenizer: &TextTokenizer) -> ModelConfig {
    let vocabulary = tokenizer.vocabulary_size() as i64;
    let end_of_text = i64::from(tokenizer.end_of_text());
    let shape = match recipe {
        Recipe::Gpt2(gpt2) => {
            let (width, layers, heads) =
                (gpt2.n_embd.into(), gpt2.n_layer.into(), gpt2.n_head.into());
            let base = ModelConfig::gpt2(vocabulary, width, layers, heads, gpt2.n_positions.into());
            ModelConfig {
                intermediate_size: gpt2.n_inner.map_or(base.intermediate_size, i64::from),
                norm_eps: gpt2.layer_norm_epsilon,
                initializer_range: gpt2.initializer_range,
                tie_word_embeddings: gpt2.tie_word_embeddings,
                ..base
            }
        }
        Recipe::Llama(llama) => {
            let heads = llama.num_attention_heads;
            let base = ModelConfig::llama(
                vocabulary,
                llama.hidden_size.into(),
                llama.num_hidden_layers.into(),
                heads.into(),
                llama.num_key_value_heads.unwrap_or(heads).into(),
            );
            ModelConfig {
                intermediate_size: llama.intermediate_size.into(),
                max_position_embeddings: llama.max_position_embeddings.into(),
                rope_theta: llama.rope_theta,
                norm_eps: llama.rms_norm_eps,
                initializer_range: llama.initializer_range,
                tie_word_embeddings: llama.tie_word_embeddings,
                ..base
            }
        }
    };
    ModelConfig {
        bos_token_id: Some(tokenizer.beginning().map_or(end_of_text, i64::from)),
        eos_token_id: Some(end_of_text),
        pad_token_id: Some(tokenizer.padding().into()),
        ..shape
    }
}
