//! What the store holds and how many runs there are in each state, as they stand when someone asks.

use std::collections::BTreeMap;

use begat_schemas::RunState;
use prometheus::{IntGauge, IntGaugeVec, Registry};

use super::names;

/// Figures of the store and the ledger at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Bytes of all blobs as if none shared a chunk.
    pub logical_bytes: u64,
    /// Bytes of distinct chunks before compression.
    pub unique_bytes: u64,
    /// Bytes on disk.
    pub stored_bytes: u64,
    /// Number of distinct chunks.
    pub chunks: u64,
    /// Number of packs.
    pub packs: u64,
    /// Number of blobs.
    pub blobs: u64,
    /// Number of runs by state.
    pub runs: BTreeMap<RunState, u64>,
}

pub(super) struct StoreSeries {
    logical_bytes: IntGauge,
    unique_bytes: IntGauge,
    stored_bytes: IntGauge,
    chunks: IntGauge,
    packs: IntGauge,
    blobs: IntGauge,
    runs: IntGaugeVec,
}

impl StoreSeries {
    pub(super) fn new(registry: &Registry) -> Self {
        let gauge = |name, help| names::int_gauge(registry, name, help);
        Self {
            logical_bytes: gauge(
                "begat_store_logical_bytes",
                "Bytes of all blobs as if none shared a chunk.",
            ),
            unique_bytes: gauge(
                "begat_store_unique_bytes",
                "Bytes of distinct chunks before compression.",
            ),
            stored_bytes: gauge("begat_store_stored_bytes", "Bytes of the store on disk."),
            chunks: gauge("begat_store_chunks", "Distinct chunks in the store."),
            packs: gauge("begat_store_packs", "Pack files of the store."),
            blobs: gauge("begat_store_blobs", "Blobs in the store."),
            runs: names::int_gauges(registry, "begat_runs", "Runs by state.", &["state"]),
        }
    }

    pub(super) fn set(&self, figures: &StoreFigures) {
        let set =
            |gauge: &IntGauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.logical_bytes, figures.logical_bytes);
        set(&self.unique_bytes, figures.unique_bytes);
        set(&self.stored_bytes, figures.stored_bytes);
        set(&self.chunks, figures.chunks);
        set(&self.packs, figures.packs);
        set(&self.blobs, figures.blobs);
        for state in RunState::ALL {
            let count = figures.runs.get(&state).copied().unwrap_or(0);
            set(&self.runs.with_label_values(&[state.name()]), count);
        }
    }
}
