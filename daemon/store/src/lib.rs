//! begat's store: bytes by hash.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod fs;
pub mod index;

/// The disk that fails when told to, for the tests of this crate and of those that build on it.
#[doc(hidden)]
pub mod faults {
    pub use crate::fs::faulty::{Fault, FaultyFs};
}
