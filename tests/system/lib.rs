//! What whole-system tests share: a fresh home, a real daemon in it, and the real command line against it.
//!
//! Nothing here is a mock. A test gets a folder of its own, a cleared environment, and processes that are killed when it
//! ends, stages included.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod binaries;
pub mod boards;
mod cli;
mod data;
mod home;
pub mod http;
pub mod kills;
mod listener;
pub mod monitors;
pub mod processes;
pub mod random;
pub mod tmux;
mod webhook;

pub use binaries::{debian_tool, example, not_run, program, root};
pub use cli::{Answer, Cli};
pub use data::{add_test_data, write_rows};
pub use home::{Daemon, Home};
pub use listener::{Listener, Request};
pub use webhook::{Page, Webhook};

use std::time::{Duration, Instant};

/// Asks `probe` again and again until it answers. The bound is a safety net far beyond what is expected, never a
/// measure of speed.
#[track_caller]
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(
            started.elapsed() < Duration::from_secs(600),
            "waited in vain for {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
