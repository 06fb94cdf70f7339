#![expect(
    clippy::disallowed_methods,
    reason = "these tests damage sled's own files"
)]

use std::path::Path;

use super::*;
use crate::fs::{DiskFs, Fs};

/// One source file, `log`, of single bytes; the index maps each byte to its position.
struct Bench {
    root: tempfile::TempDir,
}

impl Bench {
    fn new(log: &[u8]) -> Self {
        let bench = Self {
            root: tempfile::tempdir().unwrap(),
        };
        bench.write_log(log);
        bench
    }

    fn log(&self) -> std::path::PathBuf {
        self.root.path().join("log")
    }

    fn write_log(&self, log: &[u8]) {
        std::fs::write(self.log(), log).unwrap();
    }

    fn place(&self) -> Place {
        Place {
            folder: self.root.path().join("index"),
            generation_file: self.root.path().join("index.generation"),
            fs: Arc::new(DiskFs),
            cache_bytes: 8 << 20,
        }
    }

    fn open(&self) -> (DistrustedSled, Option<Doubt>) {
        let log = self.log();
        let sources = Sources::from([("log".to_owned(), DiskFs.meta(&log).unwrap().unwrap().len)]);
        let rebuild = move |fill: &mut Fill<'_>| {
            let bytes = std::fs::read(&log)?;
            for (at, byte) in bytes.iter().enumerate() {
                fill.insert([*byte], [at as u8])?;
            }
            fill.set_position("log", bytes.len() as u64)
        };
        DistrustedSled::open(self.place(), &sources, Arc::new(rebuild)).unwrap()
    }

    fn sled_files(&self) -> Vec<std::path::PathBuf> {
        fn walk(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, files);
                } else {
                    files.push(path);
                }
            }
        }
        let mut files = Vec::new();
        walk(&self.place().folder, &mut files);
        files.sort();
        files
    }

    fn check(&self, expected: &[u8], doubt: Option<fn(&Doubt) -> bool>) {
        let (index, found) = self.open();
        match (doubt, &found) {
            (None, None) => {}
            (Some(is_expected), Some(found)) => assert!(is_expected(found), "{found}"),
            _ => panic!("doubt: {found:?}"),
        }
        check_answers(&index, expected);
        index.close().unwrap();
    }
}

fn check_answers(index: &DistrustedSled, expected: &[u8]) {
    for (at, byte) in expected.iter().enumerate() {
        assert_eq!(index.get(&[*byte]).unwrap(), Some(vec![at as u8]));
    }
    let all = index.scan_range(&[1], &[255], 1000).unwrap();
    assert_eq!(all.len(), expected.len());
    let positions = Sources::from([("log".to_owned(), expected.len() as u64)]);
    assert_eq!(index.positions().unwrap(), positions);
}

#[test]
fn is_made_when_there_is_none_and_believed_after_a_clean_close() {
    let bench = Bench::new(b"abc");
    bench.check(b"abc", Some(|doubt| *doubt == Doubt::Absent));
    bench.check(b"abc", None);
}

#[test]
fn keeps_what_is_applied() {
    let bench = Bench::new(b"abc");
    let (index, _) = bench.open();
    bench.write_log(b"abcd");
    let mut batch = Batch::new();
    batch.insert(*b"d", [3]);
    batch.insert(*b"x", [0]);
    batch.remove(*b"x");
    batch.set_position("log", 4);
    index.apply(&batch).unwrap();
    assert_eq!(index.scan_prefix(b"d").unwrap(), [(b"d".to_vec(), vec![3])]);
    index.close().unwrap();
    bench.check(b"abcd", None);
}

#[test]
fn survives_without_a_clean_close_on_the_same_boot() {
    let bench = Bench::new(b"abc");
    drop(bench.open());
    bench.check(b"abc", None);
}

#[test]
fn is_rebuilt_after_another_boot_without_a_clean_close() {
    let bench = Bench::new(b"abc");
    drop(bench.open());
    let file = bench.place().generation_file;
    let text = std::fs::read_to_string(&file).unwrap();
    let boot = DiskFs.boot_id();
    std::fs::write(&file, text.replace(&boot, "another boot")).unwrap();
    bench.check(b"abc", Some(|doubt| *doubt == Doubt::Unclean));
}

#[test]
fn is_rebuilt_when_its_file_got_shorter_or_is_gone() {
    let bench = Bench::new(b"abc");
    bench.check(b"abc", Some(|doubt| *doubt == Doubt::Absent));
    bench.write_log(b"xy");
    bench.check(
        b"xy",
        Some(|doubt| matches!(doubt, Doubt::Position { recorded: 3, .. })),
    );
}

#[test]
fn deleted_emptied_and_cut_indexes_are_rebuilt() {
    let damages: [fn(&Bench); 5] = [
        |bench| std::fs::remove_dir_all(bench.place().folder).unwrap(),
        |bench| std::fs::remove_file(bench.place().generation_file).unwrap(),
        |bench| {
            std::fs::write(bench.place().generation_file, b"{\"generation\":\"../..\"").unwrap()
        },
        |bench| {
            for file in bench.sled_files() {
                std::fs::write(file, b"").unwrap();
            }
        },
        |bench| {
            for file in bench.sled_files() {
                let bytes = std::fs::read(&file).unwrap();
                std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
            }
        },
    ];
    for damage in damages {
        let bench = Bench::new(b"abc");
        bench.check(b"abc", Some(|_| true));
        damage(&bench);
        bench.check(b"abc", Some(|_| true));
        bench.check(b"abc", None);
    }
}

#[test]
fn answers_stay_right_when_bits_flip_under_an_unclean_index() {
    let letters: Vec<u8> = (1..=200).collect();
    for seed in 0..24u64 {
        let bench = Bench::new(&letters);
        drop(bench.open());
        for file in bench.sled_files() {
            let mut bytes = std::fs::read(&file).unwrap();
            if bytes.is_empty() {
                continue;
            }
            for flip in 0..8 {
                let at = (seed * 7919 + flip * 104_729 + 13) as usize % bytes.len().min(8192);
                bytes[at] ^= 1 << (flip % 8);
            }
            std::fs::write(&file, bytes).unwrap();
        }
        let (index, _) = bench.open();
        check_answers(&index, &letters);
    }
}

#[test]
fn a_failing_question_makes_it_afresh() {
    let bench = Bench::new(b"abc");
    let (index, _) = bench.open();
    let times = std::cell::Cell::new(0);
    let answer = index.ask(|_| {
        times.set(times.get() + 1);
        if times.get() == 1 {
            panic!("a page is gone");
        }
        Ok(times.get())
    });
    assert_eq!(answer.unwrap(), 2);
    let doubts = [Doubt::Panicked("a page is gone".to_owned())];
    assert_eq!(index.take_doubts(), doubts);
    assert!(index.take_doubts().is_empty());
    check_answers(&index, b"abc");
}

#[test]
fn what_cannot_be_rebuilt_now_is_tried_again_later() {
    let bench = Bench::new(b"abc");
    let (index, _) = bench.open();
    std::fs::remove_file(bench.log()).unwrap();
    assert!(matches!(index.rebuild(), Err(IndexError::Rebuild { .. })));
    assert!(matches!(index.get(b"a"), Err(IndexError::Rebuild { .. })));
    bench.write_log(b"abc");
    check_answers(&index, b"abc");
}

#[test]
fn a_closed_index_says_so() {
    let bench = Bench::new(b"abc");
    let (index, _) = bench.open();
    index.shut().unwrap();
    index.shut().unwrap();
    assert!(matches!(index.get(b"a"), Err(IndexError::Closed)));
}
