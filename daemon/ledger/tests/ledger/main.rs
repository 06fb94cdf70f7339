//! The ledger through its API: what it answers, what it refuses, what survives.

#![allow(clippy::unwrap_used, missing_docs)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests damage files behind the ledger's back"
)]

mod faults;
mod index;
mod questions;
mod refusals;
mod story;
mod together;
