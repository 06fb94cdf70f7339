//! What begat did: launches, runs, attempts, lineage, refs and their history. The ledger knows hashes, not bytes.
//!
//! The truth is one append-only log ([`Ledger::append`] returns once its records are durable); everything that is asked
//! is answered from an index in sled that can be thrown away at any time. State, folding, lineage and the decoding of
//! journals are pure code; only `log` touches files, through the store's `fs` layer.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod commit;
mod entry;
mod error;
mod fold;
pub mod journal;
mod key;
mod ledger;
mod lineage;
mod log;
mod query;
mod record;
mod state;
mod view;

pub use commit::GroupCommit;
pub use entry::{
    Addition, AttemptEntry, LaunchEntry, LaunchUse, ProducerEntry, RunEntry, StageRunEntry,
};
pub use error::{LedgerError, Refusal};
pub use ledger::{Ledger, LedgerOptions, OpenReport};
pub use lineage::LineageRoot;
pub use log::Cut;
pub use query::{Roots, RunFilter};
pub use record::{AttemptEnd, LaunchStage, Process, Record};
pub use state::{BadTransition, StateEvent, transition};
