//! The stages of a training recipe on libtorch.
//!
//! Below the stages lie: models ([`Model`]) over packed sequences ([`Pack`]), a training step ([`Trainer`]), losses
//! ([`loss`]), generation, and the settings that make all of it deterministic ([`device`]). No network, no store, no clock.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod allocator;
pub mod contract;
mod cuda;
pub mod data;
pub mod device;
mod error;
mod generate;
#[cfg(test)]
mod golden_tests;
pub mod loss;
mod model;
pub mod numerics;
pub mod ppo;
mod random;
mod shim;
pub mod stages;
pub mod tensors;
pub mod tools;
mod train;

pub use error::{Error, Result};
pub use generate::{
    Completion, Finish, GenerateOptions, Group, Hook, Sampling, generate, generate_groups,
};
pub use model::{Architecture, Head, Model, ModelConfig, Pack};
pub use random::Stream;
pub use tch::{Device, Kind, Tensor};
pub use train::{
    AdamW, Measured, Objective, Outcome, Pass, Schedule, Trainer, TrainerOptions, Unit,
};
