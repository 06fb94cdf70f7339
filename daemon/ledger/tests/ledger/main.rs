//! The ledger through its API: what it answers, what it refuses, what survives.

#![allow(clippy::unwrap_used, missing_docs)]

mod faults;
mod index;
mod questions;
mod refusals;
mod story;
mod together;
