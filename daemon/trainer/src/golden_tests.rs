//! Forward, loss, gradients and whole updates against golden values from `transformers` and torch (renewed by
//! `parity/parity.py goldens goldens`), and the promises about bits.

use crate::{
    Device, Kind, Model, ModelConfig, Objective, Outcome, Pack, Pass, Schedule, Tensor, Trainer,
    TrainerOptions, Unit, device, loss, tensors,
};
use std::path::PathBuf;

const GOLDENS: [&str; 4] = ["gpt2", "gpt2-untied", "llama", "llama-untied"];

struct Golden {
    folder: PathBuf,
    sequences: Vec<Vec<u32>>,
    values: tensors::Named,
    about: serde_json::Value,
}

impl Golden {
    fn open(name: &str) -> Self {
        device::open("cpu", true).unwrap();
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("goldens")
            .join(name);
        let about: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("golden.json")).unwrap()).unwrap();
        Self {
            sequences: serde_json::from_value(about["sequences"].clone()).unwrap(),
            values: tensors::load(&folder.join("golden.safetensors"), Device::Cpu).unwrap(),
            folder,
            about,
        }
    }

    fn model(&self) -> Model {
        Model::load(&self.folder, Device::Cpu).unwrap()
    }

    fn value(&self, name: &str) -> &Tensor {
        &self
            .values
            .iter()
            .find(|(found, _)| found == name)
            .unwrap()
            .1
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        serde_json::from_value(self.about[name].clone()).unwrap()
    }

    fn units(&self) -> Vec<Unit> {
        self.sequences.iter().cloned().map(Unit::single).collect()
    }
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    f64::try_from((a - b).abs().max()).unwrap()
}

/// Mean next-token loss over all sequences of the micro-batch.
struct NextToken {
    targets: f64,
}

impl NextToken {
    fn over(units: &[Unit]) -> Self {
        let count = units
            .iter()
            .flat_map(|unit| &unit.sequences)
            .map(|sequence| sequence.len() - 1)
            .sum::<usize>();
        Self {
            targets: count as f64,
        }
    }
}

fn next_tokens(pack: &Pack) -> Vec<i64> {
    let tokens = Vec::<i64>::try_from(pack.tokens()).unwrap();
    let ends = pack.last_tokens();
    (0..tokens.len())
        .map(|i| {
            if ends.contains(&(i as i64)) {
                loss::IGNORE
            } else {
                tokens[i + 1]
            }
        })
        .collect()
}

impl Objective for NextToken {
    fn outcome(&self, pass: &Pass) -> crate::Result<Outcome> {
        let measured = loss::cross_entropy(pass.model, pass.hidden, &next_tokens(pass.pack), true)?;
        let values = Tensor::stack(
            &[
                measured.entropy.sum(Kind::Float),
                measured.correct.sum(Kind::Float),
            ],
            0,
        );
        Ok(Outcome {
            loss: measured.sum / self.targets,
            values,
        })
    }
}

#[test]
fn logits_match_transformers() {
    for name in GOLDENS {
        let golden = Golden::open(name);
        let model = golden.model();
        let pack = Pack::new(&golden.sequences, Device::Cpu).unwrap();
        let logits = model.logits(&model.hidden(&pack).unwrap()).unwrap();
        let difference = largest_difference(&logits, golden.value("logits"));
        assert!(difference < 1e-4, "{name}: {difference}");
    }
}

#[test]
fn losses_and_gradients_match_torch() {
    for name in ["gpt2", "llama"] {
        let golden = Golden::open(name);
        let mut trainer = Trainer::new(
            golden.model(),
            TrainerOptions {
                max_gradient_norm: 1e9,
                ..Default::default()
            },
        )
        .unwrap();
        let units = golden.units();
        let measured = trainer
            .accumulate(&units, &NextToken::over(&units))
            .unwrap();
        let loss = f64::try_from(&measured.loss).unwrap();
        assert!(
            (loss - f64::try_from(golden.value("loss")).unwrap()).abs() < 1e-5,
            "{name}: {loss}"
        );
        let _ = trainer.update(0.0).unwrap();
        for (parameter, gradient) in trainer.gradients() {
            let expected = golden.value(&format!("gradient.{parameter}"));
            let scale = f64::try_from(expected.abs().max()).unwrap().max(1e-3);
            let difference = largest_difference(gradient, expected) / scale;
            assert!(difference < 1e-4, "{name} {parameter}: {difference}");
        }
    }
}

