//! What lineages cost: a run counts once, however many stages it is.

use std::collections::BTreeMap;

use begat_schemas::RunId;
use begat_schemas::api::{ComparedCosts, Cost, Footprint, Usage};

use super::facts::{LineageFacts, StageFacts};

type Runs<'a> = BTreeMap<RunId, &'a StageFacts>;

/// `usage` is what the outputs of the lineages take, in their order.
pub(super) fn costs(lineages: &[LineageFacts], usage: &Usage) -> ComparedCosts {
    let runs: Vec<Runs<'_>> = lineages.iter().map(runs).collect();
    let holders = |run: &RunId| runs.iter().filter(|of| of.contains_key(run)).count();
    let bytes = |number: usize| usage.lists.get(number).copied().unwrap_or_default();
    let shared = runs.first().into_iter().flatten();
    let shared = shared.filter(|(run, _)| holders(run) == lineages.len());
    let own = |(number, of): (usize, &Runs<'_>)| {
        let alone = of.iter().filter(|(run, _)| holders(run) == 1);
        cost(alone.map(|(_, stage)| *stage), bytes(number).own)
    };
    let whole = |(number, of): (usize, &Runs<'_>)| cost(of.values().copied(), bytes(number).whole);
    ComparedCosts {
        shared: cost(shared.map(|(_, stage)| *stage), usage.shared),
        own: runs.iter().enumerate().map(own).collect(),
        whole: runs.iter().enumerate().map(whole).collect(),
    }
}

fn runs(lineage: &LineageFacts) -> Runs<'_> {
    let stages = lineage.stages.iter();
    stages
        .filter_map(|stage| Some((stage.run?, stage)))
        .collect()
}

fn cost<'a>(stages: impl Iterator<Item = &'a StageFacts>, bytes: Footprint) -> Cost {
    let mut cost = Cost {
        bytes,
        ..Cost::default()
    };
    for stage in stages {
        cost.runs += 1;
        cost.tokens += stage.tokens().unwrap_or(0);
        cost.device_seconds += stage.seconds().unwrap_or(0.0);
    }
    cost
}
