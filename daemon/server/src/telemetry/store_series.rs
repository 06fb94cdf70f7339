//! What the store holds, what went in and out, and how it is with its disk.

use begat_schemas::Time;

use super::family::families;
use super::seconds_of;
use super::sheet::Sheet;

families! {
    LOGICAL = Gauge("begat_store_logical_bytes", [], "bytes", "Bytes of all blobs as if none shared a chunk.");
    UNIQUE = Gauge("begat_store_unique_bytes", [], "bytes", "Bytes of distinct chunks before compression.");
    STORED = Gauge("begat_store_stored_bytes", [], "bytes", "Bytes of the store on disk.");
    CHUNKS = Gauge("begat_store_chunks", [], "chunks", "Distinct chunks in the store.");
    PACKS = Gauge("begat_store_packs", [], "files", "Pack files of the store.");
    BLOBS = Gauge("begat_store_blobs", [], "blobs", "Blobs in the store.");
    DEDUPLICATION = Gauge("begat_store_deduplication_ratio", [], "ratio, 1 and more",
        "How many times smaller the store is for keeping each chunk once: logical by unique bytes.");
    COMPRESSION = Gauge("begat_store_compression_ratio", [], "ratio",
        "How many times smaller it is for compressing chunks, all overhead counted: unique by stored bytes.");
    INGESTED = Counter("begat_store_ingested_bytes_total", [], "bytes",
        "Bytes of blobs put into the store, those it had already included.");
    INGEST_SECONDS = Counter("begat_store_ingest_seconds_total", [], "seconds",
        "Time spent putting blobs into the store, waiting for their senders included; puts beside each other add up.");
    RESTORED = Counter("begat_store_restored_bytes_total", [], "bytes", "Bytes of chunks read from the store and verified.");
    RESTORE_SECONDS = Counter("begat_store_restore_seconds_total", [], "seconds",
        "Time spent reading and verifying chunks; reads beside each other add up.");
    READ_ONLY = Gauge("begat_store_read_only", [], "0 or 1",
        "1 after a disk failed and nothing more is written until the next start.");
    FSCK_ERRORS = Gauge("begat_store_fsck_errors", [], "faults",
        "What the last check of the store found wrong; no series before the first since the daemon's start.");
    FSCK_TIME = Gauge("begat_store_fsck_last_run_timestamp_seconds", [], "seconds since the epoch",
        "When the last check of the store ended.");
    FREE = Gauge("begat_filesystem_free_bytes", ["folder"], "bytes",
        "Bytes that an ordinary user may still write on the file system of the folder.");
    SIZE = Gauge("begat_filesystem_size_bytes", ["folder"], "bytes", "Size of the file system of the folder.");
}

/// Figures of the store at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoreFigures {
    /// What it holds.
    pub statistics: begat_store::Statistics,
    /// What went in and out since it was opened.
    pub traffic: begat_store::Traffic,
    /// Whether nothing can be written any more.
    pub is_read_only: bool,
    /// When it was last checked, and how much was wrong.
    pub checked: Option<(Time, u64)>,
    /// The data folder's file system: bytes free and in all.
    pub disk: Option<(u64, u64)>,
}

pub(super) fn write(sheet: &mut Sheet, figures: &StoreFigures) {
    let StoreFigures {
        statistics,
        traffic,
        ..
    } = figures;
    for (family, value) in [
        (&LOGICAL, statistics.logical_bytes),
        (&UNIQUE, statistics.unique_bytes),
        (&STORED, statistics.stored_bytes),
        (&CHUNKS, statistics.chunks),
        (&PACKS, statistics.packs),
        (&BLOBS, statistics.blobs),
        (&INGESTED, traffic.ingested_bytes),
        (&RESTORED, traffic.restored_bytes),
        (&READ_ONLY, u64::from(figures.is_read_only)),
    ] {
        sheet.put(family, &[], value as f64);
    }
    for (family, value) in [
        (&DEDUPLICATION, statistics.deduplication_ratio()),
        (&COMPRESSION, statistics.compression_ratio()),
        (&INGEST_SECONDS, traffic.ingest_time.as_secs_f64()),
        (&RESTORE_SECONDS, traffic.restore_time.as_secs_f64()),
    ] {
        sheet.put(family, &[], value);
    }
    if let Some((time, errors)) = figures.checked {
        sheet.put(&FSCK_ERRORS, &[], errors as f64);
        sheet.put(&FSCK_TIME, &[], seconds_of(time));
    }
    if let Some((free, size)) = figures.disk {
        sheet.put(&FREE, &["data"], free as f64);
        sheet.put(&SIZE, &["data"], size as f64);
    }
}
