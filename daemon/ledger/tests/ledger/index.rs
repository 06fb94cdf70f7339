//! The index is never believed: whatever happens to sled's folder, the answers are those of the log.

use std::path::{Path, PathBuf};

use begat_ledger::{Ledger, LedgerError, Record};
use begat_schemas::{Purpose, RunState};
use proptest::prelude::*;

use crate::story::*;

/// Tells a ledger the history, closes it or not, damages its index, and expects the same answers without asking.
fn check(close: bool, damage: impl Fn(&Path), rebuilt: bool) {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _) = open(folder.path());
    tell(&ledger);
    let expected = answers(&ledger);
    if close {
        ledger.close().unwrap();
    } else {
        drop(ledger);
    }
    damage(&folder.path().join("index"));
    let (ledger, report) = open(folder.path());
    assert_eq!(report.index_rebuilt.is_some(), rebuilt, "{report:?}");
    assert_eq!(answers(&ledger), expected);
    assert_eq!(ledger.check().unwrap(), []);
    // It goes on from there.
    ledger
        .append(at(1000), vec![moved("after", Some("t"))])
        .unwrap();
    assert_eq!(
        ledger.get_ref(&ref_name("after")).unwrap().unwrap().tree,
        tree("t")
    );
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_of(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// sled's data, by far the largest of its files.
fn data_file(folder: &Path) -> PathBuf {
    let files = files_of(folder).into_iter();
    let length = |path: &PathBuf| path.metadata().unwrap().len();
    files.max_by_key(length).unwrap()
}

#[test]
fn an_index_that_was_closed_is_believed() {
    check(true, |_| {}, false);
}

#[test]
fn an_index_that_was_not_closed_is_caught_up() {
    check(false, |_| {}, false);
}

#[test]
fn a_deleted_index_is_made_afresh() {
    check(true, |index| std::fs::remove_dir_all(index).unwrap(), true);
}

#[test]
fn an_emptied_index_is_made_afresh() {
    let empty = |index: &Path| {
        std::fs::remove_dir_all(index).unwrap();
        std::fs::create_dir(index).unwrap();
    };
    check(true, empty, true);
}

#[test]
fn a_truncated_index_is_made_afresh() {
    let truncate = |index: &Path| {
        let file = data_file(index);
        let length = file.metadata().unwrap().len();
        let open = std::fs::OpenOptions::new().write(true).open(file).unwrap();
        open.set_len(length / 3).unwrap();
    };
    check(true, truncate, true);
}

#[test]
fn an_index_with_a_flipped_bit_is_made_afresh() {
    for part in [0.01, 0.3, 0.5, 0.9] {
        let flip = |index: &Path| {
            let file = data_file(index);
            let mut bytes = std::fs::read(&file).unwrap();
            let at = (bytes.len() as f64 * part) as usize;
            bytes[at] ^= 4;
            std::fs::write(file, bytes).unwrap();
        };
        check(true, flip, true);
    }
}

#[test]
fn an_index_of_an_older_time_is_caught_up() {
    let folder = tempfile::tempdir().unwrap();
    let (copy, other) = (folder.path().join("copy"), folder.path().join("other"));
    let (ledger, _) = open(&copy);
    let (behind, _) = open(&other);
    for (second, records) in (0..).zip(history()) {
        ledger.append(at(second), records.clone()).unwrap();
        if second < 9 {
            behind.append(at(second), records).unwrap();
        }
    }
    let expected = answers(&ledger);
    ledger.close().unwrap();
    behind.close().unwrap();
    std::fs::copy(copy.join("log-000001.log"), other.join("log-000001.log")).unwrap();
    let (ledger, report) = open(&other);
    assert_eq!(report.index_rebuilt, None);
    assert_eq!(report.frames_replayed, history().len() as u64 - 9);
    assert_eq!(answers(&ledger), expected);
}

#[test]
fn rebuilding_on_demand_changes_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _) = open(folder.path());
    tell(&ledger);
    let expected = answers(&ledger);
    ledger.rebuild_index().unwrap();
    assert_eq!(answers(&ledger), expected);
    assert_eq!(ledger.check().unwrap(), []);
}

