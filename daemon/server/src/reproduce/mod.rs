//! Whether a result came out the same: stored bytes verified, outputs compared tensor by tensor, journals step by step.
//!
//! Nothing is compared with a digest that was only remembered: the outputs that count are read and verified, and the new
//! attempt's own are what it stored.

mod outputs;
mod tensors;

use std::io::Read;
use std::sync::Arc;

use begat_ledger::journal::{Decoded, Decoder, Fingerprints};
use begat_ledger::{AttemptEntry, Record};
use begat_schemas::api::{ReproduceState, RunVerdict};
use begat_schemas::{AttemptId, ExecutionClass, RunId, RunState, TreeDigest};
use uuid::Uuid;

use crate::attempts::{Source, source_of};
use crate::engine::{EngineError, Shared};
use crate::work::is_corruption;

const PIECE_BYTES: usize = 1 << 20;

/// Compares `attempt` with the one that counts, and writes down what came of it.
pub(crate) async fn compare(shared: Arc<Shared>, id: Uuid, run: RunId, attempt: Option<AttemptId>) {
    let inner = Arc::clone(&shared);
    let done = shared.blocking(move || {
        let verdict = verdict(&inner, run, attempt)?;
        conclude(&inner, id, verdict)
    });
    if let Some(Err(error)) = done.await {
        shared.fail(&error);
    }
}

/// The verdict on a run before anything is known: what a new reproduction begins with.
pub(crate) fn open_verdict(shared: &Shared, run: RunId) -> Result<RunVerdict, EngineError> {
    let entry = shared.ledger.run(run)?;
    let number = entry.and_then(|entry| entry.output_attempt).unwrap_or(1);
    let used = shared.ledger.launches_of(run)?.into_iter().next();
    Ok(RunVerdict {
        run,
        label: used.map(|used| format!("{}/{}", used.recipe, used.stage)),
        original: AttemptId { run, number },
        attempt: None,
        state: ReproduceState::Running,
        same_execution_class: None,
        differing_probes: Vec::new(),
        first_differing_step: None,
        steps_compared: 0,
        outputs: Vec::new(),
        reason: None,
    })
}

fn verdict(
    shared: &Shared,
    run: RunId,
    attempt: Option<AttemptId>,
) -> Result<RunVerdict, EngineError> {
    let mut verdict = open_verdict(shared, run)?;
    verdict.attempt = attempt;
    let entry = |id: AttemptId| shared.ledger.attempt(id);
    let (Some(original), Some(made)) = (
        entry(verdict.original)?,
        attempt.map(entry).transpose()?.flatten(),
    ) else {
        return Ok(failed(
            verdict,
            "it was cancelled before it began".to_owned(),
        ));
    };
    compare_journals(shared, &mut verdict, &original, &made)?;
    compare_classes(&mut verdict, &original, &made);
    if made.state != RunState::Succeeded {
        let reason = made.reason.clone();
        let reason = reason.unwrap_or_else(|| format!("the new attempt was {}", made.state));
        return Ok(failed(verdict, reason));
    }
    compare_outputs(shared, &mut verdict, &original, &made)?;
    Ok(verdict)
}

fn failed(mut verdict: RunVerdict, reason: String) -> RunVerdict {
    verdict.state = ReproduceState::Failed;
    verdict.reason = Some(reason);
    verdict
}

fn compare_outputs(
    shared: &Shared,
    verdict: &mut RunVerdict,
    original: &AttemptEntry,
    made: &AttemptEntry,
) -> Result<(), EngineError> {
    let outputs =
        |entry: &AttemptEntry| entry.end.clone().map(|end| end.outputs).unwrap_or_default();
    let made = outputs(made);
    verdict.state = ReproduceState::Identical;
    for (name, expected) in outputs(original) {
        if let Some(problem) = damage(shared, expected)? {
            verdict.state = ReproduceState::Corrupt;
            verdict.reason = Some(format!("the stored output `{name}` is damaged: {problem}"));
            return Ok(());
        }
        let Some(found) = made.get(&name) else {
            continue;
        };
        let compared = outputs::compare(&shared.store, name, expected, *found)?;
        if compared.expected != compared.found {
            verdict.state = ReproduceState::Different;
        }
        verdict.outputs.push(compared);
    }
    Ok(())
}

