use begat_schemas::api::RefChange;
use begat_schemas::{RefName, Time, TreeDigest};

use crate::entry::{Addition, RefHead};
use crate::error::{LedgerError, Refusal};
use crate::key;
use crate::record::Record;
use crate::view::{View, mark, read, write};

pub(super) fn moved(
    view: &mut dyn View,
    time: Time,
    name: &RefName,
    tree: Option<TreeDigest>,
    reason: &str,
) -> Result<(), LedgerError> {
    let before: Option<RefHead> = read(view, &key::reference(name))?;
    let from = before.as_ref().and_then(|head| head.tree);
    if from.is_none() && tree.is_none() {
        return Err(Refusal::NoSuchRef(name.clone()).into());
    }
    if let Some(from) = from {
        view.remove(key::ref_to(from, name))?;
    }
    if let Some(to) = tree {
        mark(view, key::ref_to(to, name))?;
    }
    let moves = before.map_or(0, |head| head.moves);
    let change = RefChange {
        time,
        tree,
        reason: reason.to_owned(),
    };
    write(view, key::ref_move(name, moves), &change)?;
    let head = RefHead {
        tree,
        time,
        reason: reason.to_owned(),
        moves: moves + 1,
    };
    write(view, key::reference(name), &head)
}

pub(super) fn added(view: &mut dyn View, time: Time, record: &Record) -> Result<(), LedgerError> {
    let Record::TreeAdded {
        tree,
        by,
        name,
        files,
        bytes,
    } = record
    else {
        return Ok(());
    };
    let addition = Addition {
        time,
        by: by.clone(),
        name: name.clone(),
        files: *files,
        bytes: *bytes,
    };
    write(view, key::addition(*tree, time, by), &addition)
}
