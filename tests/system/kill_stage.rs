//! `kill -9` of a stage: it goes on from its last checkpoint by itself, and nobody can tell from the result.

use begat_tests::{Home, add_test_data, kills};

fn kill(stage: &str, longer: &str, seed: u64) {
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    let launch = ["launch", "configs/recipes/test/gpt.toml", "--set", longer];
    kills::at_random_moments(&home.cli(), &launch, stage, 10, seed);
}

#[test]
fn pretrain_killed_at_ten_random_moments() {
    kill("pretrain", "stages.pretrain.max_steps=300", 11);
}

#[test]
fn sft_killed_at_ten_random_moments() {
    kill("sft", "stages.sft.num_train_epochs=12", 12);
}
