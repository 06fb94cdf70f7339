//! Losses, gradients, PPO's arithmetic, a whole optimizer step and greedy completions against what TRL 1.16.0, 1.12.0 and 0.27.2
//! and transformers 5.24.0 found for small random models. Each folder of `goldens/trl` names its source; all are renewed by
//! `bash daemon/trainer/parity/run.sh goldens daemon/trainer/goldens`.
#![allow(clippy::unwrap_used)]

#[path = "../examples/parity/compute/mod.rs"]
mod compute;

use begat_trainer::{Kind, Tensor};
use std::path::{Path, PathBuf};

/// Largest max|a − b| / max|b| of a tensor.
const LIMIT: f64 = 1e-5;

fn difference(ours: &Tensor, theirs: &Tensor) -> f64 {
    assert_eq!(ours.size(), theirs.size());
    let largest = |tensor: Tensor| f64::try_from(tensor.abs().max()).unwrap();
    let [ours, theirs] = [ours, theirs].map(|tensor| tensor.to_kind(Kind::Double));
    largest(&ours - &theirs) / largest(theirs).max(f64::MIN_POSITIVE)
}

fn check_case(folder: &Path) {
    let ours = compute::compute(folder).unwrap();
    for (name, theirs) in Tensor::read_safetensors(folder.join("theirs.safetensors")).unwrap() {
        if name.starts_with("input.") {
            continue;
        }
        let found = ours.iter().find(|(found, _)| *found == name);
        let (_, found) = found.unwrap_or_else(|| panic!("{}: no {name}", folder.display()));
        let difference = difference(found, &theirs);
        assert!(
            difference <= LIMIT,
            "{}: {name} differs by {difference:e}: {found} against {theirs}",
            folder.display()
        );
    }
}

/// Every case whose name begins so; there are `count`.
fn check(prefix: &str, count: usize) {
    let goldens = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("goldens/trl");
    let folders = std::fs::read_dir(goldens).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path());
    let begins = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with(prefix)
    };
    let chosen: Vec<PathBuf> = folders.filter(begins).collect();
    assert_eq!(chosen.len(), count, "{chosen:?}");
    chosen.iter().for_each(|folder| check_case(folder));
}

/// TRL 1.16.0's `RewardTrainer`, with margins and centring.
#[test]
fn reward_models() {
    check("reward", 1);
}

/// TRL 1.16.0's `DPOTrainer` with the cross-entropy of chosen answers, and TRL 0.27.2's with label smoothing.
#[test]
fn direct_preference_optimization() {
    check("dpo", 2);
}

/// One step of TRL 1.16.0's `SFTTrainer` in float64: loss, clipped gradients, parameters.
#[test]
fn an_optimizer_step() {
    check("sft", 1);
}

/// TRL 1.12.0's `PPOTrainer`: a rollout with k1, and one with k3, whitened rewards, a penalty and a discount; and the second
/// update of each, where ratios are clipped.
#[test]
fn proximal_policy_optimization() {
    check("ppo", 4);
}

/// transformers' `generate` on a padded batch of mixed lengths.
#[test]
fn greedy_completions() {
    check("generate", 2);
}
