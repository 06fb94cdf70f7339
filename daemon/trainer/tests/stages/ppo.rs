//! `ppo`: repeated, killed, resumed, and what it refuses.

use std::collections::BTreeMap;
use std::fs;

use begat_schemas::EventBody;
use begat_trainer::stages::{Hooks, run};
use serde_json::{Value, json};

use crate::fixture::{
    ARCHITECTURES, Fixture, Stage, assert_same, checkpoints, events, fail, fingerprints,
    journal_text, prepare, succeed, tree,
};
use crate::killed::{start, wait_for_lines};
use crate::resumed::stopping_at;

/// The stage with pretraining texts mixed in.
fn with_pretraining(fixture: &Fixture, architecture: &str) -> Stage {
    let mut stage = fixture.ppo(architecture);
    stage.params["ptx_coef"] = json!(0.5);
    stage.params["ptx_batch_size"] = json!(3);
    stage.params["whiten_rewards"] = json!(true);
    stage.params["kl_estimator"] = json!("k3");
    stage.inputs.push(("pretraining", fixture.path("corpus")));
    stage
}

/// All metrics of each step, those of an update and of a rollout together, without what a clock says.
fn metrics(work: &std::path::Path) -> BTreeMap<u64, BTreeMap<String, f64>> {
    let mut found: BTreeMap<u64, BTreeMap<String, f64>> = BTreeMap::new();
    for event in events(work) {
        match event.body {
            EventBody::Resumed { from_step } => found.retain(|step, _| *step <= from_step),
            EventBody::Metrics { step, values, .. } => {
                let values = values.into_iter().map(|(name, value)| (name, value.0));
                let kept =
                    values.filter(|(name, _)| name != "eps" && !name.starts_with("seconds/"));
                found.entry(step).or_default().extend(kept);
            }
            _ => {}
        }
    }
    found
}

#[test]
fn threads_and_folders_do_not_change_a_bit() {
    let fixture = Fixture::new();
    for architecture in ARCHITECTURES {
        let mut expected = None;
        for threads in [1, 2, 4] {
            let mut stage = with_pretraining(&fixture, architecture);
            stage.execution["threads"] = json!(threads);
            stage.execution["gradient_checkpointing"] = json!(threads == 4);
            let work = fixture.path(&format!("{architecture}/{threads}/work"));
            let outcome = (succeed(&work, &stage), metrics(&work), fingerprints(&work));
            let (tree, metrics, steps) = expected.get_or_insert_with(|| outcome.clone());
            assert_same(tree, &outcome.0);
            assert_eq!((&*metrics, &*steps), (&outcome.1, &outcome.2));
        }
    }
}

#[test]
fn every_figure_of_trl_is_there_and_the_first_update_of_a_rollout_begins_at_ratio_1() {
    let fixture = Fixture::new();
    let work = fixture.path("figures");
    let files = succeed(&work, &with_pretraining(&fixture, "llama"));
    assert!(files.contains_key("model/model.safetensors"));
    let found = metrics(&work);
    assert_eq!(found.len(), 16);
    // Two epochs of two minibatches make a rollout.
    for step in [8, 12, 16] {
        for name in [
            "objective/kl",
            "objective/entropy",
            "objective/non_score_reward",
            "objective/rlhf_reward",
            "objective/scores",
            "policy/approxkl_avg",
            "policy/clipfrac_avg",
            "policy/entropy_avg",
            "loss/policy_avg",
            "loss/value_avg",
            "loss/ptx_avg",
            "val/clipfrac_avg",
            "val/ratio",
            "val/ratio_var",
            "val/num_eos_tokens",
            "completions/mean_length",
            "completions/unique",
            "lr",
            "value_lr",
            "episode",
            "kl_coef",
        ] {
            assert!(found[&step][name].is_finite(), "{step} {name}");
        }
        assert_eq!(found[&(step - 3)]["val/ratio_not_one"], 0.0);
        assert!(found[&step]["val/ratio_not_one"] > 0.0);
    }
    // The first rollout trains the value model alone; nothing has parted, so the next one has no divergence either.
    assert!(!found[&4].contains_key("loss/policy_avg"));
    assert_eq!(
        (found[&4]["objective/kl"], found[&8]["objective/kl"]),
        (0.0, 0.0)
    );
    assert!(found[&12]["objective/kl"] > 0.0);
    assert_eq!(found[&16]["episode"], 32.0);
    assert!(journal_text(&work).contains("\"eps\""));
}

