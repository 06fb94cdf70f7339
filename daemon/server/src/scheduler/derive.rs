//! From a stage of a recipe and its parents' outputs to its derivation, and from a recipe to a plan.

use std::collections::BTreeMap;

use begat_schemas::api::{Plan, PlanAction, PlanDifference, PlannedStage};
use begat_schemas::{
    Derivation, InputRef, OutputName, Recipe, RunId, RunState, Stage, StageName, TreeDigest,
};

use super::event::{Known, Outputs};

/// The derivation of `stage`, or the parents whose outputs are not known yet. `parent` gives a finished stage's outputs.
pub fn derive<'a>(
    recipe: &Recipe,
    stage: &Stage,
    parent: impl Fn(&StageName) -> Option<&'a Outputs>,
) -> Result<Derivation, Vec<StageName>> {
    let mut inputs = BTreeMap::new();
    let mut unknown = Vec::new();
    for (name, input) in &stage.inputs {
        match tree(recipe, input, &parent) {
            Some(tree) => drop(inputs.insert(name.clone(), tree)),
            None => unknown.extend(parent_of(input)),
        }
    }
    unknown.dedup();
    if unknown.is_empty() {
        Ok(Derivation::new(&stage.params, inputs, stage.seed))
    } else {
        Err(unknown)
    }
}

fn tree<'a>(
    recipe: &Recipe,
    input: &InputRef,
    parent: &impl Fn(&StageName) -> Option<&'a Outputs>,
) -> Option<TreeDigest> {
    match input {
        InputRef::Name(digest) => digest.parse().ok(),
        InputRef::Stage { stage, output } => {
            let name = match output {
                Some(output) => output.clone(),
                None => main_output(recipe.stage(stage)?),
            };
            parent(stage)?.get(&name).copied()
        }
    }
}

fn parent_of(input: &InputRef) -> Option<StageName> {
    match input {
        InputRef::Stage { stage, .. } => Some(stage.clone()),
        InputRef::Name(_) => None,
    }
}

/// The stages that `stage` needs, each once.
pub fn needs(stage: &Stage) -> Vec<StageName> {
    let mut needs: Vec<_> = stage.inputs.values().filter_map(parent_of).collect();
    needs.sort();
    needs.dedup();
    needs
}

/// The output that a stage's ref follows.
pub fn main_output(stage: &Stage) -> OutputName {
    let mut outputs = stage.params.outputs();
    outputs.swap_remove(0).0
}

/// What the ledger must answer for a plan.
pub struct PlanLookup<'a, E> {
    /// What is known of a run.
    pub known: &'a dyn Fn(RunId) -> Result<Known, E>,
    /// The finished run nearest to a derivation.
    pub nearest: &'a dyn Fn(&Derivation) -> Result<Option<PlanDifference>, E>,
}

/// What launching `recipe` would do. Its inputs name digests only.
pub fn plan<E>(
    recipe: &Recipe,
    rerun: &[StageName],
    lookup: &PlanLookup<'_, E>,
) -> Result<Plan, E> {
    let mut found: BTreeMap<StageName, Outputs> = BTreeMap::new();
    let mut stages = Vec::new();
    for stage in recipe.stages() {
        let derivation = derive(recipe, stage, |name| found.get(name));
        let again = rerun.contains(&stage.name);
        let planned = match derivation {
            Err(unknown) => planned(stage, PlanAction::KnownAfter, unknown),
            Ok(derivation) => {
                let (planned, outputs) = plan_known(stage, &derivation, again, lookup)?;
                found.extend(outputs.map(|outputs| (stage.name.clone(), outputs)));
                planned
            }
        };
        stages.push(planned);
    }
    Ok(Plan {
        recipe: recipe.name().clone(),
        stages,
    })
}

fn plan_known<E>(
    stage: &Stage,
    derivation: &Derivation,
    again: bool,
    lookup: &PlanLookup<'_, E>,
) -> Result<(PlannedStage, Option<Outputs>), E> {
    let run = run_id(derivation);
    let known = (lookup.known)(run)?;
    let succeeded = known.state == Some(RunState::Succeeded);
    let action = match known.state {
        Some(RunState::Succeeded) if !again => PlanAction::Found,
        Some(state) if !state.is_final() => PlanAction::Shared,
        _ => PlanAction::Run,
    };
    let mut planned = planned(stage, action, Vec::new());
    planned.run = Some(run);
    if action == PlanAction::Run && !again {
        planned.difference = (lookup.nearest)(derivation)?;
    }
    // A run that is made again keeps the outputs that it has, so what comes after it is known.
    Ok((planned, succeeded.then_some(known.outputs)))
}

fn planned(stage: &Stage, action: PlanAction, known_after: Vec<StageName>) -> PlannedStage {
    PlannedStage {
        stage: stage.name.clone(),
        kind: stage.kind,
        run: None,
        action,
        known_after,
        difference: None,
    }
}

/// The run of a derivation that was made from a checked recipe.
pub fn run_id(derivation: &Derivation) -> RunId {
    derivation
        .run_id()
        .expect("a checked recipe holds finite numbers and integers below 2^53")
}