/// What is wrong with a stored tree, every byte of which is read.
fn damage(shared: &Shared, tree: TreeDigest) -> Result<Option<String>, EngineError> {
    match read_through(shared, tree) {
        Ok(()) => Ok(None),
        Err(error) if is_corruption(&error) => Ok(Some(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

fn read_through(shared: &Shared, tree: TreeDigest) -> Result<(), begat_store::Error> {
    for entry in shared.store.get_tree(tree)?.entries() {
        let mut reader = shared.store.get_blob(entry.blob)?;
        while reader.next_chunk()?.is_some() {}
    }
    Ok(())
}

fn compare_classes(verdict: &mut RunVerdict, original: &AttemptEntry, made: &AttemptEntry) {
    let class = |entry: &AttemptEntry| -> ExecutionClass {
        let end = entry.end.as_ref();
        end.and_then(|end| end.execution_class.clone())
            .unwrap_or_default()
    };
    let (before, now) = (class(original), class(made));
    verdict.same_execution_class = match (before.numerics, now.numerics) {
        (Some(before), Some(now)) => Some(before == now),
        _ => None,
    };
    let differs = |(probe, bits): &(&String, &String)| {
        now.probes.get(*probe).is_some_and(|found| found != *bits)
    };
    let differing = before.probes.iter().filter(differs);
    verdict.differing_probes = differing.map(|(probe, _)| probe.clone()).collect();
}

fn compare_journals(
    shared: &Shared,
    verdict: &mut RunVerdict,
    original: &AttemptEntry,
    made: &AttemptEntry,
) -> Result<(), EngineError> {
    let before = fingerprints(shared, original.attempt)?;
    let compared = before.compare(&fingerprints(shared, made.attempt)?);
    verdict.steps_compared = compared.steps_compared;
    verdict.first_differing_step = compared.first_differing_step;
    Ok(())
}

fn fingerprints(shared: &Shared, attempt: AttemptId) -> Result<Fingerprints, EngineError> {
    let mut found = Fingerprints::new();
    let Source::Sealed(mut journal) = source_of(shared, attempt)? else {
        return Ok(found);
    };
    let mut decoder = Decoder::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = match journal.read(&mut piece) {
            Ok(0) => return Ok(found),
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(?attempt, "its journal cannot be read: {error}");
                return Ok(found);
            }
        };
        let lines = decoder.push(&piece[..read]).into_iter();
        lines
            .filter_map(Decoded::into_event)
            .for_each(|event| found.apply(&event));
    }
}

/// Writes the verdict down, and how the whole reproduction ended if it was the last.
pub(crate) fn conclude(shared: &Shared, id: Uuid, verdict: RunVerdict) -> Result<(), EngineError> {
    let _one_at_a_time = shared.concluding.lock();
    let mut records = vec![Record::ReproductionVerdict {
        id,
        verdict: verdict.clone(),
    }];
    let view = shared.ledger.reproduction(id)?;
    let mut states: Vec<ReproduceState> = view
        .into_iter()
        .flat_map(|view| view.verdicts)
        .filter(|other| other.run != verdict.run)
        .map(|other| other.state)
        .collect();
    states.push(verdict.state);
    if let Some(state) = overall(&states) {
        records.push(Record::ReproductionState { id, state });
    }
    shared.record(records)
}

/// The worst of the verdicts, once all are in.
fn overall(states: &[ReproduceState]) -> Option<ReproduceState> {
    if states.contains(&ReproduceState::Running) {
        return None;
    }
    let by_weight = [
        ReproduceState::Corrupt,
        ReproduceState::Failed,
        ReproduceState::Different,
    ];
    let worst = by_weight.into_iter().find(|state| states.contains(state));
    Some(worst.unwrap_or(ReproduceState::Identical))
}

impl Shared {
    /// The record that a reproduction's new attempt has begun.
    pub(crate) fn verdict_begun(
        &self,
        id: Uuid,
        attempt: AttemptId,
    ) -> Result<Option<Record>, EngineError> {
        let mut verdict = open_verdict(self, attempt.run)?;
        verdict.attempt = Some(attempt);
        Ok(Some(Record::ReproductionVerdict { id, verdict }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ReproduceState::{Corrupt, Different, Failed, Identical, Running};

    #[test]
    fn the_worst_verdict_is_the_whole_reproductions() {
        let check = |states: &[ReproduceState], expected| assert_eq!(overall(states), expected);
        check(&[Identical, Running], None);
        check(&[Identical, Identical], Some(Identical));
        check(&[Identical, Different], Some(Different));
        check(&[Failed, Different], Some(Failed));
        check(&[Failed, Corrupt, Identical], Some(Corrupt));
    }
}
