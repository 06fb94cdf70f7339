//! The store through its API.
#![allow(clippy::unwrap_used, missing_docs)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests look at, and damage, what the store wrote"
)]

mod bench;
mod blobs;
mod care;
mod crashes;
mod footprints;
mod index;
mod random;
mod sample;
mod trees;
