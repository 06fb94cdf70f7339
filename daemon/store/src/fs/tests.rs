//! What every [`Fs`] must do, tried on the disk and on the faulty one; and what only the faulty one does.

use std::path::Path;

use super::faulty::{Fault, FaultyFs};
use super::*;

fn both(check: impl Fn(&dyn Fs, &Path)) {
    let folder = tempfile::tempdir().unwrap();
    check(&DiskFs, folder.path());
    let fs = FaultyFs::new();
    fs.create_dir(Path::new("/data")).unwrap();
    check(&fs, Path::new("/data"));
}

fn write(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> Arc<dyn FsFile> {
    let file = fs.open(path, Open::CreateNew).unwrap();
    append_all(&*file, bytes).unwrap();
    file
}

fn read(fs: &dyn Fs, path: &Path) -> Option<Vec<u8>> {
    read_file(fs, path, 1 << 20).unwrap()
}

#[test]
fn what_is_appended_is_read() {
    both(|fs, root| {
        let path = root.join("a");
        let file = write(fs, &path, b"hello");
        append_all(&*file, b" world").unwrap();
        file.sync().unwrap();
        let mut buffer = [0; 5];
        read_exact_at(&*file, &mut buffer, 6).unwrap();
        assert_eq!(&buffer, b"world");
        assert_eq!(file.read_at(&mut buffer, 11).unwrap(), 0);
        file.truncate(5).unwrap();
        append_all(&*file, b"!").unwrap();
        assert_eq!(read(fs, &path).unwrap(), b"hello!");
        assert_eq!(file.len().unwrap(), 6);
    });
}

#[test]
fn opening_says_what_is_wrong() {
    both(|fs, root| {
        let path = root.join("a");
        let absent = fs.open(&path, Open::Read).unwrap_err();
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);
        write(fs, &path, b"x");
        let there = fs.open(&path, Open::CreateNew).unwrap_err();
        assert_eq!(there.kind(), io::ErrorKind::AlreadyExists);
        let file = fs.open(&path, Open::Append).unwrap();
        append_all(&*file, b"y").unwrap();
        assert_eq!(read(fs, &path).unwrap(), b"xy");
        let reader = fs.open(&path, Open::Read).unwrap();
        assert!(reader.append(b"z").is_err());
    });
}

#[test]
fn names_change() {
    both(|fs, root| {
        let deep = root.join("d/e");
        fs.create_dir(&deep).unwrap();
        fs.create_dir(&deep).unwrap();
        write(fs, &deep.join("b"), b"b");
        write(fs, &deep.join("a"), b"a");
        fs.rename(&deep.join("a"), &deep.join("b")).unwrap();
        assert_eq!(read(fs, &deep.join("b")).unwrap(), b"a");
        assert!(fs.meta(&deep.join("a")).unwrap().is_none());
        fs.rename(&deep, &root.join("f")).unwrap();
        let names: Vec<_> = fs
            .list(root)
            .unwrap()
            .into_iter()
            .map(|entry| (entry.name, entry.meta.kind))
            .collect();
        let expected = [("d", FileKind::Folder), ("f", FileKind::Folder)];
        assert_eq!(names, expected.map(|(name, kind)| (name.into(), kind)));
        fs.remove(&root.join("f/b")).unwrap();
        assert!(fs.list(&root.join("f")).unwrap().is_empty());
        assert!(fs.remove(&root.join("f/b")).is_err());
        fs.remove_dir_all(&root.join("f")).unwrap();
        fs.remove_dir_all(&root.join("f")).unwrap();
        assert!(fs.meta(&root.join("f")).unwrap().is_none());
    });
}

#[test]
fn modes_are_kept() {
    both(|fs, root| {
        let path = root.join("run.sh");
        write(fs, &path, b"#!/bin/sh");
        assert!(!fs.meta(&path).unwrap().unwrap().executable);
        fs.set_mode(&path, 0o755).unwrap();
        let meta = fs.meta(&path).unwrap().unwrap();
        assert!(meta.executable);
        assert_eq!(meta.len, 9);
    });
}

