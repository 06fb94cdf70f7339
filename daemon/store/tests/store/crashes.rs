//! Every file-system call of adding, sealing, collecting and opening failed, cut short and crashed in turn, on a disk in
//! memory; then the store is opened again and compared with a plain map of what was acknowledged.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use begat_schemas::{BlobDigest, Tree, TreeDigest, TreeEntry, TreePath};
use begat_store::faults::{Fault, FaultyFs};
use begat_store::fs::Fs;
use begat_store::{Error, GcOptions, Root, Store, StoreOptions};

use crate::bench::noise;

/// What the store has acknowledged, and what it was given.
#[derive(Default)]
struct Model {
    given: BTreeMap<BlobDigest, Vec<u8>>,
    acknowledged: Vec<BlobDigest>,
    trees: Vec<TreeDigest>,
}

/// A disk in memory, with sled's folder on the real one beside it.
struct Rig {
    disk: FaultyFs,
    index: tempfile::TempDir,
}

impl Rig {
    fn new(disk: FaultyFs) -> Self {
        Self {
            disk,
            index: fast_folder(),
        }
    }

    fn open(&self) -> Result<Store, Error> {
        let options = StoreOptions {
            fs: Arc::new(self.disk.clone()),
            index_folder: Some(self.index.path().join("index")),
            threads: 1,
            // So small that the work below seals packs, in the middle of a round and by gc.
            pack_bytes: 30_000,
            ..StoreOptions::new("/data/store")
        };
        Ok(Store::open(options)?.0)
    }
}

/// sled's folder survives every fault here, so it need not be on a disk: syncing it is most of what these tests would wait for.
fn fast_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn put(store: &Store, model: &mut Model, bytes: Vec<u8>) -> Result<BlobDigest, Error> {
    let digest = BlobDigest::of(&bytes);
    model.given.insert(digest, bytes.clone());
    store.put_bytes(&bytes)?;
    Ok(digest)
}

/// Two rounds of adding with a commit each, a restart between them, and a gc that keeps everything acknowledged.
fn work(rig: &Rig, model: &mut Model) -> Result<(), Error> {
    for round in 0..2 {
        let store = rig.open()?;
        let mut new = Vec::new();
        for size in [0, 700, 40_000] {
            new.push(put(
                &store,
                model,
                noise(round * 100 + size, size as usize),
            )?);
        }
        let entries = new.iter().enumerate().map(|(at, blob)| TreeEntry {
            path: TreePath::new(format!("file{at}")).unwrap(),
            size: model.given[blob].len() as u64,
            blob: *blob,
            executable: false,
        });
        let tree = store.put_tree(&Tree::new(entries.collect()).unwrap())?;
        store.commit()?;
        model.acknowledged.extend(new);
        model.trees.push(tree);
        put(&store, model, noise(round + 7, 9_000))?;
        if round == 1 {
            let roots: Vec<Root> = model.trees.iter().map(|tree| Root::Tree(*tree)).collect();
            store.gc(roots, GcOptions::default())?;
        }
        store.close()?;
    }
    Ok(())
}

/// Opens what is left and compares it with the model. Twice, for opening mends, and what it mended must last.
fn check(rig: &Rig, model: &Model, context: &str) {
    for opening in 0..2 {
        let store = rig
            .open()
            .unwrap_or_else(|error| panic!("{context}: opening {opening}: {error}"));
        for blob in &model.acknowledged {
            let bytes = store.get_bytes(*blob, u64::MAX);
            let bytes =
                bytes.unwrap_or_else(|error| panic!("{context}: opening {opening}: {error}"));
            assert!(
                bytes == model.given[blob],
                "{context}: {blob} has other bytes"
            );
        }
        for (blob, bytes) in &model.given {
            if store.has_blob(*blob).unwrap() {
                let read = store.get_bytes(*blob, u64::MAX);
                assert!(
                    read.is_ok_and(|read| read == *bytes),
                    "{context}: {blob} is half there"
                );
            }
        }
        for tree in &model.trees {
            assert!(store.get_tree(*tree).is_ok(), "{context}: {tree} is lost");
        }
        let report = store.fsck(true).unwrap();
        assert!(report.is_clean(), "{context}: {report:#?}");
        // What is there can be built on.
        let again = noise(7, 9_000);
        assert_eq!(store.put_bytes(&again).unwrap(), BlobDigest::of(&again));
        store.close().unwrap();
    }
}

fn operations() -> u64 {
    let rig = Rig::new(FaultyFs::new());
    work(&rig, &mut Model::default()).unwrap();
    let sealed = rig.disk.list(Path::new("/data/store/packs")).unwrap();
    assert!(sealed.len() >= 3, "{sealed:?}");
    rig.disk.operations()
}

