//! What is known of the runs that were looked at: curves and logs.

use std::collections::BTreeMap;

use begat_schemas::RunId;

use super::super::fetch::LogPiece;
use super::curves::{Curve, Curves};
use super::log::Log;

/// So many runs are remembered, so that going back to one shows it at once.
const REMEMBERED: usize = 32;

/// What is known of a run besides its line in the list.
#[derive(Debug, Default)]
pub struct Detail {
    curves: Option<Curves>,
    /// Its log.
    pub log: Log,
}

impl Detail {
    /// Whether its curves have come.
    pub fn has_curves(&self) -> bool {
        self.curves.is_some()
    }

    /// Its curves, the most telling first.
    pub fn curves(&self) -> &[Curve] {
        self.curves.as_ref().map_or(&[], |curves| &curves.drawn)
    }

    /// What was measured once only.
    pub fn single(&self) -> &[(String, f64)] {
        self.curves.as_ref().map_or(&[], |curves| &curves.single)
    }
}

/// The runs that were looked at.
#[derive(Debug, Default)]
pub(super) struct Details(BTreeMap<RunId, Detail>);

impl Details {
    pub(super) fn get(&self, run: RunId) -> Option<&Detail> {
        self.0.get(&run)
    }

    pub(super) fn get_mut(&mut self, run: RunId) -> Option<&mut Detail> {
        self.0.get_mut(&run)
    }

    pub(super) fn curves(&mut self, run: RunId, curves: Curves) {
        self.0.entry(run).or_default().curves = Some(curves);
    }

    pub(super) fn log(&mut self, run: RunId, piece: &LogPiece) {
        self.0.entry(run).or_default().log.take(piece);
    }

    /// Notes that there is nothing, unless something has come before.
    pub(super) fn nothing(&mut self, run: RunId) {
        let detail = self.0.entry(run).or_default();
        detail.curves.get_or_insert_default();
        detail.log.has_come = true;
    }

    /// Makes room once too many runs are remembered.
    pub(super) fn forget_all_but(&mut self, run: RunId) {
        if self.0.len() > REMEMBERED {
            self.0.retain(|known, _| *known == run);
        }
    }
}