#[test]
fn a_lock_has_one_holder_and_names_it() {
    both(|fs, root| {
        let path = root.join("lock");
        let held = fs.lock(&path).unwrap().unwrap();
        let holder = fs.lock(&path).unwrap().unwrap_err();
        assert!(holder.0.starts_with("process "), "{holder}");
        drop(held);
        assert!(fs.lock(&path).unwrap().is_ok());
    });
}

#[test]
fn an_atomic_write_replaces_and_leaves_nothing_beside() {
    both(|fs, root| {
        let path = root.join("state");
        write(fs, &root.join("state.new"), b"left by a crash");
        write_file_atomic(fs, &path, b"one").unwrap();
        write_file_atomic(fs, &path, b"two").unwrap();
        assert_eq!(read(fs, &path).unwrap(), b"two");
        assert_eq!(fs.list(root).unwrap().len(), 1);
        assert!(read_file(fs, &path, 2).is_err());
    });
}

fn durable_folder() -> (FaultyFs, std::path::PathBuf) {
    let fs = FaultyFs::new();
    create_dir_durable(&fs, Path::new("/data")).unwrap();
    (fs, "/data".into())
}

#[test]
fn a_power_cut_keeps_what_was_synced() {
    let (fs, root) = durable_folder();
    let file = write(&fs, &root.join("a"), b"synced");
    file.sync().unwrap();
    fs.sync_dir(&root).unwrap();
    append_all(&*file, b" and not").unwrap();
    let seen: std::collections::BTreeSet<_> = (0..64)
        .map(|seed| read(&fs.crash(seed), &root.join("a")).unwrap())
        .collect();
    assert!(seen.iter().all(|bytes| bytes.starts_with(b"synced")));
    assert!(seen.len() > 3, "torn in several ways: {seen:?}");
}

#[test]
fn a_power_cut_may_lose_what_was_not() {
    let (fs, root) = durable_folder();
    let file = write(&fs, &root.join("a"), b"bytes synced, name not");
    file.sync().unwrap();
    let there = (0..64)
        .filter(|seed| read(&fs.crash(*seed), &root.join("a")).is_some())
        .count();
    assert!((1..64).contains(&there));
    assert!(read(&fs.kill(), &root.join("a")).is_some());
}

#[test]
fn a_rename_is_one_step() {
    let (fs, root) = durable_folder();
    write_file_atomic(&fs, &root.join("a"), b"old").unwrap();
    let file = write(&fs, &root.join("a.new"), b"new");
    file.sync().unwrap();
    fs.rename(&root.join("a.new"), &root.join("a")).unwrap();
    for seed in 0..64 {
        let bytes = read(&fs.crash(seed), &root.join("a")).unwrap();
        assert!(bytes == b"old" || bytes == b"new");
    }
}

#[test]
fn a_failed_sync_loses_bytes_and_a_second_one_lies() {
    let (fs, root) = durable_folder();
    let file = write(&fs, &root.join("a"), b"gone");
    fs.sync_dir(&root).unwrap();
    fs.fail_at(fs.operations(), Fault::Eio);
    assert!(file.sync().is_err());
    assert!(file.sync().is_ok());
    assert_eq!(fs.syncs_after_failure(), 1);
    for seed in 0..8 {
        assert_eq!(read(&fs.crash(seed), &root.join("a")).unwrap(), b"");
    }
}

#[test]
fn faults_happen_where_planned() {
    let (fs, root) = durable_folder();
    let file = fs.open(&root.join("a"), Open::Append).unwrap();
    fs.fail_at(fs.operations(), Fault::ShortWrite);
    assert_eq!(file.append(b"abcd").unwrap(), 2);
    fs.fail_at(fs.operations(), Fault::Enospc);
    let full = file.append(b"abcd").unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    fs.fail_at(fs.operations() + 1, Fault::Crash);
    assert!(file.len().is_ok());
    assert!(file.len().is_err() && file.len().is_err() && fs.fired());
}
