//! Reading a recipe with the files that belong to it: its models, and the sources of its `command` stages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use begat_schemas::recipe::{BadRecipe, InputRef, Override, ParsedRecipe, RecipeError, parse};
use begat_schemas::{InputName, Recipe, SOURCE_INPUT, StageName, TreeDigest};

/// A recipe that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedRecipe {
    /// The recipe.
    pub recipe: Recipe,
    /// Per `command` stage the paths of its sources, relative to `folder`.
    pub sources: BTreeMap<StageName, Vec<String>>,
    /// The recipe file's folder.
    pub folder: PathBuf,
}

/// Why a recipe could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeFileError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// What it says is no recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// Its sources do not fit it.
    #[error(transparent)]
    Sources(#[from] BadRecipe),
}

/// Reads the recipe at `path` with `overrides`. A model that it names is looked for in `models/` beside the recipe's
/// folder and its parents, then in `extra_models`.
pub fn load_recipe(
    path: &Path,
    overrides: &[Override],
    extra_models: &[PathBuf],
) -> Result<LoadedRecipe, RecipeFileError> {
    let text = std::fs::read_to_string(path).map_err(|source| RecipeFileError::Read {
        path: path.to_owned(),
        source,
    })?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
        .to_owned();
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let folders = model_folders(&folder, extra_models);
    let file = path.display().to_string();
    let ParsedRecipe { recipe, sources } = parse(&file, stem, &text, overrides, &|name| {
        read_model(name, &folders)
    })?;
    Ok(LoadedRecipe {
        recipe,
        sources,
        folder,
    })
}

/// Where models are looked for, in order.
fn model_folders(recipe: &Path, extra: &[PathBuf]) -> Vec<PathBuf> {
    let absolute = std::path::absolute(recipe).unwrap_or_else(|_| recipe.to_owned());
    let mut folders: Vec<PathBuf> = absolute
        .ancestors()
        .map(|above| above.join("models"))
        .collect();
    folders.extend(extra.iter().cloned());
    folders
}

fn read_model(name: &str, folders: &[PathBuf]) -> Result<(String, String), String> {
    let is_plain = !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.');
    if !is_plain {
        return Err(format!(
            "`{name}` is no model's name: expected that of a file `models/NAME.toml`, without `.toml`"
        ));
    }
    for folder in folders {
        let path = folder.join(format!("{name}.toml"));
        match std::fs::read_to_string(&path) {
            Ok(text) => return Ok((path.display().to_string(), text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        }
    }
    Err(no_such_model(name, folders))
}

fn no_such_model(name: &str, folders: &[PathBuf]) -> String {
    let known = folders.iter().find_map(|folder| {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .ok()?
            .filter_map(|entry| {
                let file = entry.ok()?.file_name().into_string().ok()?;
                file.strip_suffix(".toml").map(str::to_owned)
            })
            .collect();
        names.sort();
        let names = (!names.is_empty()).then(|| names.join(", "))?;
        Some(format!("{} holds {names}", folder.display()))
    });
    let known = known.unwrap_or_else(|| {
        "there is no folder `models` beside the recipe's folder or above it".to_owned()
    });
    format!("there is no model `{name}`: {known}")
}

/// The recipe with the trees of its sources as inputs.
pub fn with_sources(
    recipe: &Recipe,
    trees: &BTreeMap<StageName, TreeDigest>,
) -> Result<Recipe, BadRecipe> {
    let mut stages = recipe.stages().to_vec();
    for stage in &mut stages {
        if let Some(tree) = trees.get(&stage.name) {
            let name = InputName::new(SOURCE_INPUT).expect("`source` is a name");
            stage.inputs.insert(name, InputRef::Name(tree.to_string()));
        }
    }
    Recipe::new(recipe.name().clone(), recipe.seed(), stages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const MODEL: &str =
        "model_type = \"gpt2\"\nn_embd = 32\nn_layer = 2\nn_head = 2\nn_positions = 64\n";
    const RECIPE: &str = "model = \"tiny\"\n[stages.pretrain]\nkind = \"pretrain\"\n\
        inputs = { corpus = \"c\", tokenizer = \"t\" }\nmax_steps = 2\nmax_length = 16\n\
        per_device_train_batch_size = 1\nlearning_rate = 1e-3\n";

    fn layout(model_at: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let models = folder.path().join(model_at);
        fs::create_dir_all(&models).unwrap();
        fs::create_dir_all(folder.path().join("configs/recipes/test")).unwrap();
        fs::write(models.join("tiny.toml"), MODEL).unwrap();
        fs::write(folder.path().join("configs/recipes/test/gpt.toml"), RECIPE).unwrap();
        folder
    }

    #[test]
    fn models_are_found_beside_the_recipe_and_above() {
        for place in [
            "configs/models",
            "configs/recipes/models",
            "configs/recipes/test/models",
            "models",
        ] {
            let folder = layout(place);
            let recipe = folder.path().join("configs/recipes/test/gpt.toml");
            let loaded = load_recipe(&recipe, &[], &[]).unwrap();
            assert_eq!(loaded.recipe.name().as_str(), "gpt", "{place}");
        }
        let folder = layout("elsewhere");
        let recipe = folder.path().join("configs/recipes/test/gpt.toml");
        let extra = [folder.path().join("elsewhere")];
        assert!(load_recipe(&recipe, &[], &extra).is_ok());
    }

    #[test]
    fn an_unknown_model_is_an_error_with_place_and_choices() {
        let folder = layout("configs/models");
        let recipe = folder.path().join("configs/recipes/test/gpt.toml");
        let wish = "model=huge".parse().unwrap();
        let error = load_recipe(&recipe, &[wish], &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("--set model=huge: model: there is no model `huge`: "),
            "{error}"
        );
        assert!(error.ends_with("configs/models holds tiny"), "{error}");
        fs::write(&recipe, RECIPE.replace("\"tiny\"", "\"../tiny\"")).unwrap();
        let error = load_recipe(&recipe, &[], &[]).unwrap_err().to_string();
        assert!(
            error.contains("gpt.toml:1: model: `../tiny` is no model's name"),
            "{error}"
        );
    }

    #[test]
    fn errors_name_file_line_and_the_nearest_key() {
        let folder = layout("configs/models");
        let recipe = folder.path().join("configs/recipes/test/gpt.toml");
        fs::write(&recipe, RECIPE.replace("max_steps", "max_step")).unwrap();
        let error = load_recipe(&recipe, &[], &[]).unwrap_err().to_string();
        let end = "gpt.toml:5: stages.pretrain.max_step: unknown key; did you mean `max_steps`?";
        assert!(error.ends_with(end), "{error}");
    }

    #[test]
    fn a_command_stage_takes_its_source_as_an_input() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plain.toml");
        let text = "[stages.fit]\nkind = \"command\"\nargv = [\"python3\", \"fit.py\"]\n\
            source = [\"fit.py\"]\noutputs = { result = \"files\" }\n";
        fs::write(&path, text).unwrap();
        let loaded = load_recipe(&path, &[], &[]).unwrap();
        let stage = StageName::new("fit").unwrap();
        assert_eq!(loaded.sources[&stage], ["fit.py"]);
        let tree = TreeDigest::of(b"source");
        let recipe =
            with_sources(&loaded.recipe, &BTreeMap::from([(stage.clone(), tree)])).unwrap();
        let input = &recipe.stage(&stage).unwrap().inputs["source"];
        assert_eq!(*input, InputRef::Name(tree.to_string()));
    }
}
