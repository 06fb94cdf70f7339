//! The order of a lineage's runs, from the graph that the daemon gives.

use std::collections::{BTreeMap, BTreeSet};

use begat_schemas::api::{Lineage, LineageNodeKind};
use begat_schemas::{Digest, RunId};

/// The runs that lead to the lineage's root, each after those it needs. Of several runs that made the same tree the first
/// counts, as everywhere.
pub(super) fn runs_in_order(lineage: &Lineage) -> Vec<RunId> {
    let runs: BTreeSet<Digest> = lineage
        .nodes
        .iter()
        .filter(|node| node.kind == LineageNodeKind::Run)
        .map(|node| node.id)
        .collect();
    let mut parents: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
    for edge in &lineage.edges {
        let known = parents.entry(edge.to).or_default();
        // A run needs all its inputs; a tree has one maker.
        if runs.contains(&edge.to) || known.is_empty() {
            known.push(edge.from);
        }
    }
    let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
    // An object is met twice: first to put its parents before it, then to take its place behind them.
    let mut stack = vec![(lineage.root, false)];
    while let Some((id, parents_done)) = stack.pop() {
        if parents_done {
            order.push(id);
        } else if seen.insert(id) {
            stack.push((id, true));
            let parents = parents.get(&id).into_iter().flatten().rev();
            stack.extend(parents.map(|parent| (*parent, false)));
        }
    }
    order.retain(|id| runs.contains(id));
    order.into_iter().map(RunId::new).collect()
}
