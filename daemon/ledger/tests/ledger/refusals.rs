use begat_ledger::{LedgerError, Record};
use begat_schemas::{Purpose, RunState};

use crate::story::*;

/// Tells a fresh ledger the first appends, and then expects the last to be refused with this sentence, and to change
/// nothing. `{…}` stands for any 64 digits.
fn check(before: &[Vec<Record>], refused: Vec<Record>, expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _) = open(folder.path());
    for (second, records) in (0..).zip(before) {
        ledger.append(at(second), records.clone()).unwrap();
    }
    let answered = answers(&ledger);
    let error = ledger.append(at(100), refused).unwrap_err();
    assert!(matches!(error, LedgerError::Refused(_)), "{error}");
    assert_eq!(shortened(&error.to_string()), expected);
    assert_eq!(answers(&ledger), answered);
    drop(ledger);
    let (ledger, report) = open(folder.path());
    assert_eq!(report.cut, None);
    assert_eq!(answers(&ledger), answered);
}

fn shortened(text: &str) -> String {
    let is_digest =
        |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts = text.split_inclusive([' ', '.', ',', ':']);
    parts
        .map(|part| {
            let word = part.trim_end_matches([' ', '.', ',', ':']);
            match is_digest(word) {
                true => part.replace(word, "{…}"),
                false => part.to_owned(),
            }
        })
        .collect()
}

#[test]
fn what_is_not_known_is_named() {
    let run = run(&derivation("corpus", 512));
    check(
        &[],
        vec![stage_run(1, "a", run, false)],
        "there is no launch 01920000-0000-7000-8000-000000000001",
    );
    check(
        &[vec![created(1, "gpt", &["a"])]],
        vec![stage_run(1, "b", run, false)],
        "launch 01920000-0000-7000-8000-000000000001 has no stage `b`",
    );
    check(
        &[vec![created(1, "gpt", &["a"])]],
        vec![stage_run(1, "a", run, false)],
        "there is no run {…}",
    );
    check(
        &[],
        vec![resumed(attempt(run, 1))],
        "there is no attempt {…}.1",
    );
    check(&[], vec![moved("x", None)], "there is no ref `x`");
}

#[test]
fn an_append_is_refused_as_a_whole() {
    check(
        &[],
        vec![
            created(1, "gpt", &["a"]),
            moved("x", Some("t")),
            created(1, "gpt", &["a"]),
        ],
        "launch 01920000-0000-7000-8000-000000000001 is there already",
    );
}

#[test]
fn a_run_is_the_digest_of_its_derivation() {
    let record = Record::RunDeclared {
        run: run(&derivation("corpus", 512)),
        derivation: derivation("corpus", 513),
    };
    check(&[], vec![record], "the derivation's digest is {…}, not {…}");
}

#[test]
fn attempts_are_counted_and_one_at_a_time() {
    let small = derivation("corpus", 512);
    let id = attempt(run(&small), 1);
    check(
        &[vec![declared(&small)]],
        vec![started(attempt(id.run, 2), Purpose::Launch)],
        "the next attempt of run {…} is number 1, not 2",
    );
    check(
        &[vec![declared(&small), started(id, Purpose::Launch)]],
        vec![started(attempt(id.run, 2), Purpose::Launch)],
        "attempt {…}.1 is alive",
    );
}

#[test]
fn what_cannot_happen_in_a_state_is_refused() {
    let small = derivation("corpus", 512);
    let id = attempt(run(&small), 1);
    let begun = vec![declared(&small), started(id, Purpose::Launch)];
    check(
        std::slice::from_ref(&begun),
        vec![ended(id, RunState::Succeeded, Some("small"))],
        "attempt {…}.1: what is running cannot become succeeded",
    );
    check(
        &[begun.clone(), vec![ended(id, RunState::Failed, None)]],
        vec![ended(id, RunState::Cancelled, None)],
        "attempt {…}.1: what is failed cannot become cancelled",
    );
    check(
        std::slice::from_ref(&begun),
        vec![becomes(id, RunState::Succeeded)],
        "attempt {…}.1 cannot be made succeeded by this record",
    );
    check(
        &[begun],
        vec![Record::RunState {
            run: id.run,
            state: RunState::Cancelled,
            reason: None,
        }],
        "attempt {…}.1 is alive",
    );
}

#[test]
fn a_run_that_others_need_stays() {
    let first = derivation("corpus", 512);
    let second = derivation("small", 512);
    let one = run(&first);
    let before = [
        vec![declared(&first)],
        succeeds(attempt(one, 1), Purpose::Launch, "small"),
        vec![declared(&second)],
    ];
    check(
        &before,
        vec![Record::RunRemoved { run: one }],
        "run {…} is needed by run {…}",
    );
    check(
        &before,
        vec![Record::RunRemoved { run: run(&second) }],
        "run {…}, which is queued, cannot be made unknown by this record",
    );
}
