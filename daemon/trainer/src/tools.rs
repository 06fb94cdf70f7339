//! Small commands of `begat-stage` outside of the stage contract, for comparing with other programs (`make parity`).

use crate::{
    device,
    error::{At, Error, Result},
    model::{Model, ModelConfig, Pack},
    tensors,
};
use std::path::Path;
use tch::Device;

/// Logits of token sequences (a JSON file: a list of lists of ids), as JSON: per sequence, per token, the row of logits.
pub fn logits(model: &Path, tokens: &Path) -> Result<String> {
    device::open("cpu", false)?;
    let text = std::fs::read_to_string(tokens).at(tokens)?;
    let sequences: Vec<Vec<u32>> = serde_json::from_str(&text).map_err(|error| {
        Error::Invalid(format!(
            "{}: {error}; expected a list of lists of token ids",
            tokens.display()
        ))
    })?;
    let model = Model::load(model, Device::Cpu)?;
    let _guard = tch::no_grad_guard();
    let of_sequence = |sequence: &Vec<u32>| -> Result<Vec<Vec<f32>>> {
        let hidden = model.hidden(&Pack::new(&[sequence], Device::Cpu)?)?;
        let flat = tensors::floats(&model.logits(&hidden)?)?;
        Ok(flat
            .chunks(model.config().vocab_size as usize)
            .map(<[f32]>::to_vec)
            .collect())
    };
    let all = sequences
        .iter()
        .map(of_sequence)
        .collect::<Result<Vec<_>>>()?;
    serde_json::to_string(&all).map_err(|error| Error::Invalid(error.to_string()))
}

/// Writes a fresh model with the shape of a `config.json` into a folder.
pub fn initialise(config: &Path, seed: u64, out: &Path) -> Result<()> {
    device::open("cpu", false)?;
    let text = std::fs::read_to_string(config).at(config)?;
    let place = config.display().to_string();
    let value =
        serde_json::from_str(&text).map_err(|error| Error::Invalid(format!("{place}: {error}")))?;
    let config = ModelConfig::from_json(&value, &place)?;
    std::fs::create_dir_all(out).at(out)?;
    Model::initialise(&config, seed, Device::Cpu)?.save(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_model_gives_logits_of_the_right_shape() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(
            path("config.json"),
            ModelConfig::gpt2(50, 16, 1, 2, 8).to_json().to_string(),
        )
        .unwrap();
        std::fs::write(path("tokens.json"), "[[1, 2, 3], [4]]").unwrap();
        initialise(&path("config.json"), 1, &path("model")).unwrap();
        let rows: Vec<Vec<Vec<f32>>> =
            serde_json::from_str(&logits(&path("model"), &path("tokens.json")).unwrap()).unwrap();
        assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1]);
        assert!(rows.iter().flatten().all(|row| row.len() == 50));
    }
}
