use std::path::Path;
use std::sync::Arc;

use begat_schemas::Strength;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{Error, Place};

fn row(fields: Value) -> Row {
    let Value::Object(fields) = fields else {
        panic!("rows are objects")
    };
    Row {
        place: Place {
            file: Arc::from(Path::new("d.jsonl")),
            number: 7,
        },
        fields,
        odd: Vec::new(),
        line_start: None,
    }
}

fn parse(fields: Value) -> Example {
    Example::parse(&row(fields)).unwrap()
}

fn preference(fields: Value) -> Preference {
    match Example::read(&row(fields), DataPurpose::Dpo).unwrap() {
        Example::Preference(preference) => preference,
        other => panic!("{other:?}"),
    }
}

/// Kind and sentence of the error that a row gives.
fn check_refused(purpose: DataPurpose, fields: Value, kind: &str, sentence: &str) {
    match Example::read(&row(fields), purpose).unwrap_err() {
        Error::Row(error) => {
            assert_eq!(error.to_string(), format!("d.jsonl:7: {sentence}"));
            assert_eq!(error.problem.kind(), kind, "{sentence}");
        }
        other => panic!("{other}"),
    }
}

fn says(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

fn asks(content: &str) -> Value {
    json!([says("user", content)])
}

fn answers(content: &str) -> Value {
    json!([says("assistant", content)])
}

fn text(content: &str) -> Content {
    Content::Text(content.to_owned())
}

#[test]
fn every_form_is_told_by_its_fields() {
    let talk = json!([says("user", "q"), says("assistant", "a")]);
    let other = json!([says("user", "q"), says("assistant", "b")]);
    for (fields, form) in [
        (json!({"text": "a"}), "text"),
        (json!({"messages": talk}), "messages"),
        (json!({"prompt": "q"}), "prompt"),
        (json!({"prompt": asks("q")}), "prompt_conversational"),
        (
            json!({"prompt": "q", "completion": "a"}),
            "prompt_completion",
        ),
        (
            json!({"prompt": asks("q"), "completion": answers("a")}),
            "prompt_completion_conversational",
        ),
        (
            json!({"prompt": "q", "chosen": "a", "rejected": "b"}),
            "preference",
        ),
        (
            json!({"chosen": "q a", "rejected": "q b"}),
            "preference_implicit",
        ),
        (
            json!({"prompt": asks("q"), "chosen": answers("a"), "rejected": answers("b")}),
            "preference_conversational",
        ),
        (
            json!({"chosen": talk, "rejected": other}),
            "preference_implicit_conversational",
        ),
        (
            json!({"prompt": "q", "chosen": talk, "rejected": other}),
            "preference_implicit_conversational",
        ),
        (
            json!({"prompt": "q", "responses": ["a", "b", "c"], "score": 7}),
            "ranking",
        ),
        (
            json!({"prompt": asks("q"), "responses": [answers("a"), answers("b")]}),
            "ranking_conversational",
        ),
    ] {
        assert_eq!(parse(fields.clone()).form(), form, "{fields}");
    }
}

#[test]
fn what_a_purpose_has_no_use_for_is_left_alone() {
    let fields = json!({"prompt": "q", "completion": "a", "chosen": "same", "rejected": "same", "text": "t", "responses": 7});
    for (purpose, form) in [
        (DataPurpose::Pretrain, "text"),
        (DataPurpose::Sft, "prompt_completion"),
        (DataPurpose::Evaluate, "prompt_completion"),
        (DataPurpose::Ppo, "prompt"),
        (DataPurpose::Annotate, "prompt"),
        (DataPurpose::RejectionSampling, "prompt"),
    ] {
        let example = Example::read(&row(fields.clone()), purpose).unwrap();
        assert_eq!(example.form(), form);
    }
}

#[test]
fn a_preference_has_what_its_row_says() {
    let found = preference(
        json!({"prompt": "q", "chosen": "a", "rejected": "b", "strength": "slightly", "margin": 2}),
    );
    assert_eq!(
        (found.strength, found.margin),
        (Some(Strength::Slightly), Some(2.0))
    );
    let pairs = found.pairs();
    assert_eq!(pairs.len(), 1);
    assert_eq!((pairs[0].better, pairs[0].worse), (&text("a"), &text("b")));
    assert_eq!(
        (pairs[0].strength, pairs[0].margin),
        (Some(Strength::Slightly), Some(2.0))
    );
}

#[test]
fn an_edit_is_above_what_was_edited() {
    let found = preference(
        json!({"chosen": "q: a1", "rejected": "q: a2", "edited": "q: b", "strength": "better"}),
    );
    assert_eq!(found.prompt, text("q:"));
    let pairs: Vec<_> = found
        .pairs()
        .iter()
        .map(|pair| {
            (
                pair.better.clone(),
                pair.worse.clone(),
                pair.origin,
                pair.strength,
            )
        })
        .collect();
    assert_eq!(
        pairs,
        [
            (
                text(" a1"),
                text(" a2"),
                Origin::Answer,
                Some(Strength::Better)
            ),
            (text(" b"), text(" a1"), Origin::Edit, None),
        ]
    );
}

#[test]
fn a_conversations_prompt_is_its_common_messages() {
    let chosen = json!([
        says("system", "s"),
        says("user", "q"),
        says("assistant", "a")
    ]);
    let rejected = json!([
        says("system", "s"),
        says("user", "q"),
        says("assistant", "b")
    ]);
    let found = preference(json!({"chosen": chosen, "rejected": rejected}));
    assert_eq!(found.prompt.messages().unwrap().len(), 2);
    assert_eq!(
        found.chosen,
        Content::Messages(vec![Message {
            role: Role::Assistant,
            content: "a".to_owned(),
            more: serde_json::Map::new()
        }])
    );
}

#[test]
fn a_ranking_gives_all_pairs() {
    let example =
        parse(json!({"prompt": "q", "responses": ["a", "b", "c"], "scores": [3, 0.5, -1]}));
    let pairs: Vec<_> = example
        .pairs()
        .iter()
        .map(|pair| {
            format!(
                "{}>{}",
                pair.better.text().unwrap(),
                pair.worse.text().unwrap()
            )
        })
        .collect();
    assert_eq!(pairs, ["a>b", "a>c", "b>c"]);
}

#[test]
fn messages_keep_what_templates_may_want() {
    let message = json!({"role": "assistant", "content": "a", "name": "bot", "tool_calls": null});
    let Example::Messages(messages) = parse(json!({"messages": [message]})) else {
        panic!("no messages")
    };
    let back = serde_json::to_value(&messages).unwrap();
    assert_eq!(
        back,
        json!([{"role": "assistant", "content": "a", "name": "bot"}])
    );
}

#[test]
fn preferences_that_say_nothing_are_refused() {
    let dpo = |fields, kind, sentence| check_refused(DataPurpose::Dpo, fields, kind, sentence);
    dpo(
        json!({"prompt": "q", "chosen": "a", "rejected": "a"}),
        "equal-answers",
        "field `rejected`: equal to `chosen`; expected another answer",
    );
    dpo(
        json!({"chosen": "q a", "rejected": "q a"}),
        "equal-answers",
        "field `rejected`: equal to `chosen`; expected another answer",
    );
    dpo(
        json!({"prompt": "q", "chosen": "a", "rejected": "b", "edited": "b"}),
        "equal-answers",
        "field `edited`: equal to `rejected`; expected another answer",
    );
    dpo(
        json!({"prompt": "q", "chosen": "a", "rejected": "b", "edited": "a"}),
        "equal-answers",
        "field `edited`: equal to `chosen`; expected another answer",
    );
    dpo(
        json!({"prompt": "q", "chosen": "a", "rejected": ""}),
        "empty-completion",
        "field `rejected`: empty; expected an answer",
    );
    dpo(
        json!({"prompt": asks("q"), "chosen": answers(""), "rejected": answers("b")}),
        "empty-completion",
        "field `chosen`: empty; expected an answer",
    );
    dpo(
        json!({"prompt": "", "chosen": "a", "rejected": "b"}),
        "empty-prompt",
        "field `prompt`: empty; expected a prompt",
    );
    dpo(
        json!({"chosen": "a", "rejected": "b"}),
        "no-common-prompt",
        "no common beginning of the answers, and no `prompt`; expected one of them",
    );
    dpo(
        json!({"prompt": "q", "chosen": "a"}),
        "missing-field",
        "no field `rejected`; it has `chosen`, `prompt`",
    );
}

#[test]
fn preferences_of_other_types_are_refused() {
    let dpo = |fields, kind, sentence| check_refused(DataPurpose::Dpo, fields, kind, sentence);
    dpo(
        json!({"prompt": "q", "chosen": 7, "rejected": "b"}),
        "wrong-type",
        "field `chosen`: expected a text or a list of messages, found a number",
    );
    dpo(
        json!({"prompt": "q", "chosen": "a", "rejected": answers("b")}),
        "wrong-type",
        "field `rejected`: expected a text as in `chosen`, found a list of messages",
    );
    dpo(
        json!({"prompt": asks("q"), "chosen": "a", "rejected": "b"}),
        "wrong-type",
        "field `prompt`: expected a text as in `chosen`, found a list of messages",
    );
    dpo(
        json!({"prompt": "q", "chosen": "a", "rejected": "b", "margin": "1"}),
        "wrong-type",
        "field `margin`: expected a number, found a text",
    );
    dpo(
        json!({"prompt": "q", "chosen": "a", "rejected": "b", "strength": 1}),
        "wrong-type",
        "field `strength`: expected a text, found a number",
    );
    dpo(
        json!({"prompt": "q", "chosen": "a", "rejected": "b", "strength": "beter"}),
        "unknown-strength",
        "field `strength`: unknown strength \"beter\"; expected one of significantly, better, slightly, negligibly; did you mean \"better\"?",
    );
}

#[test]
fn conversations_that_are_none_are_refused() {
    let sft = |fields, kind, sentence| check_refused(DataPurpose::Sft, fields, kind, sentence);
    sft(
        json!({"messages": [says("usr", "q")]}),
        "unknown-role",
        "field `messages[0].role`: unknown role \"usr\"; expected system, developer, user, assistant or tool; did you mean \"user\"?",
    );
    sft(
        json!({"messages": [says("user", "q"), {"role": "assistant", "content": ["a"]}]}),
        "wrong-type",
        "field `messages[1].content`: expected a text, found a list",
    );
    sft(
        json!({"messages": [{"content": "q"}]}),
        "wrong-type",
        "field `messages[0].role`: expected a text, found null",
    );
    sft(
        json!({"messages": ["q"]}),
        "wrong-type",
        "field `messages[0]`: expected a message with `role` and `content`, found a text",
    );
    sft(
        json!({"messages": []}),
        "no-messages",
        "field `messages`: expected at least one message, found none",
    );
    sft(
        json!({"messages": "q"}),
        "wrong-type",
        "field `messages`: expected a list of messages, found a text",
    );
    sft(
        json!({"prompt": asks("q"), "completion": asks("more")}),
        "not-an-answer",
        "field `completion`: the last message has role `user`; expected `assistant`",
    );
}

#[test]
fn lessons_without_an_answer_are_refused() {
    let sft = |fields, kind, sentence| check_refused(DataPurpose::Sft, fields, kind, sentence);
    sft(
        json!({"prompt": "q", "completion": ""}),
        "empty-completion",
        "field `completion`: empty; expected an answer",
    );
    sft(
        json!({"prompt": "q"}),
        "missing-field",
        "no field `completion`; it has `prompt`",
    );
    sft(
        json!({"prompt": "q", "completion": answers("a")}),
        "wrong-type",
        "field `completion`: expected a text as in `prompt`, found a list of messages",
    );
    sft(
        json!({"chosen": "a"}),
        "missing-field",
        "expected `prompt` and `completion`, `messages`, or `text`; it has `chosen`",
    );
    check_refused(
        DataPurpose::Pretrain,
        json!({"prompt": "q"}),
        "missing-field",
        "no field `text`; it has `prompt`",
    );
    check_refused(
        DataPurpose::Ppo,
        json!({"prompt": null}),
        "missing-field",
        "no field `prompt`; it has `prompt`",
    );
}

#[test]
fn rankings_that_rank_nothing_are_refused() {
    let reward =
        |fields, kind, sentence| check_refused(DataPurpose::Reward, fields, kind, sentence);
    reward(
        json!({"prompt": "q", "responses": ["a"]}),
        "one-response",
        "field `responses`: 1 response; expected at least 2, the best first",
    );
    reward(
        json!({"prompt": "q", "responses": []}),
        "one-response",
        "field `responses`: 0 responses; expected at least 2, the best first",
    );
    reward(
        json!({"prompt": "q", "responses": ["a", "b", "a"]}),
        "tie",
        "field `responses[2]`: a tie with `responses[0]`; expected responses that differ, the best first",
    );
    reward(
        json!({"prompt": "q", "responses": ["a", "b"], "scores": [1, 1.0]}),
        "tie",
        "field `scores[1]`: a tie with `scores[0]`; expected responses that differ, the best first",
    );
    reward(
        json!({"prompt": "q", "responses": ["a", "b"], "scores": [1, 2]}),
        "wrong-order",
        "field `scores[1]`: above `scores[0]`; expected scores from best to worst",
    );
    reward(
        json!({"prompt": "q", "responses": ["a", "b"], "scores": [1]}),
        "score-count",
        "field `scores`: 1 scores of 2 responses; expected one of each",
    );
    reward(
        json!({"prompt": "q", "responses": vec!["a"; 257]}),
        "too-many-responses",
        "field `responses`: 257 responses; expected at most 256",
    );
    reward(
        json!({"prompt": "q", "responses": ["a", ""]}),
        "empty-completion",
        "field `responses[1]`: empty; expected an answer",
    );
    reward(
        json!({"prompt": "q", "responses": ["a", "b"], "chosen": "a"}),
        "two-forms",
        "both `chosen` and `responses`; expected one of them",
    );
    reward(
        json!({"prompt": "q"}),
        "missing-field",
        "expected `chosen` and `rejected`, or `responses`; it has `prompt`",
    );
}

/// Any JSON, with the names that rows have.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c ]{0,3}".prop_map(Value::from),
        prop_oneof!["user", "assistant", "better"].prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            (inner.clone(), inner)
                .prop_map(|(role, content)| json!({"role": role, "content": content})),
        ]
    })
}

