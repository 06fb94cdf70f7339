//! In what counterparts' derivations differ, and where inputs that differ came from.

use begat_schemas::Difference;
use begat_schemas::api::{KeyDifference, StageDifference};

use super::facts::{LineageFacts, StageFacts};

/// In what each lineage's run differs from that of the first lineage that has one. An input whose maker is one and the same
/// stage's counterpart differs too: the names of the makers tell.
pub(super) fn differences(
    lineages: &[LineageFacts],
    facts: &[Option<&StageFacts>],
) -> Vec<StageDifference> {
    let mut there = facts
        .iter()
        .enumerate()
        .filter_map(|(number, stage)| Some((number, (*stage)?)));
    let Some((left, first)) = there.next() else {
        return Vec::new();
    };
    there
        .filter_map(|(right, second)| {
            let (a, b) = (first.derivation()?, second.derivation()?);
            let keys = a.differences(b).into_iter().map(|difference| {
                let input = difference.key.strip_prefix("inputs.").map(str::to_owned);
                let source = |number: usize, stage| {
                    let input = input.as_deref()?;
                    lineages[number].source(stage, input)
                };
                KeyDifference {
                    left_source: source(left, first),
                    right_source: source(right, second),
                    difference,
                }
            });
            let keys: Vec<KeyDifference> = keys.collect();
            (!keys.is_empty()).then_some(StageDifference {
                left: left as u64,
                right: right as u64,
                keys,
            })
        })
        .collect()
}

/// Keys in which two evaluations differ other than in what they judge and against what.
pub(super) fn differences_of_setting(left: &StageFacts, right: &StageFacts) -> Vec<Difference> {
    let (Some(a), Some(b)) = (left.derivation(), right.derivation()) else {
        return Vec::new();
    };
    let judged = ["inputs.model", "inputs.reference"];
    let mut found = a.differences(b);
    found.retain(|difference| !judged.contains(&difference.key.as_str()));
    found
}
