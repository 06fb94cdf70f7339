//! `model_average`, and `sft` with more rows.

use begat_trainer::{Device, Model};
use serde_json::{Value, json};

use crate::fixture::{
    ARCHITECTURES, Fixture, Stage, assert_same, fail, fingerprints, succeed, tree,
};

fn average(inputs: Vec<(&'static str, std::path::PathBuf)>, params: Value) -> Stage {
    Stage {
        kind: "model_average",
        params,
        inputs,
        execution: json!({}),
    }
}

/// Every number of every parameter.
fn numbers(folder: &std::path::Path) -> Vec<f32> {
    let model = Model::load(folder, Device::Cpu).unwrap();
    let parameters = model.parameters().iter();
    parameters
        .flat_map(|(_, tensor)| begat_trainer::tensors::floats(tensor).unwrap())
        .collect()
}

#[test]
fn the_mean_is_that_of_every_number() {
    let fixture = Fixture::new();
    for architecture in ARCHITECTURES {
        let one = fixture.model(architecture);
        let work = fixture.path(&format!("sft-{architecture}"));
        succeed(&work, &fixture.sft(architecture));
        let other = work.join("outputs/model");
        let inputs = || vec![("b", one.clone()), ("a", other.clone())];
        let mean = fixture.path(&format!("mean-{architecture}"));
        let mut stage = average(inputs(), json!({}));
        stage.execution["threads"] = json!(1);
        let first = succeed(&mean, &stage);
        stage.execution["threads"] = json!(4);
        let again = succeed(&fixture.path(&format!("again-{architecture}")), &stage);
        assert_same(&first, &again);
        let weighted = fixture.path(&format!("weighted-{architecture}"));
        succeed(
            &weighted,
            &average(inputs(), json!({"weights": {"a": 3, "b": 1}})),
        );
        let (of_a, of_b) = (numbers(&other), numbers(&one));
        for (folder, weight) in [(mean, 0.5), (weighted, 0.75)] {
            let found = numbers(&folder.join("outputs/model"));
            assert_eq!(found.len(), of_a.len());
            for ((&a, &b), &found) in of_a.iter().zip(&of_b).zip(&found) {
                let expected = f64::from(a) * weight + f64::from(b) * (1.0 - weight);
                assert_eq!(found, expected as f32);
            }
        }
        // Of one and the same checkpoint it is that checkpoint, its tokenizer included.
        let same = fixture.path(&format!("same-{architecture}"));
        succeed(
            &same,
            &average(vec![("a", one.clone()), ("b", one.clone())], json!({})),
        );
        assert_same(&tree(&one), &tree(&same.join("outputs/model")));
    }
}

#[test]
fn reward_models_keep_a_shift_and_a_scale() {
    let fixture = Fixture::new();
    let one = fixture.reward_model("llama");
    let work = fixture.path("other");
    std::fs::create_dir_all(&work).unwrap();
    for entry in std::fs::read_dir(&one).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), work.join(entry.file_name())).unwrap();
    }
    std::fs::write(
        work.join("reward_normalization.json"),
        "{\"mean\": 0.75, \"std\": 1.5}",
    )
    .unwrap();
    let inputs = vec![("a", one), ("b", work)];
    let files = succeed(
        &fixture.path("mean"),
        &average(inputs, json!({"of": "reward_model"})),
    );
    let found: Value =
        serde_json::from_slice(&files["reward_model/reward_normalization.json"]).unwrap();
    assert_eq!(found, json!({"mean": 0.5, "std": 1.0}));
}

#[test]
fn what_cannot_be_averaged_is_named() {
    let fixture = Fixture::new();
    let (gpt2, llama) = (fixture.model("gpt2"), fixture.model("llama"));
    let reason = |name: &str, inputs, params| fail(&fixture.path(name), &average(inputs, params)).0;
    let found = reason(
        "shapes",
        vec![("a", gpt2.clone()), ("b", llama.clone())],
        json!({}),
    );
    assert_eq!(
        found,
        "input `b`: it has no tensor `transformer.wte.weight`, but `a` has"
    );
    let reward_model = fixture.reward_model("llama");
    let found = reason(
        "heads",
        vec![("a", llama.clone()), ("b", reward_model)],
        json!({}),
    );
    assert!(
        found.starts_with("input `b`: expected a language model, found a reward model"),
        "{found}"
    );
    let other = Fixture::new();
    other.dataset(
        "corpus",
        "train",
        (0..60).map(|i| json!({"text": format!("other words {i} ").repeat(9)})),
    );
    let found = reason(
        "tokenizers",
        vec![("a", llama), ("b", other.model("llama"))],
        json!({}),
    );
    assert!(
        found.starts_with("input `b`: its tokenizer has digest "),
        "{found}"
    );
}

#[test]
fn more_rows_are_trained_on_as_well() {
    let fixture = Fixture::new();
    let mut stage = fixture.sft("llama");
    stage.params["group_by_length"] = json!(false);
    let row = |i: usize| json!({"prompt": format!("/// More {i}.\npub fn"), "completion": " more(&self)", "append_end": i.is_multiple_of(2)});
    stage.inputs.push((
        "more",
        fixture.dataset("further", "train", (0..20).map(row)),
    ));
    succeed(&fixture.path("more"), &stage);
    assert_eq!(
        fingerprints(&fixture.path("more")).len(),
        2 * 65usize.div_ceil(8)
    );
    let bad = |i: usize| {
        if i == 3 {
            json!({"prompt": "x"})
        } else {
            row(i)
        }
    };
    fixture.dataset("further", "train", (0..20).map(bad));
    let (reason, _) = fail(&fixture.path("bad"), &stage);
    assert_eq!(
        reason,
        "more/train.jsonl:4: no field `completion`; it has `prompt`"
    );
}