proptest! {
    #[test]
    fn any_row_is_an_example_that_keeps_its_promises_or_an_error_that_says_where(
        fields in proptest::collection::btree_map(
            prop_oneof!["text", "messages", "prompt", "completion", "chosen", "rejected", "edited", "strength", "margin", "responses", "scores"],
            values(),
            0..6,
        ),
    ) {
        let row = row(Value::Object(fields.into_iter().collect()));
        for purpose in DataPurpose::ALL {
            match Example::read(&row, purpose) {
                Ok(example) => for pair in example.pairs() {
                    prop_assert!(pair.better != pair.worse);
                    prop_assert!(!pair.better.is_empty() && !pair.worse.is_empty());
                    prop_assert!(!example.own_prompt().unwrap().is_empty());
                },
                Err(error) => prop_assert!(error.to_string().starts_with("d.jsonl:7: ")),
            }
        }
    }

    #[test]
    fn an_implicit_prompt_and_its_answers_make_the_row_again(prompt in "[ab ]{1,5}", chosen in "[ab ]{1,5}", rejected in "[ab ]{1,5}") {
        let (chosen, rejected) = (format!("{prompt}{chosen}"), format!("{prompt}{rejected}"));
        let row = row(json!({"chosen": chosen, "rejected": rejected}));
        if let Ok(Example::Preference(found)) = Example::parse(&row) {
            let begin = found.prompt.text().unwrap().to_owned();
            prop_assert_eq!(begin.clone() + found.chosen.text().unwrap(), chosen);
            prop_assert_eq!(begin + found.rejected.text().unwrap(), rejected);
        }
    }
}
