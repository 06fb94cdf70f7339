//! This program's side of the stage contract: the work folder, the journal, checkpoints, outputs, and how it is asked to
//! stop.
//!
//! Nothing here waits for whoever reads the folder, and whatever has a final name in it is whole: a stage may be killed
//! between any two system calls and go on from what it finds.

mod checkpoint;
mod error;
mod files;
mod journal;
mod outputs;
mod stop;
mod work;

pub use checkpoint::{Checkpoint, CheckpointWriter, Companion, Snapshot};
pub use error::{StageError, StageResult};
pub use journal::{Journal, JournalSink};
pub use outputs::OutputFolder;
pub use stop::StopFlag;
pub use work::WorkFolder;

pub(crate) use error::At;
pub(crate) use files::{sync_folder, write_durably};
