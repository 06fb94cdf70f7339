//! Which launches `/metrics` still speaks of, and the runs that they found.
//!
//! A run that was found has no attempt that lives; its final figures are shown all the same while its launch is, so that a
//! comparison of two recipes is whole when one of them found a stage.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use begat_schemas::{LaunchId, RecipeName, StageName};
use parking_lot::Mutex;

use crate::telemetry::RunFigures;

/// Launches that go on, or ended a short while ago.
#[derive(Debug, Default)]
pub(crate) struct Roster(Mutex<BTreeMap<LaunchId, Listed>>);

#[derive(Debug)]
struct Listed {
    recipe: RecipeName,
    found: BTreeMap<StageName, RunFigures>,
    ended: Option<Instant>,
}

impl Roster {
    /// The launch goes on.
    pub(super) fn open(&self, launch: LaunchId, recipe: RecipeName) {
        let mut launches = self.0.lock();
        let listed = launches.entry(launch).or_insert_with(|| Listed {
            recipe,
            found: BTreeMap::new(),
            ended: None,
        });
        listed.ended = None;
    }

    /// The launch is over.
    pub(super) fn close(&self, launch: LaunchId) {
        if let Some(listed) = self.0.lock().get_mut(&launch) {
            listed.ended = Some(Instant::now());
        }
    }

    /// A stage of the launch is a run that was there already.
    pub(super) fn add(&self, launch: LaunchId, stage: StageName, figures: RunFigures) {
        if let Some(listed) = self.0.lock().get_mut(&launch) {
            listed.found.insert(stage, figures);
        }
    }

    /// The runs that were found, each with the launch that found it. Launches that ended longer than `retention` ago are
    /// forgotten.
    pub(super) fn found(&self, retention: Duration) -> Vec<RunFigures> {
        let mut launches = self.0.lock();
        let is_over = |listed: &Listed| listed.ended.is_some_and(|at| at.elapsed() >= retention);
        launches.retain(|_, listed| !is_over(listed));
        let mut found = Vec::new();
        for (launch, listed) in &*launches {
            for figures in listed.found.values() {
                let mut figures = figures.clone();
                figures.launches = [(*launch, listed.recipe.clone())].into();
                found.push(figures);
            }
        }
        found
    }
}
