//! sled's folder deleted, cut, emptied and flipped: the same answers.

use std::path::{Path, PathBuf};

use begat_schemas::BlobDigest;

use crate::bench::{Bench, noise};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn change_each(folder: &Path, change: impl Fn(&mut Vec<u8>)) {
    for file in files(folder) {
        let mut bytes = std::fs::read(&file).unwrap();
        change(&mut bytes);
        std::fs::write(file, bytes).unwrap();
    }
}

fn check(cleanly_closed: bool, damage: impl Fn(&Path)) {
    let bench = Bench::new();
    let blobs: Vec<Vec<u8>> = (0..30)
        .map(|seed| noise(seed, 1000 + 40_000 * seed as usize))
        .collect();
    let store = bench.open();
    for bytes in &blobs {
        store.put_bytes(bytes).unwrap();
    }
    store.commit().unwrap();
    let before = store.statistics().unwrap();
    if cleanly_closed {
        store.close().unwrap();
    } else {
        drop(store);
    }
    damage(&bench.folder().join("index"));
    let store = bench.open();
    for bytes in &blobs {
        assert_eq!(
            &store.get_bytes(BlobDigest::of(bytes), u64::MAX).unwrap(),
            bytes
        );
    }
    let after = store.statistics().unwrap();
    assert_eq!(
        (after.blobs, after.chunks, after.logical_bytes),
        (before.blobs, before.chunks, before.logical_bytes)
    );
    let report = store.fsck(true).unwrap();
    assert!(report.is_clean(), "{report:#?}");
    store.close().unwrap();
    let (_, report) = bench.open_with_report();
    assert!(
        report.index_rebuilt.is_none() && report.recovered.is_empty(),
        "{report:?}"
    );
}

#[test]
fn deleted() {
    for clean in [true, false] {
        check(clean, |index| std::fs::remove_dir_all(index).unwrap());
    }
}

#[test]
fn without_begats_own_file() {
    check(true, |index| {
        std::fs::remove_file(index.with_extension("generation")).unwrap()
    });
}

#[test]
fn emptied() {
    for clean in [true, false] {
        check(clean, |index| change_each(index, Vec::clear));
        check(clean, |index| {
            files(index)
                .iter()
                .for_each(|file| std::fs::remove_file(file).unwrap())
        });
    }
}

#[test]
fn truncated() {
    for parts in 1..8 {
        check(true, |index| {
            change_each(index, |bytes| bytes.truncate(bytes.len() * parts / 8))
        });
        check(false, |index| {
            change_each(index, |bytes| bytes.truncate(bytes.len() * parts / 8))
        });
    }
}

#[test]
fn with_flipped_bits() {
    for seed in 0..12 {
        for clean in [true, false] {
            check(clean, |index| {
                change_each(index, |bytes| {
                    let length = bytes.len().min(64 << 10);
                    for flip in 0..if length == 0 { 0 } else { 6 } {
                        let at = (seed * 7919 + flip * 104_729 + 17) % length;
                        bytes[at] ^= 1 << (flip % 8);
                    }
                })
            });
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(path, target).unwrap();
        }
    }
}

/// sled may forget what it was told last: here it forgets a sealed pack, a part of another and the growth of the open one.
#[test]
fn behind_the_packs() {
    let bench = Bench::new();
    let open = || {
        let options = begat_store::StoreOptions {
            pack_bytes: 100_000,
            ..begat_store::StoreOptions::new(bench.folder())
        };
        begat_store::Store::open(options).unwrap()
    };
    let blobs: Vec<Vec<u8>> = (0..12).map(|seed| noise(seed, 30_000)).collect();
    let (early, late) = blobs.split_at(2);
    let (store, _) = open();
    early
        .iter()
        .for_each(|bytes| assert!(store.put_bytes(bytes).is_ok()));
    store.close().unwrap();
    let (index, aside) = (bench.folder().join("index"), bench.path("aside"));
    copy(&index, &aside);
    let (store, _) = open();
    late.iter()
        .for_each(|bytes| assert!(store.put_bytes(bytes).is_ok()));
    store.commit().unwrap();
    let before = store.statistics().unwrap();
    drop(store);
    std::fs::remove_dir_all(&index).unwrap();
    copy(&aside, &index);
    let (store, report) = open();
    assert!(report.index_rebuilt.is_none(), "{report:?}");
    assert!(report.records_replayed > 4, "{report:?}");
    for bytes in &blobs {
        assert_eq!(
            &store.get_bytes(BlobDigest::of(bytes), u64::MAX).unwrap(),
            bytes
        );
    }
    let after = store.statistics().unwrap();
    assert_eq!(
        (after.blobs, after.chunks, after.unique_bytes),
        (before.blobs, before.chunks, before.unique_bytes)
    );
    assert!(store.fsck(true).unwrap().is_clean());
}
