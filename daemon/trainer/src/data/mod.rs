//! From dataset folders to tokens: rows, tokenizers and chat templates, and token files that are mapped, not loaded.
//!
//! Everything is read row by row. What must be known of a whole dataset at once is its tokens in a file of the work
//! folder and a few words per row, so a dataset may be larger than memory.

mod chat;
mod comparison;
mod comparison_file;
mod packing;
mod rows;
mod sample;
mod sample_file;
mod token_file;
mod tokenizer;

pub use comparison::{AnswerToken, Compared, Comparison};
pub use comparison_file::{ComparisonFile, ComparisonReport, Limits, Shifted};
pub use rows::{Row, Rows, Split};
pub use sample::{Prompted, Sample, SampleReader};
pub use sample_file::{SampleFile, SampleReport};
pub use token_file::TokenFile;
pub use tokenizer::{SideFiles, TextTokenizer};

pub(crate) use packing::{grouped_by_length, packed};
