use super::*;
use crate::{Device, ModelConfig, device, loss};

fn options(sampling: Sampling, max_new_tokens: usize) -> GenerateOptions {
    let stream = Stream::new(3, "test", "generate");
    GenerateOptions {
        sampling,
        max_new_tokens,
        stop_tokens: vec![],
        stream,
        first_row: 0,
        batch: 64,
        threads: 1,
    }
}

fn prompts(config: &ModelConfig, lengths: &[usize]) -> Vec<Vec<u32>> {
    let stream = Stream::new(5, "test", "prompts");
    let token =
        |row: usize, t: usize| stream.below(row as u64, t as u64, config.vocab_size as u64) as u32;
    lengths
        .iter()
        .enumerate()
        .map(|(row, &length)| (0..length).map(|t| token(row, t)).collect())
        .collect()
}

fn shapes() -> Vec<ModelConfig> {
    let mut demo = ModelConfig::llama(2048, 128, 4, 4, 2);
    (demo.intermediate_size, demo.tie_word_embeddings) = (352, true);
    let mut odd = ModelConfig::llama(101, 48, 2, 6, 3);
    odd.intermediate_size = 83;
    vec![
        ModelConfig::gpt2(2048, 128, 4, 4, 256),
        demo,
        odd,
        ModelConfig::gpt2(99, 24, 2, 3, 300),
    ]
}

fn model(config: &ModelConfig) -> Model {
    device::open("cpu", true).unwrap();
    // Larger weights than a fresh model's, so that the distributions are not flat.
    let model = Model::initialise(
        &ModelConfig {
            initializer_range: 0.2,
            ..config.clone()
        },
        1,
        Device::Cpu,
    )
    .unwrap();
    assert!(model.compute().has_kernels());
    model
}

/// Log-probabilities of the completions' tokens by the full forward pass over all sequences at once.
fn full_pass(
    model: &Model,
    prompts: &[Vec<u32>],
    completions: &[Completion],
    temperature: f64,
) -> Vec<Vec<f32>> {
    let joined = |(prompt, completion): (&Vec<u32>, &Completion)| {
        [prompt.clone(), completion.tokens.clone()].concat()
    };
    let rows: Vec<Vec<u32>> = prompts.iter().zip(completions).map(joined).collect();
    let pack = Pack::new(&rows, Device::Cpu).unwrap();
    let targets: Vec<i64> = rows
        .iter()
        .flat_map(|row| row[1..].iter().map(|&t| i64::from(t)).chain([loss::IGNORE]))
        .collect();
    let hidden = model.hidden(&pack).unwrap();
    let values = loss::log_probabilities(model, &hidden, &targets, temperature, false)
        .unwrap()
        .values;
    let values = tensors::floats(&values).unwrap();
    let starts = pack.offsets().iter().zip(prompts).zip(completions);
    starts
        .map(|((&start, prompt), done)| {
            values[start + prompt.len() - 1..][..done.tokens.len()].to_vec()
        })
        .collect()
}

fn bits(rows: &[Vec<f32>]) -> Vec<Vec<u32>> {
    rows.iter()
        .map(|row| row.iter().map(|value| value.to_bits()).collect())
        .collect()
}

#[test]
fn cached_log_probabilities_have_the_bits_of_the_full_pass() {
    for config in shapes() {
        let model = model(&config);
        let prompts = prompts(&config, &[17, 1, 40, 3, 64, 5, 33]);
        for sampling in [
            Sampling::GREEDY,
            Sampling::at(1.0),
            Sampling {
                top_k: 20,
                top_p: 0.9,
                ..Sampling::at(0.7)
            },
        ] {
            let done = generate(&model, &prompts, &options(sampling, 190), None).unwrap();
            let full = full_pass(&model, &prompts, &done, sampling.reported_temperature());
            let cached: Vec<Vec<f32>> = done
                .iter()
                .map(|completion| completion.log_probabilities.clone())
                .collect();
            assert!(
                bits(&cached) == bits(&full),
                "{:?} {sampling:?}",
                config.architecture
            );
        }
    }
}

#[test]
fn tokens_are_those_of_generation_without_a_cache() {
    for config in shapes() {
        let model = model(&config);
        let prompts = prompts(&config, &[17, 1, 9]);
        for sampling in [Sampling::GREEDY, Sampling::at(1.0)] {
            let options = options(sampling, 12);
            let cached = generate(&model, &prompts, &options, None).unwrap();
            for (row, prompt) in prompts.iter().enumerate() {
                let mut sequence = prompt.clone();
                for position in 0..options.max_new_tokens {
                    let hidden = model
                        .hidden(&Pack::new(&[&sequence], Device::Cpu).unwrap())
                        .unwrap();
                    let logits = model
                        .logits(&hidden)
                        .unwrap()
                        .get(sequence.len() as i64 - 1);
                    let bits = options.stream.bits(row as u64, position as u64);
                    sequence.push(Chooser::default().choose(
                        &tensors::floats(&logits).unwrap(),
                        sampling,
                        bits,
                    ));
                }
                assert_eq!(
                    sequence[prompt.len()..],
                    cached[row].tokens,
                    "{:?} {sampling:?}",
                    config.architecture
                );
            }
        }
    }
}

