use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use begat_client::{Client, LoadedRecipe};
use begat_schemas::api::{LaunchRequest, LaunchState, LaunchView, StageState, StageView};
use begat_schemas::recipe::Override;
use begat_schemas::{Recipe, StageName};
use clap::Args;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::{follow, render};

/// Run a recipe; stages whose results are there are not run again
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  begat launch configs/recipes/gpt.toml --follow
  begat launch configs/recipes/gpt.toml --plan --set stages.sft.learning_rate=1e-3
  begat launch configs/recipes/gpt.toml --rerun sft

A model that the recipe names is read from models/NAME.toml beside the recipe's folder or a folder above it, else from
./configs/models. With --follow, the exit code is 7 if a stage fails.")]
pub struct Arguments {
    /// The recipe's file
    recipe: PathBuf,
    /// Change the recipe for this launch, as in stages.sft.learning_rate=1e-3
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = parse_override)]
    overrides: Vec<Override>,
    /// Run a stage again though its result is there
    #[arg(long, value_name = "STAGE")]
    rerun: Vec<StageName>,
    /// Watch until it is done
    #[arg(long, short)]
    follow: bool,
    /// Only say what would be done, and why
    #[arg(long, conflicts_with = "follow")]
    plan: bool,
}

fn parse_override(text: &str) -> Result<Override, String> {
    text.parse()
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let models = [PathBuf::from("configs/models")];
        let loaded = begat_client::load_recipe(&self.recipe, &self.overrides, &models)?;
        let client = context.client().await?;
        let request = LaunchRequest {
            recipe: add_sources(&client, loaded).await?,
            overrides: self.overrides.clone(),
            rerun: self.rerun.clone(),
        };
        if self.plan {
            let plan = client.plan(&request).await?;
            context.print(&plan, |plan| render::plan(plan, super::look(context)))?;
            return Ok(ExitCode::Success);
        }
        let view = client.launch(&request).await?;
        context
            .terminal
            .say(&format!("launched {} as {}", view.recipe, view.launch));
        if self.follow {
            return follow_to_the_end(context, &client, view).await;
        }
        context.print(&view, |view| format!("{}\n", view.launch))?;
        context.terminal.say(&format!(
            "`begat show {}` shows how it stands",
            view.launch
        ));
        Ok(ExitCode::Success)
    }
}

/// Stores the files that `command` stages run from, as their inputs.
async fn add_sources(client: &Client, loaded: LoadedRecipe) -> Result<Recipe, Failure> {
    let mut trees = BTreeMap::new();
    for (stage, paths) in &loaded.sources {
        let folder = match loaded.folder.as_path() {
            folder if folder == Path::new("") => Path::new("."),
            folder => folder,
        };
        let walk = begat_client::walk_listed(folder, paths)?;
        let added = begat_client::add(client, walk, Arc::new(|_| ())).await?;
        trees.insert(stage.clone(), added.added.tree);
    }
    let recipe = begat_client::with_sources(&loaded.recipe, &trees);
    recipe.map_err(|error| Failure::of(ExitCode::BadInput, error.to_string()))
}

async fn follow_to_the_end(
    context: &Context,
    client: &Client,
    view: LaunchView,
) -> Result<ExitCode, Failure> {
    let view = follow::launch(context, client, view).await?;
    let metrics = last_values(client, &view).await?;
    context.print(&view, |view| {
        render::stage_table(view, &metrics, super::look(context))
    })?;
    if view.state == LaunchState::Succeeded {
        return Ok(ExitCode::Success);
    }
    let what = match view.state {
        LaunchState::Cancelled => "was cancelled",
        _ => "failed",
    };
    let mut failure = Failure::of(ExitCode::RunFailed, format!("{} {what}", view.recipe));
    failure.facts = view
        .stages
        .iter()
        .filter_map(|stage| Some(format!("{}: {}", stage.stage, crate::text::printable(stage.reason.as_ref()?))))
        .collect();
    let failed = |stage: &&StageView| stage.state == StageState::Failed;
    let run = view.stages.iter().find(failed).and_then(|stage| stage.run);
    let logs = run.map(|run| format!("`begat logs {}` shows what the stage wrote; ", run.short()));
    Err(failure.hint(format!(
        "{}`begat resume {}` goes on from its checkpoint",
        logs.unwrap_or_default(),
        view.recipe
    )))
}

/// The last values of a launch's runs.
pub async fn last_values(client: &Client, view: &LaunchView) -> Result<follow::LastValues, Failure> {
    let mut values = BTreeMap::new();
    for run in view.stages.iter().filter_map(|stage| stage.run) {
        values.insert(run, client.run(&run.to_string()).await?.view.metrics);
    }
    Ok(values)
}
