//! What lists of trees take, and share.

use begat_schemas::{Tree, TreeDigest, TreeEntry, TreePath};
use begat_store::{Error, Footprint, Store};

use crate::bench::{Bench, noise, safetensors, weights};

fn put_tree(store: &Store, files: &[(&str, &[u8])]) -> TreeDigest {
    let entries = files.iter().map(|(path, bytes)| TreeEntry {
        path: TreePath::new(*path).unwrap(),
        size: bytes.len() as u64,
        blob: store.put_bytes(bytes).unwrap(),
        executable: false,
    });
    let tree = Tree::new(entries.collect()).unwrap();
    store.put_tree(&tree).unwrap()
}

#[test]
fn equal_tensors_of_different_checkpoints_are_shared() {
    let bench = Bench::new();
    let store = bench.open();
    let (body, head, other) = (weights(1, 300_000), weights(2, 50_000), weights(3, 50_000));
    let model = |head: &[u8]| safetensors(&[("body", body.clone()), ("head", head.to_vec())]);
    let (first, second) = (model(&head), model(&other));
    let left = put_tree(&store, &[("model.safetensors", &first)]);
    let right = put_tree(&store, &[("model.safetensors", &second)]);
    let found = store.footprints(&[vec![left], vec![right]]).unwrap();
    assert!(found.shared.unique_bytes >= 1_200_000, "{found:?}");
    for own in &found.own {
        assert!((200_000..210_000).contains(&own.unique_bytes), "{found:?}");
        assert!(own.stored_bytes < own.unique_bytes, "{found:?}");
    }
    for (whole, own) in found.whole.iter().zip(&found.own) {
        assert_eq!(
            whole.stored_bytes,
            own.stored_bytes + found.shared.stored_bytes
        );
        assert_eq!(
            whole.unique_bytes,
            own.unique_bytes + found.shared.unique_bytes
        );
    }
}

#[test]
fn what_two_of_three_need_is_neither_shared_nor_own() {
    let bench = Bench::new();
    let store = bench.open();
    let file = noise(1, 100_000);
    let both = put_tree(&store, &[("file", &file)]);
    let alone = put_tree(&store, &[("file", &noise(2, 50_000))]);
    let lists = [vec![both, both], vec![both], vec![alone]];
    let found = store.footprints(&lists).unwrap();
    assert_eq!(found.shared, Footprint::default());
    assert_eq!(found.own[0], Footprint::default());
    assert_eq!(found.own[1], Footprint::default());
    assert_eq!(found.own[2], found.whole[2]);
    assert_eq!(found.whole[0], found.whole[1]);
    assert!(found.whole[0].unique_bytes >= 100_000, "{found:?}");
}

#[test]
fn all_of_one_list_is_what_the_store_holds() {
    let bench = Bench::new();
    let store = bench.open();
    let trees: Vec<TreeDigest> = (0..4)
        .map(|seed| put_tree(&store, &[("a", &noise(seed, 9000)), ("b", b"always this")]))
        .collect();
    store.commit().unwrap();
    let found = store.footprints(&[trees]).unwrap();
    let statistics = store.statistics().unwrap();
    assert_eq!(found.whole[0].unique_bytes, statistics.unique_bytes);
    assert!(found.whole[0].stored_bytes <= statistics.stored_bytes);
    assert_eq!(
        (found.shared, found.own[0]),
        (found.whole[0], found.whole[0])
    );
}

#[test]
fn a_tree_that_is_not_there_is_named() {
    let bench = Bench::new();
    let nowhere = TreeDigest::of(b"nowhere");
    let found = bench.open().footprints(&[vec![nowhere]]);
    assert!(matches!(found, Err(Error::NoTree { tree }) if tree == nowhere));
}
