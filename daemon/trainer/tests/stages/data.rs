//! Rows as samples: what is learned of them.

use begat_trainer::data::{Rows, Sample, SampleReader, TextTokenizer};
use serde_json::{Value, json};

use crate::fixture::Fixture;

fn sample(
    fixture: &Fixture,
    tokenizer: &TextTokenizer,
    row: Value,
    completion_only: bool,
) -> Sample {
    let folder = fixture.dataset("one", "train", std::iter::once(row));
    let rows = Rows::to_train("one", &folder).unwrap();
    let row = rows.read().next().unwrap().unwrap();
    SampleReader {
        tokenizer,
        completion_only,
    }
    .sample(&row)
    .unwrap()
}

/// The learned parts of a sample as text, special tokens included.
fn learned(tokenizer: &TextTokenizer, sample: &Sample) -> String {
    let names = [
        (tokenizer.end_of_text(), "<end>"),
        (tokenizer.id_of("<|im_end|>").unwrap(), "<turn>"),
    ];
    let tokens = sample.tokens.iter().zip(&sample.learned);
    let texts = tokens.filter(|(_, learned)| **learned).map(|(&token, _)| {
        let name = names.iter().find(|(id, _)| *id == token);
        name.map_or_else(
            || tokenizer.decode(&[token]).unwrap(),
            |(_, name)| (*name).to_owned(),
        )
    });
    texts.collect()
}

#[test]
fn only_completions_and_assistants_are_learned_with_their_ends() {
    let fixture = Fixture::new();
    let tokenizer = TextTokenizer::load(&fixture.tokenizer()).unwrap();
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let talk = json!([
        message("system", "s"),
        message("user", "ask"),
        message("assistant", "one"),
        message("user", "more"),
        message("assistant", "two")
    ]);
    for (row, only, all) in [
        (
            json!({"prompt": "pub fn", "completion": " get(&self)"}),
            " get(&self)<end>",
            "pub fn get(&self)<end>",
        ),
        (
            json!({"text": "pub fn get"}),
            "pub fn get<end>",
            "pub fn get<end>",
        ),
        (
            json!({"messages": talk.clone()}),
            "one<turn>\ntwo<turn>\n<end>",
            "system\ns<turn>\nuser\nask<turn>\nassistant\none<turn>\nuser\nmore<turn>\nassistant\ntwo<turn>\n<end>",
        ),
        (
            json!({"prompt": talk.as_array().unwrap()[..4], "completion": [message("assistant", "two")]}),
            "two<turn>\n<end>",
            "system\ns<turn>\nuser\nask<turn>\nassistant\none<turn>\nuser\nmore<turn>\nassistant\ntwo<turn>\n<end>",
        ),
    ] {
        let found = sample(&fixture, &tokenizer, row.clone(), true);
        assert_eq!(learned(&tokenizer, &found), only, "{row}");
        let found = sample(&fixture, &tokenizer, row.clone(), false);
        assert_eq!(
            learned(&tokenizer, &found).replace("<|im_start|>", ""),
            all,
            "{row}"
        );
    }
}

#[test]
fn targets_are_the_next_tokens_and_prompts_have_none() {
    let fixture = Fixture::new();
    let tokenizer = TextTokenizer::load(&fixture.tokenizer()).unwrap();
    let sample = sample(
        &fixture,
        &tokenizer,
        json!({"prompt": "pub fn", "completion": " x"}),
        true,
    );
    let (inputs, targets) = sample.shifted();
    assert_eq!(inputs, sample.tokens[..sample.tokens.len() - 1]);
    for (index, &target) in targets.iter().enumerate() {
        let next = if sample.learned[index + 1] {
            i64::from(sample.tokens[index + 1])
        } else {
            -100
        };
        assert_eq!(target, next);
    }
    assert_eq!(targets.last(), Some(&i64::from(tokenizer.end_of_text())));
    assert_eq!(targets[0], -100);
}

#[test]
fn special_tokens_come_first_and_text_comes_back() {
    let fixture = Fixture::new();
    let tokenizer = TextTokenizer::load(&fixture.tokenizer()).unwrap();
    assert_eq!((tokenizer.end_of_text(), tokenizer.padding()), (0, 1));
    assert_eq!(tokenizer.id_of("<|im_start|>"), Some(2));
    assert_eq!(tokenizer.vocabulary_size(), 300);
    for text in ["", " a\n\tb", "naïve → 漢字 🦀", "<|not special|>"] {
        assert_eq!(
            tokenizer.decode(&tokenizer.encode(text).unwrap()).unwrap(),
            text
        );
    }
}