#[test]
fn stopped_anywhere_and_resumed_it_ends_as_if_undisturbed() {
    let fixture = Fixture::new();
    for (architecture, mut stage) in [
        ("gpt2", fixture.ppo("gpt2")),
        ("llama", with_pretraining(&fixture, "llama")),
    ] {
        stage.execution["save_steps"] = json!(0);
        let whole = fixture.path(&format!("{architecture}-whole"));
        let expected = succeed(&whole, &stage);
        let steps = metrics(&whole);
        // In the value model's own rollout, in the first of both, in an epoch's middle, and at a rollout's end.
        for (step, kept) in [(1, 4), (4, 4), (5, 8), (10, 12), (12, 12)] {
            let work = fixture.path(&format!("{architecture}-{step}"));
            prepare(&work, &stage, None);
            assert_eq!(run(&work, &stopping_at(step)), 75);
            assert_eq!(checkpoints(&work), [kept]);
            prepare(&work, &stage, Some(kept));
            assert_eq!(run(&work, &Hooks::default()), 0, "{}", journal_text(&work));
            assert_same(&expected, &tree(&work.join("outputs")));
            assert_eq!(steps, metrics(&work));
        }
    }
}

#[test]
fn killed_again_and_again_it_ends_as_if_undisturbed() {
    let fixture = Fixture::new();
    let mut stage = with_pretraining(&fixture, "llama");
    stage.params["total_episodes"] = json!(64);
    let whole = fixture.path("whole");
    let expected = succeed(&whole, &stage);
    let work = fixture.path("killed");
    // Lines of the journal come with each update, so these end in rollouts, between updates and at checkpoints.
    for (round, lines) in [1, 2, 4, 5, 6, 7, 8, 9, 11, 13].into_iter().enumerate() {
        prepare(&work, &stage, checkpoints(&work).last().copied());
        let mut child = start(&work);
        wait_for_lines(&work, &mut child, lines);
        // A little later each time, so that passes and accumulations are met and not only what follows a line.
        std::thread::sleep(std::time::Duration::from_millis(3 * round as u64));
        let _ = child.kill();
        child.wait().unwrap();
    }
    prepare(&work, &stage, checkpoints(&work).last().copied());
    let ended = start(&work).wait().unwrap();
    assert!(ended.success(), "{}", journal_text(&work));
    assert_same(&expected, &tree(&work.join("outputs")));
    assert_eq!(metrics(&whole), metrics(&work));
}

#[test]
fn the_policy_learns_what_is_paid() {
    let fixture = Fixture::new();
    let mut stage = fixture.ppo("llama");
    // A penalty for a missing end is easily avoided: the policy must learn to end.
    for (name, value) in [
        ("total_episodes", json!(512)),
        ("rollout_batch_size", json!(32)),
        ("gradient_accumulation_steps", json!(8)),
        ("adaptive_kl", Value::Null),
        ("missing_eos_penalty", json!(4.0)),
        ("learning_rate", json!(5e-3)),
        ("kl_coef", json!(0.01)),
    ] {
        stage.params[name] = value;
    }
    let work = fixture.path("learns");
    succeed(&work, &stage);
    let found = metrics(&work);
    let series = |name: &str| -> Vec<f64> {
        found
            .values()
            .filter_map(|values| values.get(name).copied())
            .collect()
    };
    let (ends, scores) = (series("val/num_eos_tokens"), series("objective/scores"));
    assert_eq!(ends.len(), 16);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!(mean(&ends[12..]) > mean(&ends[..4]) + 4.0, "{ends:?}");
    assert!(mean(&scores[12..]) > mean(&scores[..4]) + 0.5, "{scores:?}");
    let losses = series("loss/value_avg");
    assert!(mean(&losses[12..]) < losses[0], "{losses:?}");
}

#[test]
fn a_divergence_that_explodes_ends_the_stage() {
    let fixture = Fixture::new();
    let mut stage = fixture.ppo("gpt2");
    stage.params["max_kl"] = json!(0.01);
    stage.params["learning_rate"] = json!(0.05);
    // With no checkpoint to keep, the first rollout after the policy's first updates is what tells.
    stage.execution["save_steps"] = json!(0);
    let work = fixture.path("exploded");
    let (reason, step) = fail(&work, &stage);
    assert_eq!(step, Some(8));
    assert!(
        reason.starts_with("the divergence from the reference is ")
            && reason.contains(
                " nats a sequence, above max_kl = 0.01, at step 8; its batch: train.jsonl:"
            ),
        "{reason}"
    );
    let last = metrics(&work).pop_last().unwrap().1;
    assert!(last["objective/kl"] > 0.01, "{last:?}");
    assert!(!work.join("outputs/model").exists());
}

