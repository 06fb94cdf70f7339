use begat_schemas::{AttemptId, Derivation, RunId, RunState, Time, TreeDigest};

use crate::entry::{AttemptStatus, LaunchUse, RunHead, RunStatus};
use crate::error::{LedgerError, Refusal};
use crate::key::{self, About};
use crate::record::AttemptEnd;
use crate::state::{StateEvent, transition};
use crate::view::{View, mark, read, write};

pub(super) fn declared(
    view: &mut dyn View,
    time: Time,
    run: RunId,
    derivation: &Derivation,
) -> Result<(), LedgerError> {
    if view.get(&key::run_status(run))?.is_some() {
        return Ok(());
    }
    let found = derivation
        .run_id()
        .map_or_else(|error| error.to_string(), |found| found.to_string());
    if found != run.to_string() {
        return Err(Refusal::NotItsDerivation { run, found }.into());
    }
    for (name, tree) in &derivation.inputs {
        mark(view, key::consumer(*tree, run, name))?;
    }
    let head = RunHead {
        derivation: derivation.clone(),
    };
    write(view, key::run(run), &head)?;
    mark(view, key::run_by_time(time, run))?;
    let status = RunStatus {
        kind: derivation.kind,
        declared: time,
        state: RunState::Queued,
        reason: None,
        attempts: 0,
        output_attempt: None,
        current_attempt: None,
        started: None,
        uses: 0,
    };
    enter_state(view, run, &status)?;
    write(view, key::run_status(run), &status)
}

pub(super) fn state(
    view: &mut dyn View,
    run: RunId,
    state: RunState,
    reason: Option<String>,
) -> Result<(), LedgerError> {
    if !matches!(
        state,
        RunState::Queued | RunState::Failed | RunState::Cancelled
    ) {
        return Err(Refusal::BadState {
            what: format!("run {run}"),
            state: state.to_string(),
        }
        .into());
    }
    let mut status = status(view, run)?;
    if status.state == state {
        status.reason = reason;
        return write(view, key::run_status(run), &status);
    }
    if state.is_final() {
        no_live_attempt(view, run, &status)?;
    }
    move_to(view, run, &mut status, StateEvent::leading_to(state))?;
    status.reason = reason;
    write(view, key::run_status(run), &status)
}

/// Refuses if the attempt that launches wait for has not ended.
pub(super) fn no_live_attempt(
    view: &dyn View,
    run: RunId,
    status: &RunStatus,
) -> Result<(), LedgerError> {
    let Some(number) = status.current_attempt else {
        return Ok(());
    };
    let id = AttemptId { run, number };
    match view.get(&key::attempt(About::LiveAttempt, id))? {
        None => Ok(()),
        Some(_) => Err(Refusal::AttemptAlive(id).into()),
    }
}

pub(super) fn used(view: &mut dyn View, run: RunId, usage: &LaunchUse) -> Result<(), LedgerError> {
    let mut status = status(view, run)?;
    write(view, key::run_use(run, status.uses), usage)?;
    status.uses += 1;
    mark(
        view,
        key::run_by_recipe(&usage.recipe, status.declared, run),
    )?;
    write(view, key::run_status(run), &status)
}

/// What changes of the run, if it is known.
pub(super) fn status(view: &dyn View, run: RunId) -> Result<RunStatus, LedgerError> {
    read(view, &key::run_status(run))?.ok_or(Refusal::NoSuchRun(run).into())
}

/// Moves the run to where `event` leads, and the lists of runs by state with it.
pub(super) fn move_to(
    view: &mut dyn View,
    run: RunId,
    status: &mut RunStatus,
    event: StateEvent,
) -> Result<(), LedgerError> {
    let next = transition(status.state, event).map_err(|bad| Refusal::BadTransition {
        what: format!("run {run}"),
        bad,
    })?;
    leave_state(view, run, status)?;
    status.state = next;
    enter_state(view, run, status)
}

fn enter_state(view: &mut dyn View, run: RunId, status: &RunStatus) -> Result<(), LedgerError> {
    mark(view, key::run_by_state(status.state, status.declared, run))?;
    count(view, status.state, 1)?;
    if status.state == RunState::Succeeded {
        mark(view, key::finished(status.kind, status.declared, run))?;
    }
    Ok(())
}

fn leave_state(view: &mut dyn View, run: RunId, status: &RunStatus) -> Result<(), LedgerError> {
    view.remove(key::run_by_state(status.state, status.declared, run))?;
    count(view, status.state, -1)
}

fn count(view: &mut dyn View, state: RunState, by: i64) -> Result<(), LedgerError> {
    let at = key::count(state);
    let before: i64 = read(view, &at)?.unwrap_or(0);
    write(view, at, &(before + by))
}

pub(super) fn removed(view: &mut dyn View, run: RunId) -> Result<(), LedgerError> {
    let status = status(view, run)?;
    if !status.state.is_final() {
        return Err(Refusal::BadState {
            what: format!("run {run}, which is {},", status.state),
            state: "unknown".to_owned(),
        }
        .into());
    }
    let head: Option<RunHead> = read(view, &key::run(run))?;
    let derivation = head.ok_or(Refusal::NoSuchRun(run))?.derivation;
    for number in 1..=status.attempts {
        remove_attempt(view, AttemptId { run, number })?;
    }
    for number in 0..status.uses {
        remove_use(view, run, number, status.declared)?;
    }
    for (name, tree) in &derivation.inputs {
        view.remove(key::consumer(*tree, run, name))?;
    }
    leave_state(view, run, &status)?;
    view.remove(key::finished(derivation.kind, status.declared, run))?;
    view.remove(key::run_by_time(status.declared, run))?;
    view.remove(key::run(run))?;
    view.remove(key::run_status(run))
}

fn remove_attempt(view: &mut dyn View, id: AttemptId) -> Result<(), LedgerError> {
    if view.get(&key::attempt(About::LiveAttempt, id))?.is_some() {
        return Err(Refusal::AttemptAlive(id).into());
    }
    let end: Option<AttemptEnd> = read(view, &key::attempt(About::AttemptEnd, id))?;
    for (name, tree) in end.iter().flat_map(|end| &end.outputs) {
        view.remove(key::output_of(*tree, id, name))?;
    }
    let status: Option<AttemptStatus> = read(view, &key::attempt(About::AttemptStatus, id))?;
    let kept: Vec<(u64, TreeDigest)> = status.map(|status| status.checkpoints).unwrap_or_default();
    for (step, tree) in kept {
        view.remove(key::checkpoint_of(tree, id, step))?;
    }
    for about in [About::Attempt, About::AttemptStatus, About::AttemptEnd] {
        view.remove(key::attempt(about, id))?;
    }
    Ok(())
}

fn remove_use(
    view: &mut dyn View,
    run: RunId,
    number: u32,
    declared: Time,
) -> Result<(), LedgerError> {
    let at = key::run_use(run, number);
    if let Some(usage) = read::<LaunchUse>(view, &at)? {
        view.remove(key::run_by_recipe(&usage.recipe, declared, run))?;
    }
    view.remove(at)
}
