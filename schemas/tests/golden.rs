//! What must never change: run ids. What must stay current: the JSON Schemas.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use begat_schemas::recipe::{ParsedRecipe, parse};
use begat_schemas::{Derivation, InputRef, Recipe, RunId, TreeDigest, schema};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parse_file(path: &Path, models: &Path) -> ParsedRecipe {
    let stem = path.file_stem().unwrap().to_str().unwrap();
    parse(
        &path.display().to_string(),
        stem,
        &read(path),
        &[],
        &|name| {
            let file = models.join(format!("{name}.toml"));
            Ok((file.display().to_string(), read(&file)))
        },
    )
    .unwrap_or_else(|error| panic!("{error}"))
}

/// Run ids as if each named input were the tree of its own name, and each output that of its run's id and its name.
fn run_ids(recipe: &Recipe) -> Vec<(String, RunId)> {
    let mut ids: BTreeMap<String, RunId> = BTreeMap::new();
    let mut listed = Vec::new();
    for stage in recipe.stages() {
        let inputs = stage
            .inputs
            .iter()
            .map(|(name, input)| (name.clone(), stand_in(recipe, &ids, input)))
            .collect();
        let id = Derivation::new(&stage.params, inputs, stage.seed)
            .run_id()
            .unwrap();
        ids.insert(stage.name.to_string(), id);
        listed.push((format!("{}/{}", recipe.name(), stage.name), id));
    }
    listed
}

fn stand_in(recipe: &Recipe, ids: &BTreeMap<String, RunId>, input: &InputRef) -> TreeDigest {
    match input {
        InputRef::Name(name) => TreeDigest::of(name.as_bytes()),
        InputRef::Stage { stage, output } => {
            let parent = recipe.stage(stage).unwrap();
            let main = parent.params.outputs()[0].0.clone();
            let output = output.clone().unwrap_or(main);
            TreeDigest::of(format!("{}/{output}", ids[stage.as_str()]).as_bytes())
        }
    }
}

#[test]
fn run_ids_never_change() {
    let golden = folder("golden");
    let mut found = String::new();
    for name in ["gpt", "llama", "command", "align-gpt", "align-llama"] {
        let parsed = parse_file(&golden.join(format!("{name}.toml")), &golden);
        for (stage, id) in run_ids(&parsed.recipe) {
            found.push_str(&format!("{stage} {id}\n"));
        }
    }
    assert_eq!(found, read(&golden.join("run_ids.txt")));
}

#[test]
fn execution_and_names_do_not_move_a_run_id() {
    let golden = folder("golden");
    let text = read(&golden.join("gpt.toml"));
    let changed = text
        .replace(
            "save_steps = 10",
            "save_steps = 7\nthreads = 3\ndevice = \"cuda\"",
        )
        .replace("name = \"test-gpt\"", "name = \"other\"")
        .replace("[stages.sft]", "[stages.tuned]")
        .replace("@sft", "@tuned")
        .replace("4e-3", "0.004");
    assert_ne!(text, changed);
    let ids = |text: &str| -> Vec<RunId> {
        let models = |name: &str| Ok((name.to_owned(), read(&golden.join(format!("{name}.toml")))));
        let parsed = parse("recipe.toml", "recipe", text, &[], &models).unwrap();
        run_ids(&parsed.recipe)
            .into_iter()
            .map(|(_, id)| id)
            .collect()
    };
    assert_eq!(ids(&text), ids(&changed));
}

#[test]
fn every_shipped_recipe_parses_and_survives_its_json_form() {
    let configs = folder("../configs");
    for file in [
        "gpt",
        "llama",
        "hacked",
        "test/gpt",
        "test/llama",
        "test/align-gpt",
        "test/align-llama",
        "small/gpt",
        "small/llama",
    ] {
        let path = configs.join("recipes").join(format!("{file}.toml"));
        let recipe = parse_file(&path, &configs.join("models")).recipe;
        let json = serde_json::to_string(&recipe).unwrap();
        assert_eq!(
            serde_json::from_str::<Recipe>(&json).unwrap(),
            recipe,
            "{file}"
        );
    }
}

#[test]
fn json_schemas_are_current() {
    for (name, text) in schema::all() {
        let path = folder("json").join(name);
        assert_eq!(
            text,
            read(&path),
            "{name} is stale: cargo run -p begat-schemas --bin begat-schemas"
        );
    }
}
