//! A store of format 1, committed as it was written, stays readable.
//!
//! To write a new one beside it when a new format comes: `BEGAT_WRITE_SAMPLE=folder cargo test -p begat-store --test store sample` does it.

use std::path::{Path, PathBuf};

use begat_schemas::{BlobDigest, TreeDigest};
use begat_store::{Materialise, Store, StoreOptions};

use crate::bench::{noise, safetensors, weights};

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/format-1")
}

/// What the sample holds, under the tree below.
fn contents() -> Vec<(&'static str, Vec<u8>)> {
    let tensors = [
        ("layer.weight", weights(1, 3000)),
        ("layer.bias", weights(2, 10)),
    ];
    vec![
        ("empty", Vec::new()),
        ("noise.bin", noise(3, 40_000)),
        (
            "notes/text.txt",
            b"every checkpoint has parents\n".repeat(300),
        ),
        ("model.safetensors", safetensors(&tensors)),
    ]
}

const TREE: &str = "8acc552c0382e7511bb060908cca20fa74050c701cbfbc28ecdbba12d0870a4c";

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

#[test]
fn format_1_stays_readable() {
    let root = tempfile::tempdir().unwrap();
    if let Some(folder) = std::env::var_os("BEGAT_WRITE_SAMPLE") {
        write_sample(root.path(), Path::new(&folder));
    }
    let folder = root.path().join("store");
    copy(&sample(), &folder);
    let (store, _) = Store::open(StoreOptions::new(&folder)).unwrap();
    let tree: TreeDigest = TREE.parse().unwrap();
    store
        .materialise(tree, &root.path().join("out"), Materialise::default())
        .unwrap();
    for (path, bytes) in contents() {
        assert_eq!(
            std::fs::read(root.path().join("out").join(path)).unwrap(),
            bytes,
            "{path}"
        );
        assert!(store.has_blob(BlobDigest::of(&bytes)).unwrap());
    }
    assert!(store.fsck(true).unwrap().is_clean());
    // What is in an old pack is found, not stored again.
    let before = store.statistics().unwrap();
    let added = store.add_folder(&root.path().join("out")).unwrap();
    assert_eq!((added.digest, added.new_bytes), (tree, 0));
    store.commit().unwrap();
    assert_eq!(store.statistics().unwrap(), before);
}

/// One sealed pack (gc seals) and one open, without the index.
fn write_sample(root: &Path, folder: &Path) {
    let source = root.join("source");
    for (path, bytes) in contents() {
        let path = source.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let (store, _) = Store::open(StoreOptions::new(root.join("new"))).unwrap();
    for (path, bytes) in contents() {
        if path == "noise.bin" {
            let blob = store.put_bytes(&bytes).unwrap();
            let roots = [begat_store::Root::Blob(blob)];
            store.gc(roots, begat_store::GcOptions::default()).unwrap();
        }
    }
    let added = store.add_folder(&source).unwrap();
    println!("the sample's tree is {}", added.digest);
    store.close().unwrap();
    std::fs::remove_dir_all(root.join("new/index")).unwrap();
    std::fs::remove_file(root.join("new/index.generation")).unwrap();
    std::fs::remove_file(root.join("new/lock")).unwrap();
    copy(&root.join("new"), folder);
}
