use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use begat_schemas::{BlobDigest, DigestPrefix, Tree, TreeDigest, TreeEntry, TreePath};
use begat_store::{Error, Materialise, ObjectKind};

use crate::bench::{Bench, noise};

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn sample_folder(bench: &Bench) -> std::path::PathBuf {
    let folder = bench.path("sample");
    write(&folder.join("a.txt"), b"hello");
    write(&folder.join("deep/er/b.bin"), &noise(1, 300_000));
    write(&folder.join("deep/empty.txt"), b"");
    write(&folder.join("run.sh"), b"#!/bin/sh\n");
    std::fs::set_permissions(folder.join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir_all(folder.join("deep/nothing")).unwrap();
    folder
}

#[test]
fn a_folder_comes_back_as_it_was() {
    let bench = Bench::new();
    let folder = sample_folder(&bench);
    let store = bench.open();
    let added = store.add_folder(&folder).unwrap();
    assert_eq!(added.empty_folders, ["deep/nothing"]);
    let paths: Vec<&str> = added
        .tree
        .entries()
        .iter()
        .map(|entry| entry.path.as_str())
        .collect();
    assert_eq!(
        paths,
        ["a.txt", "deep/empty.txt", "deep/er/b.bin", "run.sh"]
    );
    assert_eq!(store.get_tree(added.digest).unwrap(), added.tree);
    let out = bench.path("out");
    for options in [
        Materialise::default(),
        Materialise {
            read_only: false,
            durable: true,
        },
    ] {
        let out = out.with_extension(options.read_only.to_string());
        store.materialise(added.digest, &out, options).unwrap();
        assert_eq!(store.add_folder(&out).unwrap().digest, added.digest);
        let mode = std::fs::metadata(out.join("run.sh"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777;
        assert_eq!(mode, if options.read_only { 0o555 } else { 0o755 });
        let again = store.materialise(added.digest, &out, options).unwrap_err();
        assert_eq!(
            again.to_string(),
            format!("{} is already there", out.display())
        );
    }
    let left: Vec<_> = std::fs::read_dir(bench.root.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().ends_with(".partial")),
        "{left:?}"
    );
}

#[test]
fn a_single_file_is_a_tree_of_one() {
    let bench = Bench::new();
    let folder = sample_folder(&bench);
    let added = bench.open().add_folder(&folder.join("a.txt")).unwrap();
    assert_eq!(added.tree.entries().len(), 1);
    assert_eq!(
        added.tree.get("a.txt").unwrap().blob,
        BlobDigest::of(b"hello")
    );
}

#[test]
fn what_a_tree_cannot_hold_is_refused_by_name() {
    let bench = Bench::new();
    let folder = sample_folder(&bench);
    let store = bench.open();
    symlink("/etc/passwd", folder.join("deep/link")).unwrap();
    let error = store.add_folder(&folder).unwrap_err();
    let link = folder.join("deep/link");
    assert_eq!(
        error.to_string(),
        format!(
            "{} is a symbolic link, which a tree cannot hold",
            link.display()
        )
    );
    std::fs::remove_file(&link).unwrap();
    let socket = folder.join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let error = store.add_folder(&folder).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} is a special file, which a tree cannot hold",
            socket.display()
        )
    );
    let error = store.add_folder(Path::new("/no/such/folder")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot look at /no/such/folder"),
        "{error}"
    );
}

#[test]
fn a_tree_needs_its_blobs() {
    let bench = Bench::new();
    let store = bench.open();
    let entry = TreeEntry {
        path: TreePath::new("x").unwrap(),
        size: 5,
        blob: BlobDigest::of(b"hello"),
        executable: false,
    };
    let tree = Tree::new(vec![entry]).unwrap();
    assert!(matches!(
        store.put_tree(&tree),
        Err(Error::TreeLacksBlob { .. })
    ));
    store.put_bytes(b"hello").unwrap();
    let digest = store.put_tree(&tree).unwrap();
    let prefix = DigestPrefix::new(&digest.to_string()[..8]).unwrap();
    assert_eq!(
        store.find(&prefix).unwrap(),
        [(digest.digest(), ObjectKind::Tree)]
    );
}

#[test]
fn a_blob_is_no_tree() {
    let bench = Bench::new();
    let store = bench.open();
    let blob = store.put_bytes(b"{}").unwrap();
    let tree = TreeDigest::new(blob.digest());
    assert_eq!(
        store.get_tree(tree).unwrap_err().to_string(),
        format!("there is no tree {tree}")
    );
}

#[test]
fn a_damaged_tree_leaves_nothing_behind() {
    let bench = Bench::new();
    let folder = sample_folder(&bench);
    let store = bench.open();
    let added = store.add_folder(&folder).unwrap();
    store.close().unwrap();
    let pack = &bench.packs()[0];
    let mut bytes = std::fs::read(pack).unwrap();
    bytes[100_000] ^= 1;
    std::fs::write(pack, bytes).unwrap();
    let store = bench.open();
    let out = bench.path("out");
    let error = store
        .materialise(added.digest, &out, Materialise::default())
        .unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
    assert_eq!(std::fs::read_dir(bench.root.path()).unwrap().count(), 2);
}
