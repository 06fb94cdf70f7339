use std::io::Read;

use begat_schemas::{BlobDigest, DigestPrefix};
use begat_store::{Error, ObjectKind, PutBlob, Store, StoreOptions, Traffic};
use proptest::prelude::*;

use crate::bench::{Bench, noise, safetensors, weights};

fn check_blob(store: &Store, bytes: &[u8]) {
    let blob = BlobDigest::of(bytes);
    assert_eq!(store.blob_size(blob).unwrap(), Some(bytes.len() as u64));
    assert_eq!(store.get_bytes(blob, u64::MAX).unwrap(), bytes);
    let mut read = Vec::new();
    store
        .get_blob(blob)
        .unwrap()
        .read_to_end(&mut read)
        .unwrap();
    assert_eq!(read, bytes);
}

#[test]
fn what_was_put_is_there_before_and_after_a_restart() {
    let bench = Bench::new();
    let blobs = [
        Vec::new(),
        b"hello".to_vec(),
        b"again and again ".repeat(100_000),
        noise(1, 3_000_000),
        safetensors(&[("a", weights(2, 700_000)), ("b", weights(3, 5))]),
    ];
    let store = bench.open();
    for bytes in &blobs {
        let digest = store.put_bytes(bytes).unwrap();
        assert_eq!(digest, BlobDigest::of(bytes));
        check_blob(&store, bytes);
    }
    store.commit().unwrap();
    blobs.iter().for_each(|bytes| check_blob(&store, bytes));
    store.close().unwrap();
    let (store, report) = bench.open_with_report();
    assert!(
        report.index_rebuilt.is_none() && report.recovered.is_empty(),
        "{report:?}"
    );
    blobs.iter().for_each(|bytes| check_blob(&store, bytes));
    let statistics = store.statistics().unwrap();
    assert_eq!(statistics.blobs, blobs.len() as u64);
    assert_eq!(
        statistics.logical_bytes,
        blobs.iter().map(|bytes| bytes.len() as u64).sum::<u64>()
    );
    assert!(statistics.compression_ratio() > 1.0);
}

#[test]
fn what_goes_in_and_out_is_counted() {
    let bench = Bench::new();
    let store = bench.open();
    assert_eq!(store.traffic(), Traffic::default());
    let bytes = noise(1, 3_000_000);
    let blob = store.put_bytes(&bytes).unwrap();
    store.put_bytes(&bytes).unwrap();
    let traffic = store.traffic();
    assert_eq!(traffic.ingested_bytes, 6_000_000);
    assert!(!traffic.ingest_time.is_zero());
    assert_eq!(traffic.restored_bytes, 0);
    store.get_bytes(blob, u64::MAX).unwrap();
    let traffic = store.traffic();
    assert_eq!(traffic.restored_bytes, 3_000_000);
    assert!(!traffic.restore_time.is_zero());
    assert!(!store.is_read_only());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_bytes_round_trip(
        seed in proptest::collection::vec(any::<u8>(), 0..100),
        repeat in 1..40_000usize,
        ranges in proptest::collection::vec((0..4_000_000u64, 0..100_000u64), 4),
    ) {
        let bench = Bench::new();
        let store = bench.open();
        let bytes = seed.repeat(repeat);
        let blob = store.put_bytes(&bytes).unwrap();
        check_blob(&store, &bytes);
        for (from, length) in ranges {
            let part = store.read_blob_range(blob, from..from + length).unwrap();
            let end = bytes.len().min((from + length) as usize);
            let start = end.min(from as usize);
            prop_assert_eq!(part, &bytes[start..end]);
        }
    }
}

#[test]
fn a_second_put_adds_nothing() {
    let bench = Bench::new();
    let store = bench.open();
    let bytes = noise(1, 5_000_000);
    let first = store
        .put_blob(&mut &bytes[..], &PutBlob::default())
        .unwrap();
    assert!(!first.already_stored);
    assert_eq!(first.new_bytes, bytes.len() as u64);
    store.commit().unwrap();
    let before = store.statistics().unwrap();
    let second = store
        .put_blob(&mut &bytes[..], &PutBlob::default())
        .unwrap();
    assert!(second.already_stored);
    assert_eq!(second.new_bytes, 0);
    store.commit().unwrap();
    assert_eq!(store.statistics().unwrap(), before);
}

#[test]
fn an_unchanged_tensor_is_stored_once_wherever_it_lies() {
    let bench = Bench::new();
    let store = bench.open();
    let (same, old, new) = (
        weights(1, 600_000),
        weights(2, 300_000),
        weights(3, 290_001),
    );
    let before = safetensors(&[("a.old", old), ("b.same", same.clone())]);
    let after = safetensors(&[("a.new", new.clone()), ("b.same", same)]);
    store.put_bytes(&before).unwrap();
    let stored = store
        .put_blob(&mut &after[..], &PutBlob::default())
        .unwrap();
    let header = after.len() - 600_000 * 4 - new.len();
    assert_eq!(stored.new_bytes, (new.len() + header) as u64);
    check_blob(&store, &after);
}

