use begat_schemas::api::LaunchState;
use begat_schemas::{LaunchId, Time};

use crate::entry::{LaunchHead, LaunchUse, StageRunEntry};
use crate::error::{LedgerError, Refusal};
use crate::fold::run;
use crate::key;
use crate::record::Record;
use crate::view::{View, mark, read, write};

pub(super) fn created(view: &mut dyn View, time: Time, record: &Record) -> Result<(), LedgerError> {
    let Record::LaunchCreated {
        launch,
        recipe,
        recipe_blob,
        overrides,
        rerun,
        stages,
    } = record
    else {
        return Ok(());
    };
    let at = key::launch(*launch);
    if view.get(&at)?.is_some() {
        return Err(Refusal::Twice(format!("launch {launch}")).into());
    }
    let head = LaunchHead {
        recipe: recipe.clone(),
        recipe_blob: *recipe_blob,
        overrides: overrides.clone(),
        rerun: rerun.clone(),
        stages: stages.clone(),
        created: time,
        state: LaunchState::Running,
    };
    write(view, at, &head)?;
    mark(view, key::recipe_launch(recipe, *launch))?;
    mark(view, key::open_launch(*launch))
}

pub(super) fn state(
    view: &mut dyn View,
    launch: LaunchId,
    state: LaunchState,
) -> Result<(), LedgerError> {
    let mut head = head(view, launch)?;
    head.state = state;
    write(view, key::launch(launch), &head)?;
    let open = key::open_launch(launch);
    if state == LaunchState::Running {
        mark(view, open)
    } else {
        view.remove(open)
    }
}

pub(super) fn stage_run(
    view: &mut dyn View,
    time: Time,
    record: &Record,
) -> Result<(), LedgerError> {
    let Record::StageRun {
        launch,
        stage,
        run,
        found,
        attempt,
    } = record
    else {
        return Ok(());
    };
    let head = head(view, *launch)?;
    if !head.stages.iter().any(|known| known.stage == *stage) {
        return Err(Refusal::NoSuchStage {
            launch: *launch,
            stage: stage.clone(),
        }
        .into());
    }
    let entry = StageRunEntry {
        run: *run,
        found: *found,
        attempt: *attempt,
        time,
    };
    let at = key::stage_run(*launch, stage);
    let before: Option<StageRunEntry> = read(view, &at)?;
    write(view, at, &entry)?;
    if before.is_some_and(|before| before.run == *run) {
        // The launch goes on with it, or waits for another attempt of it: it is no further use.
        run::status(view, *run)?;
        return Ok(());
    }
    let usage = LaunchUse {
        launch: *launch,
        recipe: head.recipe,
        stage: stage.clone(),
    };
    run::used(view, *run, &usage)
}

fn head(view: &dyn View, launch: LaunchId) -> Result<LaunchHead, LedgerError> {
    read(view, &key::launch(launch))?.ok_or(Refusal::NoSuchLaunch(launch).into())
}
