//! begatd: the daemon that stores checkpoints by content, runs training recipes, and records who begat whom.
//!
//! [`engine::Engine`] is the heart; `http` is its face. The scheduler decides (a pure state machine), the engine's driver does,
//! `attempts` follow stages, `work` makes and stores their folders, `executor` and `parent` keep them alive apart from the daemon.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod attempts;
pub mod config;
pub mod dashboards;
pub mod engine;
mod executor;
mod generate;
pub mod http;
mod inbox;
pub mod otlp;
pub mod parent;
mod reproduce;
mod scheduler;
pub mod telemetry;
mod work;