#[test]
fn short_runs_match_torch_adamw_clipping_and_schedule() {
    for name in GOLDENS {
        let golden = Golden::open(name);
        let schedule = Schedule {
            peak: 1e-3,
            warmup_steps: 2,
            total_steps: 5,
            final_fraction: 0.1,
        };
        let mut trainer = Trainer::new(golden.model(), TrainerOptions::default()).unwrap();
        let units = golden.units();
        for step in 0..5 {
            let measured = trainer
                .accumulate(&units, &NextToken::over(&units))
                .unwrap();
            let rate = schedule.learning_rate(step as u64 + 1);
            let norm = f64::try_from(trainer.update(rate).unwrap()).unwrap();
            let loss = f64::try_from(measured.loss).unwrap();
            let expected = ["losses", "norms", "rates"].map(|key| golden.numbers(key)[step]);
            for (found, expected) in [loss, norm, rate].into_iter().zip(expected) {
                assert!(
                    (found / expected - 1.0).abs() < 1e-4,
                    "{name} step {step}: {found} against {expected}"
                );
            }
        }
    }
}

fn demo_shapes() -> [ModelConfig; 2] {
    let mut llama = ModelConfig::llama(2048, 128, 4, 4, 2);
    (
        llama.intermediate_size,
        llama.tie_word_embeddings,
        llama.max_position_embeddings,
    ) = (352, true, 256);
    [ModelConfig::gpt2(2048, 128, 4, 4, 256), llama]
}

fn tiny_shapes() -> [ModelConfig; 2] {
    let mut llama = ModelConfig::llama(96, 32, 2, 4, 2);
    llama.intermediate_size = 56;
    [ModelConfig::gpt2(96, 32, 2, 4, 64), llama]
}

fn random_units(config: &ModelConfig, step: u64, lengths: &[usize]) -> Vec<Unit> {
    let stream = crate::Stream::new(5, "test", "tokens");
    let token = |row: usize, t: usize| {
        stream.below(step, (row * 10_000 + t) as u64, config.vocab_size as u64) as u32
    };
    lengths
        .iter()
        .enumerate()
        .map(|(row, &length)| Unit::single((0..length).map(|t| token(row, t)).collect()))
        .collect()
}

/// The bits of every parameter, loss and norm of a short run.
fn run(
    config: &ModelConfig,
    lengths: &[usize],
    steps: u64,
    options: TrainerOptions,
) -> (blake3::Hash, Vec<(u64, u64)>) {
    device::open("cpu", true).unwrap();
    let mut trainer =
        Trainer::new(Model::initialise(config, 1, Device::Cpu).unwrap(), options).unwrap();
    let mut trace = Vec::new();
    for step in 0..steps {
        let units = random_units(config, step, lengths);
        let measured = trainer
            .accumulate(&units, &NextToken::over(&units))
            .unwrap();
        let norm = f64::try_from(trainer.update(1e-3).unwrap()).unwrap();
        trace.push((
            f64::try_from(measured.loss).unwrap().to_bits(),
            norm.to_bits(),
        ));
    }
    (
        tensors::digest(trainer.model().parameters()).unwrap(),
        trace,
    )
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let cases = tiny_shapes().map(|config| (config, vec![13, 7, 20, 1 + 1, 31, 5], 5));
    let demo = demo_shapes().map(|config| (config, vec![128; 8], 2));
    for (config, lengths, steps) in cases.into_iter().chain(demo) {
        let with = |threads| {
            run(
                &config,
                &lengths,
                steps,
                TrainerOptions {
                    threads,
                    ..Default::default()
                },
            )
        };
        let one = with(1);
        for threads in [2, 3, 4] {
            assert_eq!(
                with(threads),
                one,
                "{:?} with {threads} threads",
                config.architecture
            );
        }
    }
}

#[test]
fn recomputed_activations_change_no_bit() {
    for config in tiny_shapes() {
        let with = |activation_checkpointing| {
            run(
                &config,
                &[13, 7, 20, 9],
                3,
                TrainerOptions {
                    activation_checkpointing,
                    threads: 2,
                    ..Default::default()
                },
            )
        };
        assert_eq!(with(true), with(false));
    }
}

#[test]
fn a_run_that_goes_on_from_its_saved_state_ends_with_the_same_bits() {
    for config in tiny_shapes() {
        let whole = run(&config, &[13, 7], 4, TrainerOptions::default());
        let folder = tempfile::tempdir().unwrap();
        let mut trainer = Trainer::new(
            Model::initialise(&config, 1, Device::Cpu).unwrap(),
            TrainerOptions::default(),
        )
        .unwrap();
        for step in 0..4 {
            if step == 2 {
                trainer.model().save(folder.path()).unwrap();
                let state = tensors::snapshot(&trainer.optimizer_state()).unwrap();
                let updates = trainer.step();
                trainer = Trainer::new(
                    Model::load(folder.path(), Device::Cpu).unwrap(),
                    TrainerOptions::default(),
                )
                .unwrap();
                trainer.restore_optimizer(&state, updates).unwrap();
            }
            let units = random_units(&config, step, &[13, 7]);
            trainer
                .accumulate(&units, &NextToken::over(&units))
                .unwrap();
            let _ = trainer.update(1e-3).unwrap();
        }
        assert_eq!(
            tensors::digest(trainer.model().parameters()).unwrap(),
            whole.0
        );
    }
}

