//! The real program, killed and terminated.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixture::{
    Fixture, assert_same, checkpoints, fingerprints, journal_text, prepare, succeed, tree,
};
use serde_json::json;

pub(crate) fn start(work: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_begat-stage"))
        .env("BEGAT_WORK", work)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until the journal has grown by `lines`, or the program has ended.
pub(crate) fn wait_for_lines(work: &Path, child: &mut Child, lines: usize) {
    let count = || {
        let journal = std::fs::read(work.join("journal.jsonl")).unwrap_or_default();
        journal.iter().filter(|&&byte| byte == b'\n').count()
    };
    let (before, begun) = (count(), Instant::now());
    while count() < before + lines && child.try_wait().unwrap().is_none() {
        assert!(
            begun.elapsed() < Duration::from_secs(300),
            "the stage does nothing"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn killed_again_and_again_it_ends_as_if_undisturbed() {
    let fixture = Fixture::new();
    for (name, mut stage) in [
        ("pretrain", fixture.pretrain("gpt2")),
        ("sft", fixture.sft("llama")),
    ] {
        stage.execution["save_steps"] = json!(1);
        if name == "pretrain" {
            stage.params["max_steps"] = json!(40);
        } else {
            stage.params["num_train_epochs"] = json!(6);
        }
        let expected = succeed(&fixture.path(&format!("{name}-whole")), &stage);
        let steps = fingerprints(&fixture.path(&format!("{name}-whole")));
        let work = fixture.path(&format!("{name}-killed"));
        for lines in [1, 3, 7, 9, 12, 15] {
            prepare(&work, &stage, checkpoints(&work).last().copied());
            let mut child = start(&work);
            wait_for_lines(&work, &mut child, lines);
            let _ = child.kill();
            child.wait().unwrap();
        }
        prepare(&work, &stage, checkpoints(&work).last().copied());
        let ended = start(&work).wait().unwrap();
        assert!(ended.success(), "{}", journal_text(&work));
        assert_same(&expected, &tree(&work.join("outputs")));
        assert_eq!(steps, fingerprints(&work));
    }
}

#[test]
fn terminated_it_leaves_a_checkpoint_and_says_so() {
    let fixture = Fixture::new();
    let mut stage = fixture.pretrain("gpt2");
    stage.params["max_steps"] = json!(100_000);
    stage.execution["save_steps"] = json!(0);
    let work = fixture.path("terminated");
    prepare(&work, &stage, None);
    let mut child = start(&work);
    wait_for_lines(&work, &mut child, 12);
    let killed = Command::new("kill")
        .arg("-TERM")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(75));
    assert_eq!(checkpoints(&work).len(), 1);
    assert!(!work.join("outputs/model").exists());
}
