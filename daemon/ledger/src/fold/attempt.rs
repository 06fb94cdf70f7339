use begat_schemas::{AttemptId, Purpose, RunState, Time, TreeDigest};

use crate::entry::{AttemptHead, AttemptStatus, ProducerEntry, RunStatus};
use crate::error::{LedgerError, Refusal};
use crate::fold::run;
use crate::key::{self, About};
use crate::record::{AttemptEnd, Process, Record};
use crate::state::{StateEvent, transition};
use crate::view::{View, mark, read, write};

pub(super) fn started(view: &mut dyn View, time: Time, record: &Record) -> Result<(), LedgerError> {
    let Record::AttemptStarted {
        attempt: id,
        purpose,
        execution,
        begat,
        work,
        recipe,
        stage,
    } = record
    else {
        return Ok(());
    };
    let mut run_status = run::status(view, id.run)?;
    check_number(*id, &run_status)?;
    if *purpose == Purpose::Launch {
        run::no_live_attempt(view, id.run, &run_status)?;
        run_status.current_attempt = Some(id.number);
        follow(
            view,
            *id,
            *purpose,
            &mut run_status,
            StateEvent::Start,
            None,
        )?;
    }
    run_status.attempts += 1;
    run_status.started.get_or_insert(time);
    write(view, key::run_status(id.run), &run_status)?;
    let head = AttemptHead {
        purpose: *purpose,
        execution: execution.clone(),
        begat: begat.clone(),
        work: work.clone(),
        recipe: recipe.clone(),
        stage: stage.clone(),
        started: time,
    };
    write(view, key::attempt(About::Attempt, *id), &head)?;
    mark(view, key::attempt(About::LiveAttempt, *id))?;
    let status = AttemptStatus {
        purpose: *purpose,
        state: RunState::Running,
        reason: None,
        resumes: 0,
        process: None,
        ended: None,
        checkpoints: Vec::new(),
    };
    write(view, key::attempt(About::AttemptStatus, *id), &status)
}

fn check_number(id: AttemptId, status: &RunStatus) -> Result<(), LedgerError> {
    let expected = status.attempts + 1;
    if id.number == expected {
        return Ok(());
    }
    Err(Refusal::AttemptNumber {
        run: id.run,
        expected,
        found: id.number,
    }
    .into())
}

pub(super) fn process(
    view: &mut dyn View,
    id: AttemptId,
    process: &Process,
) -> Result<(), LedgerError> {
    let mut status = status(view, id)?;
    status.process = Some(process.clone());
    write(view, key::attempt(About::AttemptStatus, id), &status)
}

pub(super) fn resumed(view: &mut dyn View, id: AttemptId) -> Result<(), LedgerError> {
    let mut status = status(view, id)?;
    status.resumes += 1;
    status.ended = None;
    status.process = None;
    happen(view, id, status, StateEvent::Start, None)
}

pub(super) fn state(
    view: &mut dyn View,
    id: AttemptId,
    state: RunState,
    reason: Option<String>,
) -> Result<(), LedgerError> {
    if !matches!(
        state,
        RunState::Storing | RunState::Interrupted | RunState::Queued
    ) {
        return Err(bad_state(id, state).into());
    }
    let status = status(view, id)?;
    happen(view, id, status, StateEvent::leading_to(state), reason)
}

pub(super) fn ended(
    view: &mut dyn View,
    time: Time,
    id: AttemptId,
    end: &AttemptEnd,
) -> Result<(), LedgerError> {
    if !end.state.is_final() {
        return Err(bad_state(id, end.state).into());
    }
    let mut status = status(view, id)?;
    status.ended = Some(time);
    let purpose = status.purpose;
    let event = StateEvent::leading_to(end.state);
    write(view, key::attempt(About::AttemptEnd, id), end)?;
    happen(view, id, status, event, end.reason.clone())?;
    if end.state == RunState::Succeeded {
        produced(view, time, id, purpose, end)?;
    }
    Ok(())
}

fn produced(
    view: &mut dyn View,
    time: Time,
    id: AttemptId,
    purpose: Purpose,
    end: &AttemptEnd,
) -> Result<(), LedgerError> {
    let mut run_status = run::status(view, id.run)?;
    if purpose == Purpose::Launch && run_status.output_attempt.is_none() {
        run_status.output_attempt = Some(id.number);
        write(view, key::run_status(id.run), &run_status)?;
    }
    for (name, tree) in &end.outputs {
        let entry = ProducerEntry {
            run: id.run,
            output: Some(name.clone()),
            step: None,
            attempt: id.number,
            official: run_status.output_attempt == Some(id.number),
            time,
        };
        write(view, key::output_of(*tree, id, name), &entry)?;
    }
    Ok(())
}

pub(super) fn checkpoint(
    view: &mut dyn View,
    time: Time,
    id: AttemptId,
    step: u64,
    tree: TreeDigest,
) -> Result<(), LedgerError> {
    let mut status = status(view, id)?;
    if status.checkpoints.contains(&(step, tree)) {
        return Ok(());
    }
    status.checkpoints.push((step, tree));
    status.checkpoints.sort_unstable();
    let official = status.purpose == Purpose::Launch;
    write(view, key::attempt(About::AttemptStatus, id), &status)?;
    let entry = ProducerEntry {
        run: id.run,
        output: None,
        step: Some(step),
        attempt: id.number,
        official,
        time,
    };
    write(view, key::checkpoint_of(tree, id, step), &entry)
}

fn status(view: &dyn View, id: AttemptId) -> Result<AttemptStatus, LedgerError> {
    read(view, &key::attempt(About::AttemptStatus, id))?.ok_or(Refusal::NoSuchAttempt(id).into())
}

/// Moves the attempt to where `event` leads, and its run with it.
fn happen(
    view: &mut dyn View,
    id: AttemptId,
    mut status: AttemptStatus,
    event: StateEvent,
    reason: Option<String>,
) -> Result<(), LedgerError> {
    status.state = transition(status.state, event).map_err(|bad| Refusal::BadTransition {
        what: format!("attempt {id}"),
        bad,
    })?;
    status.reason = reason.clone();
    let mut run_status = run::status(view, id.run)?;
    if event == StateEvent::Start && status.purpose == Purpose::Launch {
        // An attempt that goes on must be the one that launches wait for.
        if run_status.current_attempt != Some(id.number) {
            run::no_live_attempt(view, id.run, &run_status)?;
            run_status.current_attempt = Some(id.number);
        }
    }
    follow(view, id, status.purpose, &mut run_status, event, reason)?;
    write(view, key::run_status(id.run), &run_status)?;
    let live = key::attempt(About::LiveAttempt, id);
    if status.state.is_final() {
        view.remove(live)?;
    } else {
        mark(view, live)?;
    }
    write(view, key::attempt(About::AttemptStatus, id), &status)
}

/// A run goes where its current attempt goes, until it has succeeded; what was made again does not move it.
fn follow(
    view: &mut dyn View,
    id: AttemptId,
    purpose: Purpose,
    run_status: &mut RunStatus,
    event: StateEvent,
    reason: Option<String>,
) -> Result<(), LedgerError> {
    let leads = purpose == Purpose::Launch
        && run_status.current_attempt == Some(id.number)
        && run_status.output_attempt.is_none();
    if !leads {
        return Ok(());
    }
    if run_status.state != event.leads_to() {
        run::move_to(view, id.run, run_status, event)?;
    }
    run_status.reason = reason;
    Ok(())
}

fn bad_state(id: AttemptId, state: RunState) -> Refusal {
    Refusal::BadState {
        what: format!("attempt {id}"),
        state: state.to_string(),
    }
}