#[test]
fn a_sequence_has_the_same_bits_alone_and_in_any_company() {
    device::open("cpu", true).unwrap();
    for config in tiny_shapes().into_iter().chain(demo_shapes()) {
        let model = Model::initialise(&config, 1, Device::Cpu).unwrap();
        let units = random_units(&config, 0, &[30, 1, 17, 3, 60]);
        let rows: Vec<&Vec<u32>> = units.iter().map(|unit| &unit.sequences[0]).collect();
        let bits = |rows: &[&Vec<u32>]| {
            let pack = Pack::new(rows, Device::Cpu).unwrap();
            tensors::floats(&model.logits(&model.hidden(&pack).unwrap()).unwrap()).unwrap()
        };
        let together = bits(&rows);
        let apart: Vec<f32> = rows.iter().flat_map(|row| bits(&[row])).collect();
        assert!(
            together
                .iter()
                .zip(&apart)
                .all(|(a, b)| a.to_bits() == b.to_bits()),
            "{:?}",
            config.architecture
        );
    }
}

#[test]
fn the_two_losses_agree_with_each_other_and_with_a_table_of_logits() {
    for name in GOLDENS {
        let golden = Golden::open(name);
        let model = golden.model();
        let pack = Pack::new(&golden.sequences, Device::Cpu).unwrap();
        let hidden = model.hidden(&pack).unwrap();
        let targets = next_tokens(&pack);
        let rows = loss::log_probabilities(&model, &hidden, &targets, 0.7, true).unwrap();
        let log_softmax = (model.logits(&hidden).unwrap() / 0.7).log_softmax(-1, Kind::Float);
        let entropy =
            -(log_softmax.exp() * &log_softmax).sum_dim_intlist(&[1i64][..], false, Kind::Float);
        for (row, &target) in targets.iter().enumerate() {
            let value = |tensor: &Tensor| tensor.double_value(&[row as i64]);
            if target == loss::IGNORE {
                assert_eq!((value(&rows.values), value(&rows.entropy)), (0.0, 0.0));
                continue;
            }
            assert!(
                (value(&rows.values) - log_softmax.double_value(&[row as i64, target])).abs()
                    < 1e-5
            );
            assert!((value(&rows.entropy) - value(&entropy)).abs() < 1e-5);
        }
        let hidden = hidden.detach().set_requires_grad(true);
        let fused = loss::cross_entropy(&model, &hidden, &targets, false)
            .unwrap()
            .sum;
        fused.backward();
        let one = hidden.grad();
        let hidden = hidden.detach().set_requires_grad(true);
        let composed = -loss::log_probabilities(&model, &hidden, &targets, 1.0, false)
            .unwrap()
            .values
            .sum(Kind::Float);
        composed.backward();
        assert!(
            largest_difference(&fused, &composed) < 1e-4
                && largest_difference(&one, &hidden.grad()) < 1e-5
        );
    }
}

#[test]
fn saved_models_load_with_the_same_bits_and_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for name in GOLDENS {
        let model = Golden::open(name).model();
        let paths = ["1", "2"].map(|number| folder.path().join(format!("{name}-{number}")));
        for path in &paths {
            std::fs::create_dir(path).unwrap();
            model.save(path).unwrap();
        }
        let bytes = paths
            .each_ref()
            .map(|path| std::fs::read(path.join("model.safetensors")).unwrap());
        assert_eq!(bytes[0], bytes[1]);
        let back = Model::load(&paths[0], Device::Cpu).unwrap();
        assert_eq!(
            tensors::digest(back.parameters()).unwrap(),
            tensors::digest(model.parameters()).unwrap()
        );
    }
}

#[test]
fn wrong_weights_and_tokens_are_named() {
    let golden = Golden::open("llama");
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(
        golden.folder.join("model.safetensors"),
        folder.path().join("model.safetensors"),
    )
    .unwrap();
    let mut config = golden.model().config().to_json();
    config["intermediate_size"] = 64.into();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let message = Model::load(folder.path(), Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("gate_proj")
            && message.contains("[56, 32]")
            && message.contains("[64, 32]"),
        "{message}"
    );
    let model = golden.model();
    let refused = |tokens: Vec<u32>| {
        model
            .hidden(&Pack::new(&[tokens], Device::Cpu).unwrap())
            .unwrap_err()
            .to_string()
    };
    assert!(refused(vec![1, 96]).contains("token id 96"));
    assert!(refused(vec![1; 65]).contains("65 tokens exceeds the model's 64 positions"));
}
