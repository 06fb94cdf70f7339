//! `kill -9` of a stage: it goes on from its last checkpoint by itself, and nobody can tell from the result.

use begat_tests::{Home, add_test_data, kills};

/// Kills each of `stages` ten times in a recipe that `longer` changes so that a stage lasts long enough to be met.
fn kill(recipe: &str, longer: &[&str], stages: &[&str], seed: u64) {
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    let mut launch = vec!["launch", recipe];
    launch.extend(longer.iter().flat_map(|change| ["--set", change]));
    for (stage, seed) in stages.iter().zip(seed..) {
        kills::at_random_moments(&home.cli(), &launch, stage, 10, seed);
    }
}

#[test]
fn pretrain_killed_at_ten_random_moments() {
    let longer = ["stages.pretrain.max_steps=300"];
    kill("configs/recipes/test/gpt.toml", &longer, &["pretrain"], 11);
}

#[test]
fn sft_killed_at_ten_random_moments() {
    let longer = ["stages.sft.num_train_epochs=12"];
    kill("configs/recipes/test/gpt.toml", &longer, &["sft"], 12);
}

#[test]
fn the_stages_of_gpts_alignment_killed_at_ten_random_moments() {
    let longer = [
        "stages.annotate.num_generations=12",
        "stages.reward.num_train_epochs=8",
        "stages.ppo.total_episodes=192",
        "stages.evaluate_ppo.max_new_tokens=48",
    ];
    let stages = ["annotate", "reward", "ppo", "evaluate_ppo"];
    kill("configs/recipes/test/align-gpt.toml", &longer, &stages, 13);
}

#[test]
fn the_stages_of_llamas_alignment_killed_at_ten_random_moments() {
    let longer = [
        "stages.rejection_sampling.num_generations=24",
        "stages.dpo.num_train_epochs=8",
    ];
    let stages = ["rejection_sampling", "reference_logps", "dpo", "average"];
    kill(
        "configs/recipes/test/align-llama.toml",
        &longer,
        &stages,
        17,
    );
}
