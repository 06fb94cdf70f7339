//! Plans and launches.

use begat_ledger::{LaunchStage, Record};
use begat_schemas::api::{LaunchRequest, LaunchState, LaunchView, Plan};
use begat_schemas::{InputRef, LaunchId, Recipe, RecipeName, Stage, StageName};

use super::{Engine, EngineError, Shared};
use crate::scheduler::{Event, PlanLookup, needs, plan};

impl Engine {
    /// What launching would do.
    pub async fn plan(&self, request: LaunchRequest) -> Result<Plan, EngineError> {
        self.run_blocking(move |shared| {
            let recipe = shared.pin(&request.recipe)?;
            check_rerun(&recipe, &request.rerun)?;
            let known = |run| shared.known(run, None);
            let nearest = |derivation: &_| Ok(shared.ledger.nearest_finished(derivation)?);
            let lookup = PlanLookup {
                known: &known,
                nearest: &nearest,
            };
            plan(&recipe, &request.rerun, &lookup)
        })
        .await
    }

    /// Launches the recipe. The launch is durable when this returns.
    pub async fn launch(&self, request: LaunchRequest) -> Result<LaunchView, EngineError> {
        self.refuse_when_failed()?;
        let (launch, event) = self
            .run_blocking(move |shared| shared.record_launch(request))
            .await?;
        self.handle(event).await?;
        self.view(launch).await
    }

    /// The newest launches, newest first.
    pub async fn launches(
        &self,
        recipe: Option<RecipeName>,
        limit: usize,
    ) -> Result<Vec<LaunchView>, EngineError> {
        self.run_blocking(move |shared| {
            let ids = shared.ledger.launches(recipe.as_ref(), limit)?;
            let mut views = Vec::with_capacity(ids.len());
            for id in ids {
                views.extend(shared.launch_view(id)?);
            }
            Ok(views)
        })
        .await
    }

    /// The launch that `name` means, or a recipe's newest.
    pub async fn launch_view(&self, name: &str) -> Result<LaunchView, EngineError> {
        let launch = self.launch_of(name).await?;
        self.view(launch).await
    }

    /// Cancels a launch; what no other launch needs is stopped.
    pub async fn cancel_launch(&self, name: &str) -> Result<LaunchView, EngineError> {
        let launch = self.launch_of(name).await?;
        let view = self.view(launch).await?;
        if view.state != LaunchState::Running {
            return Err(EngineError::Conflict {
                problem: format!("launch {launch} is over: it {}", told(view.state)),
            });
        }
        self.handle(Event::CancelLaunch(launch)).await?;
        self.view(launch).await
    }

    /// Goes on with a launch that failed or was cancelled, from the checkpoints that are there.
    pub async fn resume_launch(&self, name: &str) -> Result<LaunchView, EngineError> {
        let launch = self.launch_of(name).await?;
        self.resume(launch).await?;
        self.view(launch).await
    }

    pub(super) async fn resume(&self, launch: LaunchId) -> Result<(), EngineError> {
        let state = self.view(launch).await?.state;
        if !matches!(state, LaunchState::Failed | LaunchState::Cancelled) {
            return Err(EngineError::Conflict {
                problem: format!("launch {launch} has nothing to resume: it {}", told(state)),
            });
        }
        let event = self
            .run_blocking(move |shared| {
                let event = shared.launch_event(launch, true)?;
                shared.record(vec![Record::LaunchState {
                    launch,
                    state: LaunchState::Running,
                }])?;
                Ok(event)
            })
            .await?;
        match event {
            Some(event) => self.handle(event).await,
            None => Err(EngineError::internal("the launch's recipe cannot be read")),
        }
    }

    async fn launch_of(&self, name: &str) -> Result<LaunchId, EngineError> {
        let name = name.to_owned();
        self.run_blocking(move |shared| shared.launch_named(&name))
            .await
    }

    async fn view(&self, launch: LaunchId) -> Result<LaunchView, EngineError> {
        let view = self
            .run_blocking(move |shared| shared.launch_view(launch))
            .await?;
        view.ok_or_else(|| EngineError::not_found(&launch.to_string(), "launch"))
    }
}

fn told(state: LaunchState) -> &'static str {
    match state {
        LaunchState::Running => "is running",
        LaunchState::Succeeded => "has succeeded",
        LaunchState::Failed => "has failed",
        LaunchState::Cancelled => "was cancelled",
    }
}

fn check_rerun(recipe: &Recipe, rerun: &[StageName]) -> Result<(), EngineError> {
    match rerun.iter().find(|stage| recipe.stage(stage).is_none()) {
        None => Ok(()),
        Some(stage) => Err(EngineError::BadRecipe {
            key: "rerun".to_owned(),
            problem: format!("recipe `{}` has no stage `{stage}`", recipe.name()),
            near: None,
        }),
    }
}

impl Shared {
    fn record_launch(&self, request: LaunchRequest) -> Result<(LaunchId, Event), EngineError> {
        let recipe = self.pin(&request.recipe)?;
        check_rerun(&recipe, &request.rerun)?;
        let _nothing_is_collected_meanwhile = self.gate.read();
        let text = serde_json::to_vec(&recipe).map_err(EngineError::internal)?;
        let recipe_blob = self.store.put_bytes(&text)?;
        self.store.commit()?;
        let launch = LaunchId::now();
        self.record(vec![Record::LaunchCreated {
            launch,
            recipe: recipe.name().clone(),
            recipe_blob,
            overrides: request.overrides,
            rerun: request.rerun.clone(),
            stages: recipe.stages().iter().map(launch_stage).collect(),
        }])?;
        let event = Event::Launched {
            launch,
            recipe: std::sync::Arc::new(recipe),
            rerun: request.rerun.into_iter().collect(),
            resume: false,
        };
        Ok((launch, event))
    }

    /// The recipe with the digest in place of every name from outside: a ref that moves later changes nothing.
    fn pin(&self, recipe: &Recipe) -> Result<Recipe, EngineError> {
        let mut stages = recipe.stages().to_vec();
        for stage in &mut stages {
            let name = stage.name.clone();
            for (input, from) in &mut stage.inputs {
                if let InputRef::Name(text) = from {
                    let place = format!("stages.{name}.inputs.{input}");
                    let tree = self
                        .tree_named(text)
                        .map_err(|error| placed(&place, error))?;
                    if !self.store.has_tree(tree)? {
                        return Err(EngineError::NoInput {
                            place,
                            name: text.clone(),
                            near: None,
                        });
                    }
                    *from = InputRef::Name(tree.to_string());
                }
            }
        }
        Recipe::new(recipe.name().clone(), recipe.seed(), stages).map_err(|error| {
            EngineError::BadRecipe {
                key: error.key,
                problem: error.problem,
                near: error.nearest,
            }
        })
    }

    fn launch_view(&self, launch: LaunchId) -> Result<Option<LaunchView>, EngineError> {
        let Some(mut view) = self.ledger.launch_view(launch)? else {
            return Ok(None);
        };
        for stage in &mut view.stages {
            let live = stage.run.and_then(|run| self.live.of_run(run));
            if let Some(live) = live {
                stage.progress = live.summary.lock().reached.progress;
            }
        }
        Ok(Some(view))
    }
}

fn placed(place: &str, error: EngineError) -> EngineError {
    match error {
        EngineError::NotFound { name, near, .. } => EngineError::NoInput {
            place: place.to_owned(),
            name,
            near,
        },
        error => error,
    }
}

fn launch_stage(stage: &Stage) -> LaunchStage {
    LaunchStage {
        stage: stage.name.clone(),
        kind: stage.kind,
        needs: needs(stage),
    }
}
