//! gc and fsck.

use begat_schemas::{BlobDigest, Tree, TreeDigest, TreeEntry, TreePath};
use begat_store::{FsckReport, GcOptions, GcReport, Root, Store};

use crate::bench::{Bench, noise};

const RUN: GcOptions = GcOptions { dry_run: false };

/// A tree of one file with these bytes.
fn put_tree(store: &Store, bytes: &[u8]) -> TreeDigest {
    let entry = TreeEntry {
        path: TreePath::new("file").unwrap(),
        size: bytes.len() as u64,
        blob: store.put_bytes(bytes).unwrap(),
        executable: false,
    };
    store.put_tree(&Tree::new(vec![entry]).unwrap()).unwrap()
}

fn check_clean(store: &Store) -> FsckReport {
    let report = store.fsck(true).unwrap();
    assert!(report.is_clean(), "{report:#?}");
    report
}

#[test]
fn gc_keeps_what_lives_and_frees_the_rest() {
    let bench = Bench::new();
    let store = bench.open();
    let shared = noise(0, 2_000_000);
    let (kept, lost) = (
        [shared.clone(), noise(1, 1_000_000)].concat(),
        [shared, noise(2, 3_000_000)].concat(),
    );
    let (tree, dead) = (put_tree(&store, &kept), put_tree(&store, &lost));
    let alone = store.put_bytes(b"a blob that is a root itself").unwrap();
    store.put_bytes(b"a blob that is none").unwrap();
    let roots = [Root::Tree(tree), Root::Blob(alone)];
    let planned = store.gc(roots, GcOptions { dry_run: true }).unwrap();
    let before = store.statistics().unwrap();
    let done = store.gc(roots, RUN).unwrap();
    assert_eq!(planned.dead_chunks, done.dead_chunks);
    assert_eq!(
        (
            done.live_trees,
            done.live_blobs,
            done.dead_trees,
            done.dead_blobs
        ),
        (1, 3, 1, 3)
    );
    assert!(done.freed_bytes > 3_000_000, "{done:?}");
    let after = store.statistics().unwrap();
    assert!(after.stored_bytes + 2_900_000 < before.stored_bytes);
    for store in [store, bench.open_again()] {
        assert_eq!(
            store.get_bytes(BlobDigest::of(&kept), u64::MAX).unwrap(),
            kept
        );
        assert!(store.get_tree(tree).is_ok() && store.has_blob(alone).unwrap());
        assert!(!store.has_tree(dead).unwrap() && !store.has_blob(BlobDigest::of(&lost)).unwrap());
        assert_eq!(store.statistics().unwrap(), after);
        check_clean(&store);
        let again = store.gc(roots, RUN).unwrap();
        assert_eq!(
            GcReport {
                removed_packs: 0,
                ..again
            },
            again,
            "nothing is left to do"
        );
        store.close().unwrap();
    }
}

impl Bench {
    /// Opens the store from its packs alone.
    fn open_again(&self) -> Store {
        let copy = self.path("copy");
        copy_folder(&self.folder(), &copy);
        std::fs::remove_dir_all(copy.join("index")).unwrap();
        Store::open(begat_store::StoreOptions::new(copy)).unwrap().0
    }
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(path, target).unwrap();
        }
    }
}

#[test]
fn gc_does_nothing_when_a_root_is_missing() {
    let bench = Bench::new();
    let store = bench.open();
    let blob = store.put_bytes(b"would be dead").unwrap();
    let nowhere = TreeDigest::of(b"nowhere");
    let error = store.gc([Root::Tree(nowhere)], RUN).unwrap_err();
    assert_eq!(error.to_string(), format!("there is no tree {nowhere}"));
    assert!(store.has_blob(blob).unwrap());
}

#[test]
fn what_gc_removed_can_be_put_again() {
    let bench = Bench::new();
    let store = bench.open();
    let bytes = noise(1, 500_000);
    let blob = store.put_bytes(&bytes).unwrap();
    store.gc([], RUN).unwrap();
    assert_eq!(store.statistics().unwrap().chunks, 0);
    store.put_bytes(&bytes).unwrap();
    store.close().unwrap();
    let store = bench.open();
    assert_eq!(store.get_bytes(blob, u64::MAX).unwrap(), bytes);
    check_clean(&store);
}

