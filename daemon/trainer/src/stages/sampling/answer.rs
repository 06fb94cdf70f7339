//! A sampled text as the completion of a row, and as the tokens that a model trained on such a row would see.

use serde_json::{Value, json};

use crate::contract::StageResult;
use crate::data::TextTokenizer;

/// The text in the form of its prompt: a text after a text, an assistant's message after messages.
pub(crate) fn as_completion(given: &Value, text: &str) -> Value {
    match given {
        Value::Array(_) => json!([{"role": "assistant", "content": text}]),
        _ => json!(text),
    }
}

/// The text's tokens with the end that rows of its form get, which is where a reward model reads its score.
pub(crate) fn answer_tokens(
    tokenizer: &TextTokenizer,
    given: &Value,
    text: &str,
) -> StageResult<Vec<u32>> {
    let mut tokens = Vec::new();
    match given {
        Value::Array(messages) => {
            let mut all = messages.clone();
            all.push(json!({"role": "assistant", "content": text}));
            let before = tokenizer.chat_prompt(messages)?.len();
            let mut position = 0;
            for turn in tokenizer.chat_turns(&all)? {
                if position >= before {
                    tokens.extend(tokenizer.encode(&turn.text)?);
                }
                position += turn.text.len();
            }
        }
        _ => tokens = tokenizer.encode(text)?,
    }
    let end = tokenizer.end_of_text();
    if tokens.last() != Some(&end) {
        tokens.push(end);
    }
    Ok(tokens)
}
