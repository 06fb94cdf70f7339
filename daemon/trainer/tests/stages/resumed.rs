//! Stopped at a step and resumed, or disturbed.

use begat_schemas::EventBody;
use begat_trainer::contract::StopFlag;
use begat_trainer::stages::{Hooks, run};
use serde_json::json;

use crate::fixture::{
    ARCHITECTURES, Fixture, Stage, assert_same, checkpoints, events, fingerprints, prepare,
    succeed, tree,
};

/// Hooks that ask the stage to stop after a step.
pub(crate) fn stopping_at(step: u64) -> Hooks {
    let stop = StopFlag::default();
    let own = stop.clone();
    Hooks {
        stop,
        after_update: Box::new(move |now, _| {
            if now == step {
                own.set();
            }
        }),
    }
}

fn check(fixture: &Fixture, name: &str, stage: &Stage) {
    let undisturbed = fixture.path(&format!("{name}-undisturbed"));
    let expected = succeed(&undisturbed, stage);
    let steps = fingerprints(&undisturbed);
    for step in 1..steps.len() as u64 {
        let work = fixture.path(&format!("{name}-{step}"));
        prepare(&work, stage, None);
        assert_eq!(run(&work, &stopping_at(step)), 75);
        assert_eq!(checkpoints(&work).last(), Some(&step));
        assert!(!work.join("outputs/model").exists());
        prepare(&work, stage, Some(step));
        assert_eq!(run(&work, &Hooks::default()), 0);
        assert_same(&expected, &tree(&work.join("outputs")));
        assert_eq!(steps, fingerprints(&work));
    }
}

#[test]
fn resumed_at_any_step_it_ends_as_if_undisturbed() {
    let fixture = Fixture::new();
    for architecture in ARCHITECTURES {
        check(
            &fixture,
            &format!("pretrain-{architecture}"),
            &fixture.pretrain(architecture),
        );
    }
    check(&fixture, "sft", &fixture.sft("llama"));
}

#[test]
fn checkpoints_are_models_and_only_the_last_two_stay() {
    let fixture = Fixture::new();
    let mut stage = fixture.pretrain("gpt2");
    // A recipe that keeps checkpoints waits for each, so none is left out here.
    stage.execution["keep"] = json!({"every": 6});
    let work = fixture.path("kept");
    succeed(&work, &stage);
    assert_eq!(checkpoints(&work), [6, 10, 12]);
    let last = tree(&work.join("checkpoints/12/model"));
    let model = tree(&work.join("outputs/model"));
    assert_same(&last, &model);
    let digests: Vec<u64> = events(&work)
        .into_iter()
        .filter_map(|event| match event.body {
            EventBody::Checkpoint { step, parameters } => parameters.map(|_| step),
            _ => None,
        })
        .collect();
    assert_eq!(digests, [2, 4, 6, 8, 10, 12]);
}

#[test]
fn a_checkpoint_that_is_not_there_or_was_changed_is_refused() {
    let fixture = Fixture::new();
    let stage = fixture.pretrain("gpt2");
    let work = fixture.path("changed");
    prepare(&work, &stage, None);
    assert_eq!(run(&work, &stopping_at(4)), 75);
    prepare(&work, &stage, Some(9));
    assert_eq!(run(&work, &Hooks::default()), 1);
    let failed = |work: &std::path::Path| match events(work).pop().unwrap().body {
        EventBody::Failed { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    let reason = failed(&work);
    assert!(
        reason.contains("no such checkpoint; there are [") && reason.contains("4]"),
        "{reason}"
    );
    let file = work.join("checkpoints/4/model/model.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    prepare(&work, &stage, Some(4));
    assert_eq!(run(&work, &Hooks::default()), 1);
    let reason = failed(&work);
    assert!(reason.contains("parameters have digest"), "{reason}");
}

#[test]
fn a_disturbed_update_shows_in_the_fingerprints_from_its_step_on() {
    let fixture = Fixture::new();
    let stage = fixture.pretrain("llama");
    let expected = succeed(&fixture.path("as-it-is"), &stage);
    let work = fixture.path("disturbed");
    prepare(&work, &stage, None);
    let hooks = Hooks {
        after_update: Box::new(|step, model| {
            if step == 5 {
                let _guard = tch::no_grad_guard();
                let _ = model.parameters()[0]
                    .1
                    .detach()
                    .view([-1])
                    .narrow(0, 0, 1)
                    .f_add_scalar_(1e-3)
                    .unwrap();
            }
        }),
        ..Hooks::default()
    };
    assert_eq!(run(&work, &hooks), 0);
    let (one, other) = (fingerprints(&fixture.path("as-it-is")), fingerprints(&work));
    let first = one
        .iter()
        .find(|(step, value)| other[step] != **value)
        .map(|(step, _)| *step);
    assert!(first.is_some_and(|step| step >= 6), "{first:?}");
    assert_ne!(
        expected["model/model.safetensors"],
        tree(&work.join("outputs"))["model/model.safetensors"]
    );
}