#[test]
fn fsck_names_what_is_damaged() {
    let bench = Bench::new();
    let store = bench.open();
    let bytes = noise(1, 10_000);
    let tree = put_tree(&store, &bytes);
    let whole = store.put_bytes(b"whole").unwrap();
    let report = check_clean(&store);
    assert_eq!((report.packs, report.blobs, report.trees), (1, 3, 1));
    store.close().unwrap();
    let pack = &bench.packs()[0];
    let mut damaged = std::fs::read(pack).unwrap();
    damaged[5000] ^= 1;
    std::fs::write(pack, &damaged).unwrap();
    let store = bench.open();
    assert!(
        store.fsck(false).unwrap().is_clean(),
        "only reading the data shows it"
    );
    let report = store.fsck(true).unwrap();
    let blob = [BlobDigest::of(&bytes).to_string()];
    let objects = |list: &[begat_store::Damage]| -> Vec<String> {
        list.iter().map(|damage| damage.object.clone()).collect()
    };
    assert_eq!(objects(&report.damaged_chunks), blob);
    assert_eq!(objects(&report.damaged_blobs), blob);
    assert_eq!(objects(&report.damaged_trees), [tree.to_string()]);
    assert!(report.damaged_packs.is_empty() && report.index_faults.is_empty());
    assert!(
        report.damaged_chunks[0]
            .reason
            .ends_with("(00000001.open, byte 16)"),
        "{report:?}"
    );
    assert!(store.get_bytes(whole, 100).is_ok());
}

#[test]
fn fsck_names_a_pack_whose_trailer_is_damaged_and_its_records_stay_readable() {
    let bench = Bench::new();
    let store = bench.open();
    let bytes = noise(1, 70 << 20);
    let blob = store.put_bytes(&bytes).unwrap();
    store.close().unwrap();
    let pack = &bench.packs()[0];
    let mut damaged = std::fs::read(pack).unwrap();
    let at = damaged.len() - 1000;
    damaged[at] ^= 1;
    std::fs::write(pack, &damaged).unwrap();
    std::fs::remove_dir_all(bench.folder().join("index")).unwrap();
    let store = bench.open();
    let report = store.fsck(false).unwrap();
    assert_eq!(report.damaged_packs.len(), 1);
    assert_eq!(report.damaged_packs[0].object, "00000001.pack");
    assert_eq!(report.damaged_packs[0].reason, "its trailer is corrupt");
    assert!(report.damaged_blobs.is_empty(), "{report:?}");
    let mut reader = store.get_blob(blob).unwrap();
    while reader.next_chunk().unwrap().is_some() {}
    assert!(
        store.gc([], RUN).is_err(),
        "gc removes nothing from a store that is damaged"
    );
}

#[test]
fn the_index_is_made_from_the_packs_alone() {
    let bench = Bench::new();
    let store = bench.open();
    let tree = put_tree(&store, &noise(1, 300_000));
    store.rebuild_index().unwrap();
    let before = store.statistics().unwrap();
    assert!(store.get_tree(tree).is_ok());
    assert_eq!(before.trees, 1);
    store.rebuild_index().unwrap();
    assert_eq!(store.statistics().unwrap(), before);
    check_clean(&store);
}

#[test]
fn fsck_goes_on_beside_puts() {
    let bench = Bench::new();
    let store = bench.open();
    store.put_bytes(&noise(0, 70 << 20)).unwrap();
    std::thread::scope(|scope| {
        let putting = scope.spawn(|| {
            for seed in 1..40 {
                store.put_bytes(&noise(seed, 200_000)).unwrap();
                store.commit().unwrap();
            }
        });
        while !putting.is_finished() {
            check_clean(&store);
        }
    });
    assert_eq!(check_clean(&store).blobs, 40);
}
