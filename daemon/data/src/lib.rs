//! Datasets: rows of JSON Lines and Parquet files, what a row may be, and a check that says where it is not.
//!
//! The trainer reads its datasets through this crate and the client checks them with it, so that what passes the check
//! is what a stage accepts. Files are streamed; nothing here holds more than a row, or a row group's page, of them. The
//! forms of a row are those of TRL, so that a dataset made for it can be used as it is, and a few that it lacks: the
//! strength of a preference, an edited answer, and rankings.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod check;
mod error;
mod example;
mod field_path;
mod file;
mod json_lines;
mod locate;
mod parquet_file;
mod problem;
mod row;
mod rows;

pub use check::check;
pub use error::{Error, Result, RowError};
pub use example::{
    Content, Example, Message, Origin, Pair, Preference, RESPONSES_MAX, Ranking, Role,
};
pub use field_path::{FieldPath, Step};
pub use json_lines::LINE_BYTES_MAX;
pub use parquet_file::METADATA_BYTES_MAX;
pub use problem::Problem;
pub use row::{Place, Row, kind};
pub use rows::{Rows, Split};
