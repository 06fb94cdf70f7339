//! Work on many sequences without gradients, batch by batch, shared out over threads.

use std::ops::Range;

use crate::Device;
use crate::contract::StageResult;
use crate::error::Result;
use crate::model::Model;
use crate::train::share_out;

/// Calls `each` on every batch of `0..count` and gives its results in their order. Packs are exact, so neither `batch` nor
/// `threads` changes a bit of them.
pub(crate) fn in_batches<T: Send>(
    model: &Model,
    count: usize,
    batch: usize,
    threads: usize,
    each: impl Fn(&Model, Range<usize>) -> Result<Vec<T>> + Sync,
) -> StageResult<Vec<T>> {
    let lanes = if model.device() == Device::Cpu {
        threads.max(1)
    } else {
        1
    };
    let mut models = Vec::new();
    for _ in 0..lanes {
        models.push(model.share()?);
    }
    let batch = batch.max(1);
    let batches = count.div_ceil(batch);
    let per_lane = share_out(&mut models, lanes, |lane, model| {
        let _guard = tch::no_grad_guard();
        let mine = (lane..batches).step_by(lanes);
        let found = mine.map(|number| {
            let range = number * batch..((number + 1) * batch).min(count);
            each(model, range)
        });
        found.collect::<Result<Vec<Vec<T>>>>()
    })?;
    let mut per_lane: Vec<_> = per_lane.into_iter().map(Vec::into_iter).collect();
    let in_order = (0..batches).filter_map(|number| per_lane[number % lanes].next());
    Ok(in_order.flatten().collect())
}