#[test]
fn a_damaged_log_is_an_error_that_names_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _) = open(folder.path());
    tell(&ledger);
    ledger.close().unwrap();
    let file = folder.path().join("log-000001.log");
    let mut bytes = std::fs::read(&file).unwrap();
    let second_line = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    bytes[second_line + 40] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    match Ledger::open(begat_ledger::LedgerOptions::new(folder.path())) {
        Err(LedgerError::Damaged {
            file: found,
            offset,
            ..
        }) => {
            assert_eq!((found, offset), (file, second_line as u64));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_log_of_another_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let json = br#"{"format":"begat-ledger-9","first":1}"#;
    let sum = begat_schemas::Digest::of(json).to_hex()[..16].to_owned();
    let line = [sum.as_bytes(), b" ", json, b"\n"].concat();
    std::fs::write(folder.path().join("log-000001.log"), line).unwrap();
    let error = Ledger::open(begat_ledger::LedgerOptions::new(folder.path())).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("is of format `begat-ledger-9`, this begat reads `begat-ledger-1`"),
        "{error}"
    );
}

#[test]
fn a_torn_end_is_cut_and_kept_beside() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _) = open(folder.path());
    tell(&ledger);
    let expected = answers(&ledger);
    ledger.close().unwrap();
    let file = folder.path().join("log-000001.log");
    let mut bytes = std::fs::read(&file).unwrap();
    let whole = bytes.len() as u64;
    bytes.extend_from_slice(b"0123456789abcdef {\"seq\":");
    std::fs::write(&file, bytes).unwrap();
    let (ledger, report) = open(folder.path());
    let cut = report.cut.unwrap();
    assert_eq!((cut.offset, cut.bytes), (whole, 24));
    assert_eq!(
        std::fs::read(cut.kept_as).unwrap(),
        b"0123456789abcdef {\"seq\":"
    );
    assert_eq!(answers(&ledger), expected);
}

/// Any record about a few runs, launches and refs, most of them out of place.
fn any_record() -> impl Strategy<Value = Record> {
    let some_run = (0..3_u32).prop_map(|size| derivation("corpus", 512 + size));
    let names = prop::sample::select(vec!["demo/corpus", "gpt/tokenizer", "champion"]);
    let trees = prop::sample::select(vec!["corpus", "small", "large", "kept"]);
    let states = prop::sample::select(RunState::ALL.to_vec());
    let numbers = 1..4_u32;
    (0..12_u8, some_run, numbers, names, trees, states).prop_map(
        |(kind, derivation, number, name, output, state)| {
            let id = attempt(run(&derivation), number);
            match kind {
                0 => created(number.into(), "gpt", &["tokenizer"]),
                1 | 2 => declared(&derivation),
                3 => stage_run(number.into(), "tokenizer", id.run, number == 1),
                4 => started(id, Purpose::Launch),
                5 => started(id, Purpose::Reproduce),
                6 => becomes(id, state),
                7 => resumed(id),
                8 => ended(id, state, (state == RunState::Succeeded).then_some(output)),
                9 => moved(name, (number > 1).then_some(output)),
                10 => Record::RunState {
                    run: id.run,
                    state,
                    reason: None,
                },
                _ => Record::RunRemoved { run: id.run },
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn replay_and_rebuild_equal_the_live_state(records in prop::collection::vec(any_record(), 1..120)) {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _) = open(folder.path());
        for (second, record) in (0..).zip(records) {
            match ledger.append(at(second), vec![record]) {
                Ok(()) | Err(LedgerError::Refused(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let expected = answers(&ledger);
        prop_assert_eq!(ledger.check().unwrap(), []);
        drop(ledger);
        let (ledger, _) = open(folder.path());
        prop_assert_eq!(&answers(&ledger), &expected);
        ledger.rebuild_index().unwrap();
        prop_assert_eq!(&answers(&ledger), &expected);
        prop_assert_eq!(ledger.check().unwrap(), []);
    }
}

/// The sample was written by the first version of this format, and is never written again.
#[test]
fn a_log_of_format_1_stays_readable() {
    let sample = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/samples/begat-ledger-1/log-000001.log"
    );
    let folder = tempfile::tempdir().unwrap();
    let (read, told) = (folder.path().join("read"), folder.path().join("told"));
    std::fs::create_dir(&read).unwrap();
    std::fs::copy(sample, read.join("log-000001.log")).unwrap();
    let (read, report) = open(&read);
    assert_eq!(report.cut, None);
    let (told, _) = open(&told);
    tell(&told);
    assert_eq!(answers(&read), answers(&told));
}
