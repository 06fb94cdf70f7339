use begat_schemas::api::{ReproduceRequest, ReproduceState, RunVerdict};
use begat_schemas::{RunId, Time};
use uuid::Uuid;

use crate::entry::ReproductionHead;
use crate::error::{LedgerError, Refusal};
use crate::fold::run;
use crate::key;
use crate::view::{View, mark, read, write};

pub(super) fn created(
    view: &mut dyn View,
    time: Time,
    id: Uuid,
    request: &ReproduceRequest,
    runs: &[RunId],
) -> Result<(), LedgerError> {
    if view.get(&key::reproduction(id))?.is_some() {
        return Err(Refusal::Twice(format!("reproduction {id}")).into());
    }
    for run in runs {
        run::status(view, *run)?;
    }
    let head = ReproductionHead {
        request: request.clone(),
        created: time,
        runs: runs.to_vec(),
        state: ReproduceState::Running,
    };
    write(view, key::reproduction(id), &head)?;
    mark(view, key::open_reproduction(id))
}

pub(super) fn verdict(
    view: &mut dyn View,
    id: Uuid,
    verdict: &RunVerdict,
) -> Result<(), LedgerError> {
    head(view, id)?;
    write(view, key::verdict(id, verdict.run), verdict)
}

pub(super) fn state(
    view: &mut dyn View,
    id: Uuid,
    state: ReproduceState,
) -> Result<(), LedgerError> {
    let mut head = head(view, id)?;
    head.state = state;
    write(view, key::reproduction(id), &head)?;
    let open = key::open_reproduction(id);
    if state == ReproduceState::Running {
        mark(view, open)
    } else {
        view.remove(open)
    }
}

fn head(view: &dyn View, id: Uuid) -> Result<ReproductionHead, LedgerError> {
    read(view, &key::reproduction(id))?.ok_or(Refusal::NoSuchReproduction(id).into())
}
