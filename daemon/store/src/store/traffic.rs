//! How much went in and out of a store since it was opened, counted beside the work.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Store;

/// What went in and out of a store since it was opened. Work that goes on beside other work adds up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of blobs that were put, those that were there already included.
    pub ingested_bytes: u64,
    /// Time spent putting them, waiting for their readers included.
    pub ingest_time: Duration,
    /// Bytes of chunks that were read and verified.
    pub restored_bytes: u64,
    /// Time spent reading and verifying them.
    pub restore_time: Duration,
}

/// The counts of one direction.
#[derive(Debug, Default)]
pub(super) struct Flow {
    bytes: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Flow {
    /// So many bytes went through since `began`.
    pub(super) fn add(&self, bytes: u64, began: Instant) {
        let nanoseconds = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn time(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }
}

impl Store {
    /// What went in and out since it was opened.
    pub fn traffic(&self) -> Traffic {
        let (ingested, restored) = (&self.inner.ingested, &self.inner.restored);
        Traffic {
            ingested_bytes: ingested.bytes(),
            ingest_time: ingested.time(),
            restored_bytes: restored.bytes(),
            restore_time: restored.time(),
        }
    }

    /// Whether a failed disk makes it refuse every write until it is opened anew. It does not wait for a writer: one that is at
    /// work has not failed.
    pub fn is_read_only(&self) -> bool {
        let writer = self.inner.writer.try_lock();
        writer.is_some_and(|writer| writer.poisoned.is_some())
    }
}
