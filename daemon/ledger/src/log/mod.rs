//! The log: one folder of append-only files that hold every record, in the order in which they were acknowledged.
//!
//! A file begins with a [`Header`]; each further line is a [`Group`] of appends that were written and synced together, so
//! at any time at most the last line of the last file is not durable yet. That makes recovery short: what is torn there
//! was never acknowledged and is cut; what is torn anywhere else is damage, and said.

mod files;
mod frame;
mod writer;

use begat_schemas::Time;
use serde::{Deserialize, Serialize};

use crate::record::Record;

pub use files::Cut;
pub(crate) use files::{LogFolder, name as source_name, number as source_number};
pub(crate) use writer::{LogWriter, WriteError};

/// The format that this begat reads and writes.
pub(crate) const FORMAT: &str = "begat-ledger-1";

/// The first line of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Header {
    /// [`FORMAT`].
    format: String,
    /// The number of its first group.
    first: u64,
}

/// Appends that were written and synced together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// Counts the groups from 1, without gaps, across files.
    pub seq: u64,
    /// The appends.
    pub appends: Vec<Append>,
}

/// Records that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Append {
    /// When.
    pub time: Time,
    /// What.
    pub records: Vec<Record>,
}

/// A place in the log: after a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// The file's number.
    pub file: u32,
    /// The offset in it.
    pub offset: u64,
}