#[test]
fn neither_batch_nor_threads_nor_portions_change_a_completion() {
    let config = &shapes()[1];
    let model = model(config);
    let prompts = prompts(config, &[17, 1, 40, 3, 64, 5, 33]);
    let base = options(Sampling::at(1.0), 20);
    let all = generate(&model, &prompts, &base, None).unwrap();
    for (batch, threads) in [(1, 1), (2, 2), (3, 4), (64, 3)] {
        let other = GenerateOptions {
            batch,
            threads,
            ..base.clone()
        };
        assert_eq!(generate(&model, &prompts, &other, None).unwrap(), all);
    }
    let rest = GenerateOptions {
        first_row: 4,
        ..base
    };
    assert_eq!(
        generate(&model, &prompts[4..], &rest, None).unwrap(),
        all[4..]
    );
}

#[test]
fn rows_of_one_prompt_have_the_bits_of_prompts_of_their_own() {
    for config in shapes() {
        let model = model(&config);
        let prompts = prompts(&config, &[17, 1, 40]);
        let rows: [&[u64]; 3] = [&[3, 8, 5, 1, 2], &[9], &[4, 0, 7]];
        let groups: Vec<Group<&Vec<u32>>> = prompts
            .iter()
            .zip(rows)
            .map(|(prompt, rows)| Group {
                prompt,
                rows: rows.to_vec(),
            })
            .collect();
        for (batch, threads) in [(64, 1), (4, 2), (2, 3), (1, 1)] {
            let options = GenerateOptions {
                batch,
                threads,
                ..options(Sampling::at(1.0), 12)
            };
            let shared = generate_groups(&model, &groups, &options, None).unwrap();
            for (group, completions) in groups.iter().zip(shared) {
                for (&row, completion) in group.rows.iter().zip(&completions) {
                    let own = GenerateOptions {
                        first_row: row,
                        ..options.clone()
                    };
                    let own = generate(&model, &[group.prompt], &own, None).unwrap();
                    assert_eq!(own[0].tokens, completion.tokens);
                    let all = |one: &Completion| bits(std::slice::from_ref(&one.log_probabilities));
                    assert_eq!(all(&own[0]), all(completion), "{:?}", config.architecture);
                }
            }
        }
    }
}

#[test]
fn hooks_are_told_the_completion_that_they_are_asked_about() {
    let config = &shapes()[1];
    let model = model(config);
    let prompts = prompts(config, &[5, 9]);
    let group = |prompt, rows: &[u64]| Group {
        prompt,
        rows: rows.to_vec(),
    };
    let groups = [group(&prompts[0], &[0, 1, 2]), group(&prompts[1], &[0, 1])];
    let hook = |number: usize, tokens: &[u32]| tokens.len() > number;
    for batch in [1, 2, 64] {
        let options = GenerateOptions {
            batch,
            ..options(Sampling::at(1.0), 9)
        };
        let done = generate_groups(&model, &groups, &options, Some(&hook)).unwrap();
        let lengths: Vec<Vec<usize>> = done
            .iter()
            .map(|group| group.iter().map(|one| one.tokens.len()).collect())
            .collect();
        assert_eq!(lengths, [vec![1, 2, 3], vec![4, 5]]);
    }
}

#[test]
fn completions_end_by_token_hook_length_and_last_position() {
    let config = &shapes()[0];
    let model = model(config);
    let prompts = prompts(config, &[17, 250]);
    let free = generate(&model, &prompts, &options(Sampling::at(1.0), 30), None).unwrap();
    assert_eq!((free[0].tokens.len(), free[0].finish), (30, Finish::Length));
    assert_eq!((free[1].tokens.len(), free[1].finish), (6, Finish::Length));
    let stop = free[0].tokens[7];
    let stopped = GenerateOptions {
        stop_tokens: vec![stop],
        ..options(Sampling::at(1.0), 30)
    };
    let stopped = generate(&model, &prompts[..1], &stopped, None).unwrap();
    let first = free[0]
        .tokens
        .iter()
        .position(|&token| token == stop)
        .unwrap();
    assert_eq!(
        (&stopped[0].tokens[..], stopped[0].finish),
        (&free[0].tokens[..=first], Finish::StopToken)
    );
    let hook = |prompt: usize, tokens: &[u32]| prompt == 0 && tokens.len() == 4;
    let hooked = generate(
        &model,
        &prompts,
        &options(Sampling::at(1.0), 30),
        Some(&hook),
    )
    .unwrap();
    assert_eq!(
        (hooked[0].tokens.len(), hooked[0].finish),
        (4, Finish::Hook)
    );
    assert_eq!(hooked[1], free[1]);
    let long = generate(&model, &[vec![1; 256]], &options(Sampling::GREEDY, 1), None)
        .unwrap_err()
        .to_string();
    assert!(
        long.contains("prompt 0 has 256 tokens; expected 1 to 255"),
        "{long}"
    );
}

#[test]
fn libtorchs_own_operations_agree_within_rounding() {
    // A head width that the kernels do not take.
    let config = ModelConfig::llama(101, 36, 2, 6, 3);
    device::open("cpu", true).unwrap();
    let model = Model::initialise(
        &ModelConfig {
            initializer_range: 0.2,
            ..config.clone()
        },
        1,
        Device::Cpu,
    )
    .unwrap();
    let prompts = prompts(&config, &[17, 1, 9]);
    let done = generate(&model, &prompts, &options(Sampling::at(1.0), 20), None).unwrap();
    let full = full_pass(&model, &prompts, &done, 1.0);
    for (completion, full) in done.iter().zip(full) {
        assert!(
            completion
                .log_probabilities
                .iter()
                .zip(full)
                .all(|(a, b)| (a - b).abs() < 1e-4)
        );
    }
}
