//! Many threads at once.

use std::time::Instant;

use begat_ledger::Ledger;
use begat_schemas::Purpose;

use crate::story::*;

const THREADS: i64 = 16;
const EACH: i64 = 25;

fn append_from_all(ledger: &Ledger) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for number in 0..EACH {
                    let name = format!("thread-{thread}-{number}");
                    ledger
                        .append(at(number), vec![moved(&name, Some("t"))])
                        .unwrap();
                    // Acknowledged means visible, too.
                    assert!(ledger.get_ref(&ref_name(&name)).unwrap().is_some());
                }
            });
        }
    });
}

#[test]
fn threads_share_syncs_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _) = open(folder.path());
    let begun = Instant::now();
    append_from_all(&ledger);
    let seconds = begun.elapsed().as_secs_f64();
    let group = ledger.statistics();
    println!(
        "{} appends of {THREADS} threads in {} syncs and {seconds:.2} s",
        group.appends, group.syncs
    );
    assert_eq!(group.appends as i64, THREADS * EACH);
    assert!(group.syncs < group.appends, "no two appends shared a sync");
    drop(ledger);
    let (ledger, _) = open(folder.path());
    assert_eq!(ledger.refs().unwrap().len() as i64, THREADS * EACH);
}

#[test]
fn a_contradiction_is_refused_to_one_thread_only() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _) = open(folder.path());
    let small = derivation("corpus", 512);
    let id = attempt(run(&small), 1);
    ledger.append(at(0), vec![declared(&small)]).unwrap();
    let accepted = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    ledger
                        .append(at(1), vec![started(id, Purpose::Launch)])
                        .is_ok()
                })
            })
            .collect();
        tries
            .into_iter()
            .filter_map(|tried| tried.join().unwrap().then_some(()))
            .count()
    });
    assert_eq!(accepted, 1);
    assert_eq!(ledger.check().unwrap(), []);
}

#[test]
fn questions_during_rebuilds_see_all_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _) = open(folder.path());
    tell(&ledger);
    let expected = ledger.runs(&begat_ledger::RunFilter::default()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..3).for_each(|_| ledger.rebuild_index().unwrap()));
        scope.spawn(|| append_from_all(&ledger));
        for _ in 0..50 {
            let found = ledger.runs(&begat_ledger::RunFilter::default()).unwrap();
            assert_eq!(found, expected);
        }
    });
    assert_eq!(ledger.check().unwrap(), []);
}
