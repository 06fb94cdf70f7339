//! Attempts: begun, followed, judged, sealed.
//!
//! Each submodule is one of these. [`Live`] is what the daemon knows of an attempt that is not over, in memory: a summary of
//! its journal, and how far the journal's whole lines go. Whoever follows the journal reads the file (or, once it is sealed,
//! the blob) up to there by itself, so nothing can be lost or doubled between two readers.

mod begin;
mod judge;
mod live;
mod meter;
mod seal;
mod stream;
mod watch;

pub(crate) use begin::begin;
pub use judge::{Evidence, judge};
pub use live::{Live, LiveTable, Status};
pub use meter::Meter;
pub(crate) use seal::seal;
pub use stream::{BadCursor, EventCursor, EventStream, StreamItem};
pub(crate) use stream::{Source, follow, source_of};
pub(crate) use watch::Tail;
pub(crate) use watch::{JournalWatch, stop, watch};
