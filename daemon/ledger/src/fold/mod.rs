//! What each record changes in the index: the ledger's meaning, as one pure function over a [`View`].
//!
//! The same function serves a live append, the replay of the log's tail at start, and a rebuild, so that they cannot
//! disagree. It reads only single keys, since an index being rebuilt can answer nothing else, and refuses what
//! contradicts what is known.

mod attempt;
mod launch;
mod refs;
mod reproduction;
mod run;

use begat_schemas::Time;

use crate::error::LedgerError;
use crate::log::Append;
use crate::record::Record;
use crate::view::View;

/// Folds all of `append` into `view`.
pub(crate) fn fold_append(view: &mut dyn View, append: &Append) -> Result<(), LedgerError> {
    append
        .records
        .iter()
        .try_for_each(|record| fold(view, append.time, record))
}

/// Folds one record into `view`.
fn fold(view: &mut dyn View, time: Time, record: &Record) -> Result<(), LedgerError> {
    match record {
        Record::LaunchCreated { .. } => launch::created(view, time, record),
        Record::LaunchState { launch, state } => launch::state(view, *launch, *state),
        Record::StageRun { .. } => launch::stage_run(view, time, record),
        Record::RunDeclared { run, derivation } => run::declared(view, time, *run, derivation),
        Record::RunState { run, state, reason } => run::state(view, *run, *state, reason.clone()),
        Record::RunRemoved { run } => run::removed(view, *run),
        Record::AttemptStarted { .. } => attempt::started(view, time, record),
        Record::AttemptProcess { attempt, process } => attempt::process(view, *attempt, process),
        Record::AttemptResumed { attempt, .. } => attempt::resumed(view, *attempt),
        Record::AttemptState {
            attempt,
            state,
            reason,
        } => attempt::state(view, *attempt, *state, reason.clone()),
        Record::AttemptEnded { attempt, end } => attempt::ended(view, time, *attempt, end),
        Record::CheckpointKept {
            attempt,
            step,
            tree,
        } => attempt::checkpoint(view, time, *attempt, *step, *tree),
        Record::RefMoved { name, tree, reason } => refs::moved(view, time, name, *tree, reason),
        Record::TreeAdded { .. } => refs::added(view, time, record),
        Record::ReproductionCreated { id, request, runs } => {
            reproduction::created(view, time, *id, request, runs)
        }
        Record::ReproductionVerdict { id, verdict } => reproduction::verdict(view, *id, verdict),
        Record::ReproductionState { id, state } => reproduction::state(view, *id, *state),
    }
}