#[test]
fn threads_put_at_the_same_time() {
    let bench = Bench::new();
    let store = bench.open();
    let blobs: Vec<Vec<u8>> = (0..8).map(|seed| noise(seed % 4, 1_500_000)).collect();
    std::thread::scope(|scope| {
        for bytes in &blobs {
            let store = &store;
            scope.spawn(move || {
                store.put_bytes(bytes).unwrap();
                store.commit().unwrap();
            });
        }
    });
    blobs.iter().for_each(|bytes| check_blob(&store, bytes));
    assert_eq!(store.statistics().unwrap().unique_bytes, 4 * 1_500_000);
}

#[test]
fn packs_are_sealed_when_full() {
    let bench = Bench::new();
    let store = bench.open();
    let blobs: Vec<Vec<u8>> = (0..20).map(|seed| noise(seed, 7_000_000)).collect();
    for bytes in &blobs {
        store.put_bytes(bytes).unwrap();
    }
    store.close().unwrap();
    let names: Vec<String> = bench
        .packs()
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["00000001.pack", "00000002.pack", "00000003.open"]);
    let store = bench.open();
    blobs.iter().for_each(|bytes| check_blob(&store, bytes));
}

#[test]
fn bytes_that_are_not_what_was_announced_are_refused() {
    let bench = Bench::new();
    let store = bench.open();
    let put = PutBlob {
        expected: Some(BlobDigest::of(b"announced")),
        ..PutBlob::default()
    };
    let error = store.put_blob(&mut &b"sent"[..], &put).unwrap_err();
    let (expected, found) = (BlobDigest::of(b"announced"), BlobDigest::of(b"sent"));
    assert_eq!(
        error.to_string(),
        format!("the bytes have digest {found}, announced was {expected}")
    );
    assert_eq!(
        store.missing(&[found, expected]).unwrap(),
        [found, expected]
    );
}

#[test]
fn a_flipped_bit_is_an_error_that_names_the_chunk() {
    let bench = Bench::new();
    let store = bench.open();
    let bytes = noise(1, 10_000);
    let blob = store.put_bytes(&bytes).unwrap();
    store.close().unwrap();
    let pack = &bench.packs()[0];
    let mut damaged = std::fs::read(pack).unwrap();
    damaged[5000] ^= 1;
    std::fs::write(pack, damaged).unwrap();
    let store = bench.open();
    let error = store.get_bytes(blob, u64::MAX).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("chunk {blob} is damaged")),
        "{error}"
    );
    assert!(error.ends_with("(pack 00000001, byte 16)"), "{error}");
    let mut read = Vec::new();
    let error = store
        .get_blob(blob)
        .unwrap()
        .read_to_end(&mut read)
        .unwrap_err();
    assert!(read.is_empty() && error.to_string().contains("is damaged"));
}

#[test]
fn what_is_not_here_is_said_by_name() {
    let bench = Bench::new();
    let store = bench.open();
    let blob = BlobDigest::of(b"nowhere");
    let error = store.get_blob(blob).unwrap_err();
    assert_eq!(error.to_string(), format!("there is no blob {blob}"));
    assert_eq!(store.blob_size(blob).unwrap(), None);
    store.put_bytes(b"nowhere").unwrap();
    let error = store.get_bytes(blob, 3).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("blob {blob} has 7 bytes, at most 3 were expected")
    );
}

#[test]
fn digests_are_found_by_their_first_digits() {
    let bench = Bench::new();
    let store = bench.open();
    let early = store.put_bytes(b"early").unwrap();
    store.commit().unwrap();
    let late = store.put_bytes(b"late").unwrap();
    for blob in [early, late] {
        for digits in [4, 12, 64] {
            let prefix = DigestPrefix::new(&blob.to_string()[..digits]).unwrap();
            assert_eq!(
                store.find(&prefix).unwrap(),
                [(blob.digest(), ObjectKind::Blob)]
            );
        }
    }
    assert!(
        store
            .find(&DigestPrefix::new("0000000").unwrap())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_second_process_is_told_who_has_the_store() {
    let bench = Bench::new();
    let store = bench.open();
    let error = Store::open(StoreOptions::new(bench.folder())).unwrap_err();
    let expected = format!(
        "{} is in use by process {} on ",
        bench.folder().display(),
        std::process::id()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    drop(store);
    drop(bench.open());
}

#[test]
fn another_format_is_refused_and_left_alone() {
    let bench = Bench::new();
    drop(bench.open());
    std::fs::write(bench.folder().join("format"), "begat-store 2\n").unwrap();
    let error = Store::open(StoreOptions::new(bench.folder())).unwrap_err();
    assert!(matches!(error, Error::Format { .. }));
    let words = "has format `begat-store 2`; this begat reads `begat-store 1`";
    assert!(error.to_string().ends_with(words), "{error}");
}
