//! A model folder as `transformers` writes it: `config.json` with `model.safetensors`, or with shards and their index.

use super::{config::ModelConfig, parameters};
use crate::{
    error::{At, Error, Result},
    tensors::{self, Named},
};
use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};
use tch::{Device, Tensor};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Writes the model; parents must exist.
pub(super) fn save(
    folder: &Path,
    config: &ModelConfig,
    parameters: &[(String, Tensor)],
) -> Result<()> {
    let path = folder.join("config.json");
    let mut text = serde_json::to_string_pretty(&config.to_json())
        .map_err(|error| Error::Invalid(error.to_string()))?;
    text.push('\n');
    std::fs::write(&path, text).at(&path)?;
    tensors::save(&folder.join(SINGLE), parameters)
}

/// Reads every parameter that the configuration asks for, in the configuration's order.
pub(super) fn load(folder: &Path, config: &ModelConfig, device: Device) -> Result<Named> {
    let mut found = HashMap::new();
    for path in weight_files(folder)? {
        let named = tensors::load(&path, device)?;
        found.extend(
            named
                .into_iter()
                .map(|(name, tensor)| (canonical_name(name, config), (tensor, path.clone()))),
        );
    }
    let wanted = parameters::list(config);
    wanted
        .into_iter()
        .map(|parameter| take(folder, &mut found, parameter))
        .collect()
}

fn take(
    folder: &Path,
    found: &mut HashMap<String, (Tensor, PathBuf)>,
    parameter: parameters::Parameter,
) -> Result<(String, Tensor)> {
    let name = parameter.name;
    let Some((tensor, path)) = found.remove(&name) else {
        return Err(Error::weights(
            folder,
            format!("no weights file holds the tensor `{name}` that config.json asks for"),
        ));
    };
    if tensor.size() != parameter.shape {
        let (found, expected) = (tensor.size(), parameter.shape);
        return Err(Error::weights(
            &path,
            format!("tensor `{name}` has the shape {found:?}; config.json asks for {expected:?}"),
        ));
    }
    Ok((name, tensor))
}

/// Folders saved from the bare model lack the prefix.
fn canonical_name(name: String, config: &ModelConfig) -> String {
    let prefix = match config.architecture {
        super::Architecture::Gpt2 => "transformer.",
        super::Architecture::Llama => "model.",
    };
    let is_head = name == "lm_head.weight" || name == "score.weight";
    if is_head || name.starts_with(prefix) {
        name
    } else {
        format!("{prefix}{name}")
    }
}

fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let (single, index) = (folder.join(SINGLE), folder.join(INDEX));
    if single.exists() || !index.exists() {
        return Ok(vec![single]);
    }
    let text = std::fs::read_to_string(&index).at(&index)?;
    let value: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| Error::weights(&index, format!("is not valid JSON: {error}")))?;
    let map = value
        .get("weight_map")
        .and_then(serde_json::Value::as_object);
    let map = map.ok_or_else(|| Error::weights(&index, "has no `weight_map`"))?;
    let mut names = BTreeSet::new();
    for (tensor, file) in map {
        let file = file
            .as_str()
            .filter(|file| Path::new(file).file_name() == Some(file.as_ref()));
        names.insert(file.ok_or_else(|| {
            Error::weights(&index, format!("names no plain file for `{tensor}`"))
        })?);
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}
