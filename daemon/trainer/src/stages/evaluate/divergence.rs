//! How far a model has moved from another, in nats a sequence: Monte Carlo estimates of KL(π ‖ π_ref) over π's own samples.
//!
//! With d = log π(x) − log π_ref(x) at temperature 1, k1 = Σ d and k3 = Σ (e^(−d) − 1 + d) over a completion's tokens
//! (Schulman 2020, "Approximating KL divergence"): both are unbiased for samples at temperature 1, k3 is never negative.

use crate::contract::StageResult;
use crate::error::Result;
use crate::loss::{IGNORE, log_probabilities};
use crate::model::{Model, Pack};
use crate::stages::batches::in_batches;
use crate::tensors;

/// Log-probabilities of a completion's tokens, and the entropy of the distribution that each was drawn from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Likelihood {
    pub log_probabilities: Vec<f32>,
    pub entropies: Vec<f32>,
}

/// Of each completion after its prompt, at temperature 1. Neither `batch` nor `threads` changes a bit of them.
pub(super) fn likelihoods(
    model: &Model,
    sequences: &[(&[u32], &[u32])],
    batch: usize,
    threads: usize,
) -> StageResult<Vec<Likelihood>> {
    in_batches(model, sequences.len(), batch, threads, |model, range| {
        of_batch(model, &sequences[range])
    })
}

fn of_batch(model: &Model, sequences: &[(&[u32], &[u32])]) -> Result<Vec<Likelihood>> {
    // The last token is only predicted, never read.
    let inputs = sequences.iter().map(|(prompt, completion)| {
        let read = completion.len().saturating_sub(1);
        [*prompt, &completion[..read]].concat()
    });
    let inputs: Vec<Vec<u32>> = inputs.collect();
    let targets = sequences.iter().flat_map(|(prompt, completion)| {
        let before = vec![IGNORE; prompt.len() - 1];
        before
            .into_iter()
            .chain(completion.iter().map(|&token| i64::from(token)))
    });
    let targets: Vec<i64> = targets.collect();
    let pack = Pack::new(&inputs, model.device())?;
    let hidden = model.hidden(&pack)?;
    let found = log_probabilities(model, &hidden, &targets, 1.0, true)?;
    let (values, entropies) = (
        tensors::floats(&found.values)?,
        tensors::floats(&found.entropy)?,
    );
    let starts = pack.offsets().iter().zip(sequences);
    let likelihood = |(&start, (prompt, completion)): (&usize, &(&[u32], &[u32]))| {
        let from = start + prompt.len() - 1;
        let range = from..from + completion.len();
        Likelihood {
            log_probabilities: values[range.clone()].to_vec(),
            entropies: entropies[range].to_vec(),
        }
    };
    Ok(starts.map(likelihood).collect())
}

/// k1 and k3 of each completion.
pub(super) fn divergences(own: &[Likelihood], reference: &[Likelihood]) -> (Vec<f64>, Vec<f64>) {
    let of_sequence = |(own, reference): (&Likelihood, &Likelihood)| {
        let (mut k1, mut k3) = (0.0, 0.0);
        let tokens = own
            .log_probabilities
            .iter()
            .zip(&reference.log_probabilities);
        for (&own, &reference) in tokens {
            let difference = f64::from(own) - f64::from(reference);
            k1 += difference;
            k3 += libm::exp(-difference) - 1.0 + difference;
        }
        (k1, k3)
    };
    own.iter().zip(reference).map(of_sequence).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, GenerateOptions, ModelConfig, Sampling, Stream, generate};

    fn likelihood(values: &[f32]) -> Likelihood {
        Likelihood {
            log_probabilities: values.to_vec(),
            entropies: vec![0.0; values.len()],
        }
    }

    #[test]
    fn both_estimators_are_their_formulas() {
        let (k1, k3) = divergences(&[likelihood(&[-1.0, -0.5])], &[likelihood(&[-1.5, -0.25])]);
        assert!((k1[0] - 0.25).abs() < 1e-12);
        // (e^−0.5 − 1 + 0.5) + (e^0.25 − 1 − 0.25)
        assert!((k3[0] - 0.140_556_076_4).abs() < 1e-9, "{k3:?}");
        let (k1, k3) = divergences(&[likelihood(&[-2.0])], &[likelihood(&[-2.0])]);
        assert_eq!((k1[0], k3[0]), (0.0, 0.0));
    }

    #[test]
    fn log_probabilities_are_those_of_generation() {
        crate::device::open("cpu", true).unwrap();
        let mut config = ModelConfig::llama(64, 32, 2, 4, 2);
        config.initializer_range = 0.2;
        let model = Model::initialise(&config, 1, Device::Cpu).unwrap();
        let prompts = [vec![3u32, 5, 7], vec![1], vec![9; 20]];
        let options = GenerateOptions {
            sampling: Sampling::at(1.0),
            max_new_tokens: 9,
            stop_tokens: vec![0, 1, 2],
            stream: Stream::new(1, "test", "sample"),
            first_row: 0,
            batch: 8,
            threads: 1,
        };
        let done = generate(&model, &prompts, &options, None).unwrap();
        let sequences: Vec<(&[u32], &[u32])> = prompts
            .iter()
            .zip(&done)
            .map(|(prompt, done)| (prompt.as_slice(), done.tokens.as_slice()))
            .collect();
        for (batch, threads) in [(8, 1), (1, 2)] {
            let found = likelihoods(&model, &sequences, batch, threads).unwrap();
            for (one, done) in found.iter().zip(&done) {
                assert_eq!(one.log_probabilities, done.log_probabilities);
                assert!(
                    one.entropies
                        .iter()
                        .all(|&entropy| entropy > 0.0 && entropy <= 64f32.ln())
                );
            }
        }
    }
}
