//! Fresh parameters: each value a function of (seed, parameter name, index), so that neither the number of threads nor
//! another parameter's presence changes it.

use super::{
    config::ModelConfig,
    parameters::{self, Parameter, Start},
};
use crate::{error::Result, random::Stream, tensors::Named};
use tch::Tensor;

/// All parameters of a new model.
pub(crate) fn initialise(config: &ModelConfig, seed: u64) -> Result<Named> {
    parameters::list(config)
        .iter()
        .map(|parameter| Ok((parameter.name.clone(), fill(parameter, seed)?)))
        .collect()
}

/// One fresh parameter.
pub(crate) fn fill(parameter: &Parameter, seed: u64) -> Result<Tensor> {
    let count = parameter.shape.iter().product::<i64>() as usize;
    let values = match parameter.start {
        Start::Zeros => vec![0.0; count],
        Start::Ones => vec![1.0; count],
        Start::Normal(deviation) => normal(&parameter.name, seed, deviation, count),
    };
    Ok(Tensor::f_from_slice(&values)?.f_view(parameter.shape.as_slice())?)
}

fn normal(name: &str, seed: u64, deviation: f64, count: usize) -> Vec<f32> {
    let stream = Stream::new(seed, "initialise", name);
    let mut values = vec![0.0f32; count];
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // Even pieces, because two neighbours share a draw.
    let piece = count.div_ceil(threads).next_multiple_of(2).max(1 << 16);
    std::thread::scope(|scope| {
        for (number, values) in values.chunks_mut(piece).enumerate() {
            let first = (number * piece / 2) as u64;
            scope.spawn(move || {
                for (pair, values) in values.chunks_mut(2).enumerate() {
                    let drawn = stream.normals(0, first + pair as u64);
                    values
                        .iter_mut()
                        .zip(drawn)
                        .for_each(|(value, normal)| *value = (normal * deviation) as f32);
                }
            });
        }
    });
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensors;

    #[test]
    fn golden_digests_of_fresh_models() {
        // Renew by hand, and only with a new revision of every kind that initialises: old seeds must give old models.
        let gpt = initialise(&ModelConfig::gpt2(64, 32, 2, 4, 16), 1).unwrap();
        let llama = initialise(&ModelConfig::llama(64, 32, 2, 4, 2), 1).unwrap();
        assert_eq!(
            tensors::digest(&gpt).unwrap().to_hex()[..16],
            *"3315a3965b17bed4"
        );
        assert_eq!(
            tensors::digest(&llama).unwrap().to_hex()[..16],
            *"3c0d711a76ff57eb"
        );
    }

    #[test]
    fn pieces_do_not_change_values() {
        let whole = normal("x", 3, 1.0, 300_001);
        let start = normal("x", 3, 1.0, 11);
        assert_eq!(whole[..11], start[..]);
        let stream = Stream::new(3, "initialise", "x");
        assert_eq!(whole[200_001], stream.normals(0, 100_000)[1] as f32);
    }
}