fn sweep(fault: Fault, after: impl Fn(&FaultyFs, u64) -> Vec<(FaultyFs, bool)>) {
    let total = operations();
    assert!(total > 100, "{total} operations");
    let mut fired = 0;
    for operation in 0..total {
        let mut rig = Rig::new(FaultyFs::new());
        rig.disk.fail_at(operation, fault);
        let mut model = Model::default();
        let context = format!("{fault:?} at operation {operation}");
        // A failing file system may surface as an error, never as a panic.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&rig, &mut model)));
        let outcome = outcome.unwrap_or_else(|_| panic!("{context}: panicked"));
        assert_eq!(
            rig.disk.syncs_after_failure(),
            0,
            "{context}: a failed sync was tried again"
        );
        fired += u64::from(rig.disk.fired());
        if fault == Fault::ShortWrite {
            outcome.unwrap_or_else(|error| panic!("{context}: {error}"));
        }
        let before = rig.disk.clone();
        for (disk, keep_index) in after(&before, operation) {
            rig.disk = disk;
            if !keep_index {
                let index = rig.index.path().join("index");
                if index.exists() {
                    std::fs::remove_dir_all(index).unwrap();
                }
            }
            check(
                &rig,
                &model,
                &format!("{context}, index kept: {keep_index}"),
            );
        }
    }
    assert!(
        fired * 10 >= total * 9,
        "{fired} of {total} faults happened"
    );
}

#[test]
fn power_cuts() {
    sweep(Fault::Crash, |disk, operation| {
        (0..4)
            .map(|seed| (disk.crash(operation * 31 + seed), seed % 2 == 0))
            .collect()
    });
}

#[test]
fn input_output_errors_then_a_restart() {
    sweep(Fault::Eio, |disk, _| vec![(disk.kill(), true)]);
}

#[test]
fn input_output_errors_then_a_power_cut() {
    sweep(Fault::Eio, |disk, operation| {
        vec![
            (disk.crash(operation), true),
            (disk.crash(operation + 1), false),
        ]
    });
}

#[test]
fn a_full_disk() {
    sweep(Fault::Enospc, |disk, operation| {
        vec![(disk.kill(), true), (disk.crash(operation), false)]
    });
}

#[test]
fn short_writes() {
    sweep(Fault::ShortWrite, |disk, operation| {
        vec![(disk.crash(operation), true)]
    });
}

#[test]
fn a_disk_that_is_full_for_a_while_is_borne_without_a_restart() {
    let rig = Rig::new(FaultyFs::new());
    let store = rig.open().unwrap();
    let mut model = Model::default();
    let first = put(&store, &mut model, noise(1, 1000)).unwrap();
    rig.disk.fail_at(rig.disk.operations(), Fault::Enospc);
    let error = put(&store, &mut model, noise(2, 1000)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot append to /data/store/packs/00000001.open: No space left on device (os error 28)"
    );
    let second = put(&store, &mut model, noise(2, 1000)).unwrap();
    store.commit().unwrap();
    model.acknowledged.extend([first, second]);
    drop(store);
    let rig = Rig {
        disk: rig.disk.crash(1),
        ..rig
    };
    check(&rig, &model, "after a full disk");
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_the_store_is_opened_again() {
    let rig = Rig::new(FaultyFs::new());
    let store = rig.open().unwrap();
    let mut model = Model::default();
    let lost = put(&store, &mut model, noise(1, 1000)).unwrap();
    rig.disk.fail_at(rig.disk.operations(), Fault::Eio);
    assert!(store.commit().is_err());
    let words = "the store takes no more writes until it is opened again, because cannot sync \
                 /data/store/packs/00000001.open: Input/output error (os error 5)";
    assert_eq!(store.commit().unwrap_err().to_string(), words);
    assert_eq!(store.put_bytes(b"more").unwrap_err().to_string(), words);
    assert_eq!(
        store.get_bytes(lost, 1000).unwrap(),
        noise(1, 1000),
        "reading goes on"
    );
    drop(store);
    let rig = Rig {
        disk: rig.disk.kill(),
        ..rig
    };
    // The machine did not stop: the bytes are still to be read, and opening saves them by writing them afresh.
    let store = rig.open().unwrap();
    assert!(store.has_blob(lost).unwrap());
    store.commit().unwrap();
    model.acknowledged.push(lost);
    drop(store);
    assert_eq!(rig.disk.syncs_after_failure(), 0);
    let rig = Rig {
        disk: rig.disk.crash(3),
        ..rig
    };
    check(&rig, &model, "after a failed sync");
}
