//! `tokenizer`: byte-level byte-pair encoding.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ArtifactType, BadValue, InputSpec, KindSpec, Params};

/// Parameters of `tokenizer`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TokenizerParams {
    /// Tokens in the vocabulary, special tokens and the 256 bytes included.
    pub vocab_size: u32,
    /// Special tokens in the order of their ids; the first ends a text, the second pads.
    #[serde(default = "special_tokens")]
    pub special_tokens: Vec<String>,
    /// Jinja template of conversations, as in `tokenizer_config.json`.
    #[serde(default = "chat_template")]
    pub chat_template: String,
    /// The field of a row that holds its text.
    #[serde(default = "text_field")]
    pub dataset_text_field: String,
}

fn special_tokens() -> Vec<String> {
    ["<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"]
        .map(str::to_owned)
        .to_vec()
}

/// ChatML, the template that most tools know.
fn chat_template() -> String {
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + \
     '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
        .to_owned()
}

pub(super) fn text_field() -> String {
    "text".to_owned()
}

impl Params for TokenizerParams {
    const SPEC: KindSpec = KindSpec {
        name: "tokenizer",
        revision: 1,
        seeded: false,
        inputs: Some(&[InputSpec {
            name: "corpus",
            artifact: ArtifactType::Dataset,
            required: true,
        }]),
        outputs: &[("tokenizer", ArtifactType::Tokenizer)],
    };

    fn check(&self) -> Result<(), BadValue> {
        let tokens = &self.special_tokens;
        if tokens.len() < 2 || tokens.iter().any(String::is_empty) {
            return Err(BadValue::new(
                "special_tokens",
                "at least two, none of them empty: one that ends a text and one that pads",
                format!("{tokens:?}"),
            ));
        }
        let distinct: std::collections::BTreeSet<_> = tokens.iter().collect();
        if distinct.len() != tokens.len() {
            return Err(BadValue::new(
                "special_tokens",
                "no token twice",
                format!("{tokens:?}"),
            ));
        }
        let least = 256 + tokens.len();
        if (self.vocab_size as usize) < least || self.vocab_size > 1 << 20 {
            return Err(BadValue::new(
                "vocab_size",
                format!("a number from {least} (the bytes and the special tokens) to 1048576"),
                self.vocab_size,
            ));
        }
        Ok(())
    }
}
