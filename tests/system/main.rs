//! Whole-system tests: one module a topic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(missing_docs, reason = "tests are named by what they hold")]

mod align;
mod bad_input;
mod commands;
mod compare;
mod dashboards;
mod drill;
mod kill_daemon;
mod kill_stage;
mod launch;
mod metrics;
mod monitoring;
mod newcomer;
mod otlp;
mod reproduce;
mod rules;
mod security;
mod single_instance;
mod sled_loss;
mod tidy;
mod top;
