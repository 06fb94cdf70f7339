//! Doing what the plan says, in the order that never loses anything.

use super::plan::Plan;
use crate::encoding::Decoder;
use crate::error::Error;
use crate::fs::At;
use crate::pack::PackNumber;
use crate::pack::reader::verify;
use crate::pack::record::Header;
use crate::store::Inner;

pub(super) fn apply(inner: &Inner, plan: &Plan) -> Result<(), Error> {
    if plan.packs.is_empty() {
        return Ok(());
    }
    copy(inner, plan)?;
    // Pack numbers count up from the highest there is, and an index that forgot a removal must never take a new pack for an
    // old one: so there is always a pack with a higher number than those that go.
    inner.ensure_open_pack(&mut inner.writer.lock())?;
    inner.commit()?;
    let numbers: Vec<PackNumber> = plan.packs.iter().map(|pack| pack.number).collect();
    inner.apply_removals(&plan.dead, &numbers)?;
    for pack in &plan.packs {
        inner.packs.forget(pack.number);
        inner.fs.remove(&pack.path).at("remove", &pack.path)?;
    }
    let folder = &inner.packs_folder;
    Ok(inner.fs.sync_dir(folder).at("sync", folder)?)
}

/// Copies live records as they are stored, verified, so that damage is not carried into a new pack under a sound header.
fn copy(inner: &Inner, plan: &Plan) -> Result<(), Error> {
    let mut decoder = Decoder::new();
    let (mut record, mut plain) = (Vec::new(), Vec::new());
    for (kind, id, at) in &plan.copies {
        inner.packs.read_raw(*at, &mut record)?;
        let damaged = |reason: String| Error::Damaged {
            object: format!("{} {id}", kind.word()),
            reason,
            pack: at.pack,
            offset: u64::from(at.offset),
        };
        verify(&record, *kind, *id, &mut decoder, &mut plain).map_err(damaged)?;
        let header = Header::decode(&record).map_err(|error| damaged(error.to_string()))?;
        inner.append_again(&header, &record)?;
    }
    Ok(())
}