#[test]
fn a_policy_that_ran_away_is_kept_neither_as_a_checkpoint_nor_as_the_result() {
    let fixture = Fixture::new();
    for (name, save_steps, rollouts) in [("checkpoint", 1, 4), ("result", 0, 2)] {
        let mut stage = fixture.ppo("llama");
        stage.params["max_kl"] = json!(0.01);
        stage.params["learning_rate"] = json!(0.05);
        stage.params["total_episodes"] = json!(8 * rollouts);
        stage.execution["save_steps"] = json!(save_steps);
        let work = fixture.path(name);
        let (reason, step) = fail(&work, &stage);
        assert_eq!(step, Some(8));
        assert!(
            reason.starts_with(
                "the divergence of the policy from what it was before this rollout's updates is "
            ),
            "{reason}"
        );
        let expected: &[u64] = if save_steps > 0 { &[4] } else { &[] };
        assert_eq!(checkpoints(&work), expected, "what was good is kept");
        assert!(!work.join("outputs/model").exists());
    }
}

#[test]
fn a_reward_that_is_no_number_names_the_prompts_row() {
    let fixture = Fixture::new();
    let stage = fixture.ppo("llama");
    let folder = &stage.inputs[1].1;
    fs::write(
        folder.join("reward_normalization.json"),
        r#"{"mean": 0.0, "std": 1e-320}"#,
    )
    .unwrap();
    let (reason, _) = fail(&fixture.path("no-number"), &stage);
    assert!(
        reason.starts_with("train.jsonl:")
            && reason.contains(": its reward is ")
            && reason.contains("inf"),
        "{reason}"
    );
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let fixture = Fixture::new();
    let reason = |name: &str, stage: &Stage| fail(&fixture.path(name), stage).0;
    let stage = fixture.ppo("gpt2");
    for (name, input, folder, expected) in [
        (
            "1",
            0,
            fixture.reward_model("gpt2"),
            "input `policy`: expected a language model, found a reward model, which gives scores and no tokens",
        ),
        (
            "2",
            1,
            fixture.model("gpt2"),
            "input `reward_model`: expected a reward model (…ForSequenceClassification with one label), found a language model",
        ),
    ] {
        let mut swapped = stage.clone();
        swapped.inputs[input].1 = folder;
        assert_eq!(reason(name, &swapped), expected);
    }
    let mut long = stage.clone();
    long.params["response_length"] = json!(96);
    assert_eq!(
        reason("3", &long),
        "parameter response_length: expected less than the 96 positions of policy and reward model, found 96"
    );
    let mut long = stage.clone();
    long.params["response_length"] = json!(90);
    assert_eq!(
        reason("4", &long),
        "dataset `prompts`: no prompt of 1 to 6 tokens; expected at least one"
    );
    let mut texts = stage.clone();
    texts.inputs[2].1 = fixture.path("corpus");
    assert_eq!(
        reason("5", &texts),
        "train.jsonl:1: no field `prompt` to complete; it has `text`"
    );
    let path = fixture.reward_model("gpt2").join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    tokenizer["model"]["merges"]
        .as_array_mut()
        .unwrap()
        .swap(0, 1);
    fs::write(&path, tokenizer.to_string()).unwrap();
    let tokenizers = reason("6", &stage);
    assert!(
        tokenizers.starts_with("input `reward_model`: its tokenizer has digest ")
            && tokenizers.ends_with("; both must be the same"),
        "{tokenizers}"
    );
}

#[test]
fn prompts_that_cannot_be_completed_are_left_out_and_counted() {
    let fixture = Fixture::new();
    let mut stage = fixture.ppo("llama");
    let times = [1, 2, 60, 1, 0, 2];
    let rows = times.map(|times| json!({"prompt": "pub fn get ".repeat(times)}));
    stage.inputs[2].1 = fixture.dataset("mixed", "train", rows.into_iter());
    let work = fixture.path("mixed-work");
    succeed(&work, &stage);
    assert!(
        journal_text(&work)
            .contains("prompts: 2 rows dropped, whose prompt has no token, or more than the 86 "),
        "{}",
        journal_text(&work)
    );
}
