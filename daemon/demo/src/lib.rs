//! The data of the demo: sentences that document a Rust function, and the signatures of those functions.
//!
//! The builder reads the sources that `cargo vendor --locked` puts in a folder and writes five datasets: a corpus to
//! pretrain on, pairs for supervised fine-tuning, prompts for preference collection and for reinforcement learning, and
//! held-out pairs from crates that no other dataset contains. The [`gold`] rule scores a generated signature against
//! the true one.
//!
//! Every machine that can fetch crates has this input, it is real text that people wrote, and a model small enough for
//! two processor cores can learn its shape. The same lock file gives the same bytes everywhere: nothing here looks at
//! the clock, the locale, the host, the order of a folder or of a hash table, and threads only ever return their
//! results in the order of the work they were given.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod build;
mod card;
mod corpus;
mod declaration;
mod documentation;
mod error;
pub mod gold;
mod one_line;
mod pair;
mod skeleton;
mod split;
mod vendor;
mod write;

pub use build::{DatasetSummary, FileSummary, Progress, Summary, build};
pub use error::BuildError;
pub use split::{Limits, Size};
pub use vendor::Skipped;

/// The version of everything that decides the datasets' bytes: the parser (`syn` 3.0.10, pinned in the workspace), the
/// list of crates to skip, the filters, the splits and the layout of the files. It changes when any of them does.
pub const REVISION: u32 = 1;

/// The folders that [`build`] writes, in the order in which it writes them.
pub const DATASETS: [&str; 5] = [
    "corpus",
    "sft",
    "prompts-preference",
    "prompts-rl",
    "heldout",
];
