//! What a mistake in a recipe looks like: file, line, key, and what was probably meant.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use begat_schemas::recipe::{Override, parse};

const GOOD: &str = r#"name = "r"
model = "tiny"
[stages.tokenizer]
kind = "tokenizer"
inputs.corpus = "c"
vocab_size = 300
[stages.pretrain]
kind = "pretrain"
inputs = { corpus = "c", tokenizer = "@tokenizer" }
max_steps = 5
max_length = 8
per_device_train_batch_size = 1
learning_rate = 1e-3
[stages.sft]
kind = "sft"
inputs = { model = "@pretrain", dataset = "d" }
max_length = 8
per_device_train_batch_size = 1
learning_rate = 1e-3
"#;

const TINY: &str = "model_type = \"gpt2\"\nn_embd = 8\nn_layer = 1\nn_head = 2\nn_positions = 8\n";

fn error_of(text: &str, model: &str, overrides: &[&str]) -> String {
    let overrides: Vec<Override> = overrides.iter().map(|text| text.parse().unwrap()).collect();
    let load = |name: &str| match name {
        "tiny" => Ok(("models/tiny.toml".to_owned(), model.to_owned())),
        _ => Err(format!("there is no model `{name}`")),
    };
    match parse("r.toml", "r", text, &overrides, &load) {
        Ok(_) => "no error".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn check(from: &str, to: &str, expected: &str) {
    assert!(GOOD.contains(from), "{from}");
    assert_eq!(error_of(&GOOD.replacen(from, to, 1), TINY, &[]), expected);
}

#[test]
fn the_good_one_is_good() {
    assert_eq!(error_of(GOOD, TINY, &[]), "no error");
}

#[test]
fn syntax() {
    let error = error_of("name = \"r\"\nstages = [\n", TINY, &[]);
    assert!(error.starts_with("r.toml:"), "{error}");
}

#[test]
fn unknown_keys_name_the_nearest() {
    check(
        "name = \"r\"",
        "nam = \"r\"",
        "r.toml:1: nam: unknown key; did you mean `name`?",
    );
    check(
        "max_steps",
        "max_step",
        "r.toml:10: stages.pretrain.max_step: unknown key; did you mean `max_steps`?",
    );
    check(
        "kind = \"sft\"",
        "kind = \"stf\"",
        "r.toml:15: stages.sft.kind: unknown stage kind `stf`: expected one of tokenizer, pretrain, sft, evaluate, command, \
         reward, annotate, rejection_sampling, reference_logps, dpo, ppo, model_average; did you mean `sft`?",
    );
}

#[test]
fn wrong_types_and_values() {
    check(
        "vocab_size = 300",
        "vocab_size = \"many\"",
        "r.toml:6: stages.tokenizer.vocab_size: expected u32, found string \"many\"",
    );
    check(
        "vocab_size = 300",
        "vocab_size = 200",
        "r.toml:6: stages.tokenizer.vocab_size: expected a number from 260 (the bytes and the special tokens) to \
         1048576, found 200",
    );
    check(
        "learning_rate = 1e-3",
        "learning_rate = 0",
        "r.toml:13: stages.pretrain.learning_rate: expected a number above 0, found 0",
    );
    check(
        "max_steps = 5\n",
        "",
        "r.toml:7: stages.pretrain.max_steps: expected a value, found nothing",
    );
    check(
        "max_length = 8",
        "max_length = 9",
        "r.toml:11: stages.pretrain.max_length: expected at most the model's context of 8 tokens, found 9",
    );
    check(
        "max_steps = 5",
        "max_steps = 5\nthreads = 0",
        "r.toml:11: stages.pretrain.threads: expected 1 to 1024, found 0",
    );
}

#[test]
fn inputs() {
    check(
        "tokenizer = \"@tokenizer\"",
        "tokenizer = \"@tokeniser\"",
        "r.toml:9: stages.pretrain.inputs.tokenizer: there is no stage `tokeniser` in this recipe; did you mean \
         `@tokenizer`?",
    );
    check(
        "model = \"@pretrain\"",
        "model = \"@tokenizer\"",
        "r.toml:16: stages.sft.inputs.model: expected a model, but `@tokenizer` is a tokenizer",
    );
    check(
        "model = \"@pretrain\"",
        "model = \"@pretrain.weights\"",
        "r.toml:16: stages.sft.inputs.model: `@pretrain` has no such output; it has model",
    );
    check(
        "dataset = \"d\"",
        "data = \"d\"",
        "r.toml:16: stages.sft.inputs: `sft` needs the input `dataset` (a dataset)",
    );
    check(
        "model = \"@pretrain\"",
        "model = \"@sft\"",
        "r.toml:16: stages.sft.inputs: a cycle: @sft needs @sft",
    );
}

#[test]
fn models() {
    assert_eq!(
        error_of(GOOD, &TINY.replace("n_head = 2", "n_head = 3"), &[]),
        "models/tiny.toml:4: n_head: expected a divisor of n_embd = 8, found 3"
    );
    assert_eq!(
        error_of(GOOD, &TINY.replace("n_layer", "n_layers"), &[]),
        "models/tiny.toml:3: n_layers: unknown key; did you mean `n_layer`?"
    );
    check(
        "\"tiny\"",
        "\"huge\"",
        "r.toml:2: model: there is no model `huge`",
    );
}

#[test]
fn overrides_name_the_option() {
    assert_eq!(
        error_of(GOOD, TINY, &["stages.sft.learning_rate=-1"]),
        "--set stages.sft.learning_rate=-1: stages.sft.learning_rate: expected a number above 0, found -1"
    );
    assert_eq!(
        error_of(GOOD, TINY, &["stages.sft.learning_rate=4e-3", "name=other"]),
        "no error"
    );
}

/// Stages that align what `GOOD` makes.
const ALIGNED: &str = r#"[stages.annotate]
kind = "annotate"
inputs = { policy = "@sft", prompts = "p" }
num_generations = 2
labeller = "rule"
gold = "rust-signature"
[stages.reward]
kind = "reward"
inputs = { model = "@sft", dataset = "@annotate" }
max_length = 8
per_device_train_batch_size = 1
learning_rate = 1e-3
[stages.ppo]
kind = "ppo"
inputs = { policy = "@sft", reward_model = "@reward", prompts = "p" }
total_episodes = 8
rollout_batch_size = 4
per_device_train_batch_size = 2
learning_rate = 1e-4
[stages.reference_logps]
kind = "reference_logps"
inputs = { model = "@sft", dataset = "@annotate" }
max_length = 8
[stages.dpo]
kind = "dpo"
inputs = { model = "@sft", dataset = "@annotate", reference_logps = "@reference_logps" }
max_length = 8
per_device_train_batch_size = 1
learning_rate = 1e-4
[stages.average]
kind = "model_average"
inputs = { one = "@dpo", two = "@ppo" }
"#;

#[track_caller]
fn check_aligned(from: &str, to: &str, expected: &str) {
    assert!(ALIGNED.contains(from), "{from}");
    let text = format!("{GOOD}{}", ALIGNED.replacen(from, to, 1));
    assert_eq!(error_of(&text, TINY, &[]), expected);
}

#[test]
fn aligned_is_good() {
    assert_eq!(error_of(&format!("{GOOD}{ALIGNED}"), TINY, &[]), "no error");
}

#[test]
fn a_reward_model_is_no_policy() {
    check_aligned(
        "policy = \"@sft\", reward_model",
        "policy = \"@reward\", reward_model",
        "r.toml:34: stages.ppo.inputs.policy: expected a model, but `@reward` is a reward_model",
    );
    check_aligned(
        "two = \"@ppo\"",
        "two = \"@reward\"",
        "r.toml:51: stages.average.inputs.two: expected a model, but `@reward` is a reward_model",
    );
    check_aligned(
        "two = \"@ppo\" }",
        "two = \"@ppo\" }\nof = \"reward_model\"",
        "r.toml:51: stages.average.inputs.one: expected a reward_model, but `@dpo` is a model",
    );
}

#[test]
fn inputs_that_parameters_call_for() {
    check_aligned(
        "labeller = \"rule\"",
        "labeller = \"reward_model\"",
        "r.toml:22: stages.annotate.inputs.reward_model: expected an input, since the labeller `reward_model` needs it, \
         found nothing",
    );
    check_aligned(
        "prompts = \"p\" }\ntotal",
        "prompts = \"p\", pretraining = \"c\" }\ntotal",
        "r.toml:34: stages.ppo.inputs.pretraining: expected no such input, since only `ptx_coef` above 0 reads it, \
         found one",
    );
    check_aligned(
        "total_episodes = 8",
        "total_episodes = 8\nptx_coef = 1\nptx_batch_size = 2",
        "r.toml:34: stages.ppo.inputs.pretraining: expected an input, since `ptx_coef` above 0 needs it, found nothing",
    );
    check_aligned(
        "one = \"@dpo\", ",
        "",
        "r.toml:51: stages.average.inputs: expected at least two checkpoints to average, found 1",
    );
    check_aligned(
        "two = \"@ppo\" }",
        "two = \"@ppo\" }\nweights = { one = 1, tow = 1 }",
        "r.toml:52: stages.average.weights.two: expected the weight of this input, found nothing",
    );
}

#[test]
fn kept_log_probabilities_are_those_of_the_stage_s_own_sequences() {
    check_aligned(
        "max_length = 8\n[stages.dpo]",
        "max_length = 7\n[stages.dpo]",
        "r.toml:46: stages.dpo.max_length: expected 7, as in `@reference_logps`, found 8",
    );
    check_aligned(
        "max_length = 8\n[stages.dpo]",
        "max_length = 8\nmask_format_tokens = true\n[stages.dpo]",
        "r.toml:44: stages.dpo.mask_format_tokens: expected true, as in `@reference_logps`, found false",
    );
    check_aligned(
        "{ model = \"@sft\", dataset = \"@annotate\", reference_logps",
        "{ model = \"@ppo\", dataset = \"@annotate\", reference_logps",
        "r.toml:45: stages.dpo.inputs.model: expected @sft, as the `model` of `@reference_logps`, found @ppo",
    );
    check_aligned(
        "{ model = \"@sft\", dataset = \"@annotate\", reference_logps",
        "{ model = \"@ppo\", reference = \"@sft\", dataset = \"@annotate\", reference_logps",
        "no error",
    );
}

#[test]
fn a_program_s_files_belong_to_a_labeller_that_runs_one() {
    check_aligned(
        "labeller = \"rule\"",
        "labeller = \"rule\"\nsource = [\"judge.py\"]",
        "r.toml:25: stages.annotate.source: expected nothing, since the stage runs no program",
    );
    check_aligned(
        "labeller = \"rule\"",
        "labeller = \"command\"\ncommand = [\"python3\", \"judge.py\"]\nsource = [\"judge.py\"]",
        "no error",
    );
    check_aligned(
        "max_length = 8\n[stages.dpo]",
        "max_length = 8\nsource = [\"judge.py\"]\n[stages.dpo]",
        "r.toml:43: stages.reference_logps.source: unknown key; expected one of dtype, mask_format_tokens, max_length, \
         per_device_eval_batch_size, truncate_prompt, device, environment, eval_steps, gradient_checkpointing, keep, \
         logging_steps, sample_steps, save_steps, threads, kind, inputs, seed",
    );
}

#[test]
fn a_mistyped_value_names_its_key() {
    check(
        "learning_rate = 1e-3\n[stages.sft]",
        "learning_rate = \"fast\"\n[stages.sft]",
        "r.toml:13: stages.pretrain.learning_rate: expected f64, found string \"fast\"",
    );
    check_aligned(
        "rollout_batch_size = 4",
        "rollout_batch_size = 4\nadaptive_kl = { target = 6, horizont = 1 }",
        "r.toml:37: stages.ppo.adaptive_kl.horizont: unknown key; did you mean `horizon`?",
    );
}
