//! Every file-system call of opening and appending fails, is cut short, or is the last before a power cut.

use begat_ledger::{Ledger, LedgerError};
use begat_store::faults::{Fault, FaultyFs};

use crate::story::*;

/// What a ledger acknowledged, and whether one more append may have reached the disk.
struct Told {
    acknowledged: Vec<i64>,
    doubtful: Vec<i64>,
}

/// The appends of a history long enough to begin a second and a third file, each telling its number by a ref.
const APPENDS: i64 = 24;

/// Opens a ledger and appends until all is said or the disk is dead; a ledger that refuses to go on is opened anew.
fn work(fs: &FaultyFs, index: &std::path::Path) -> Told {
    let mut told = Told {
        acknowledged: Vec::new(),
        doubtful: Vec::new(),
    };
    let mut number = 0;
    for _life in 0..3 {
        let Ok((ledger, _)) = Ledger::open(options_on(fs, index)) else {
            continue;
        };
        while number < APPENDS {
            let name = format!("append-{number}");
            let result = ledger.append(
                at(number),
                vec![moved(&name, Some("t")), added(&"x".repeat(300))],
            );
            match result {
                Ok(()) => told.acknowledged.push(number),
                Err(LedgerError::Poisoned { .. }) => break,
                Err(LedgerError::Write(_)) => told.doubtful.push(number),
                Err(error) => panic!("{error}"),
            }
            number += 1;
        }
    }
    told
}

/// Opens what is left and expects every acknowledged append, and no other than doubtful ones.
fn verify(fs: &FaultyFs, index: &std::path::Path, told: &Told, what: &str) {
    let (ledger, _) =
        Ledger::open(options_on(fs, index)).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found: Vec<i64> = (0..APPENDS)
        .filter(|number| {
            let name = ref_name(&format!("append-{number}"));
            ledger.get_ref(&name).unwrap().is_some()
        })
        .collect();
    for number in &told.acknowledged {
        assert!(
            found.contains(number),
            "{what}: append {number} was acknowledged and is lost"
        );
    }
    for number in &found {
        let known = told.acknowledged.contains(number) || told.doubtful.contains(number);
        assert!(known, "{what}: append {number} was never made");
    }
    assert_eq!(ledger.check().unwrap(), [], "{what}");
    ledger
        .append(at(999), vec![moved("after", Some("t"))])
        .unwrap();
}

fn sweep(fault: Fault) {
    let quiet = FaultyFs::new();
    let folder = tempfile::tempdir().unwrap();
    let told = work(&quiet, &folder.path().join("quiet"));
    assert_eq!(told.acknowledged.len() as i64, APPENDS);
    let operations = quiet.operations();
    for operation in 0..operations {
        let fs = FaultyFs::new();
        fs.fail_at(operation, fault);
        let index = folder.path().join(operation.to_string());
        let told = work(&fs, &index);
        assert!(fs.fired(), "{fault:?} at call {operation} did not happen");
        assert_eq!(
            fs.syncs_after_failure(),
            0,
            "{fault:?} at call {operation}: a failed sync was tried again"
        );
        for seed in [operation, operation + 1000] {
            let what = format!(
                "{fault:?} at call {operation} of {operations}, power cut with seed {seed}"
            );
            verify(&fs.crash(seed), &index, &told, &what);
        }
        if fault != Fault::Crash {
            let what = format!("{fault:?} at call {operation} of {operations}, process killed");
            verify(&fs.kill(), &index, &told, &what);
        }
        std::fs::remove_dir_all(index).unwrap_or_default();
    }
}

#[test]
fn a_failing_call_loses_nothing_acknowledged() {
    sweep(Fault::Eio);
}

#[test]
fn a_full_disk_loses_nothing_acknowledged() {
    sweep(Fault::Enospc);
}

#[test]
fn a_short_write_loses_nothing_acknowledged() {
    sweep(Fault::ShortWrite);
}

#[test]
fn a_power_cut_loses_nothing_acknowledged() {
    sweep(Fault::Crash);
}

#[test]
fn after_a_full_disk_the_next_append_may_succeed() {
    let fs = FaultyFs::new();
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(options_on(&fs, folder.path())).unwrap();
    fs.fail_at(fs.operations(), Fault::Enospc);
    let error = ledger.append(at(0), vec![added("corpus")]).unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    ledger.append(at(1), vec![moved("x", Some("t"))]).unwrap();
    assert!(ledger.additions(tree("corpus")).unwrap().is_empty());
    drop(ledger);
    let (ledger, report) = Ledger::open(options_on(&fs.crash(1), folder.path())).unwrap();
    assert_eq!(report.cut, None);
    assert_eq!(ledger.refs().unwrap().len(), 1);
}

#[test]
fn after_a_failed_sync_nothing_is_accepted_until_opened_again() {
    let fs = FaultyFs::new();
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(options_on(&fs, folder.path())).unwrap();
    fs.fail_at(fs.operations() + 1, Fault::Eio);
    let error = ledger.append(at(0), vec![added("corpus")]).unwrap_err();
    assert!(matches!(error, LedgerError::Write(_)), "{error}");
    let error = ledger.append(at(1), vec![added("corpus")]).unwrap_err();
    assert!(matches!(error, LedgerError::Poisoned { .. }), "{error}");
    assert!(ledger.additions(tree("corpus")).unwrap().is_empty());
    drop(ledger);
    let (ledger, _) = Ledger::open(options_on(&fs, folder.path())).unwrap();
    ledger.append(at(2), vec![moved("x", Some("t"))]).unwrap();
    assert_eq!(fs.syncs_after_failure(), 0);
}
