use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use futures::StreamExt;
use serde_json::json;

use super::*;

/// A program in the place of `begat-stage serve` that answers as `script` says, in the shell's words. It stands for what
/// the trainer's own program may do wrong; the right one is met in the tests of the whole system.
fn generator(folder: &Path, script: &str, idle: Duration) -> Arc<Generator> {
    let program = folder.join("begat-stage");
    std::fs::write(
        &program,
        format!("#!/bin/sh\necho start >> \"$(dirname \"$0\")/starts\"\n{script}\n"),
    )
    .unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    Generator::new(GeneratorOptions {
        program,
        threads: 1,
        idle,
        find_place: Box::new(|| {
            Box::pin(async {
                Place {
                    device: Device::cpu(),
                    lease: None,
                }
            })
        }),
    })
}

fn request(n: u32) -> GenerateRequest {
    serde_json::from_value(json!({"model": "gpt/sft", "prompt": "fn ", "n": n})).unwrap()
}

async fn answer(generator: &Generator, n: u32) -> Vec<GenerateEvent> {
    let events = generator
        .generate(PathBuf::from("/model"), request(n))
        .await;
    tokio::time::timeout(Duration::from_secs(20), events.collect())
        .await
        .unwrap()
}

fn starts(folder: &Path) -> usize {
    std::fs::read_to_string(folder.join("starts"))
        .unwrap()
        .lines()
        .count()
}

const SERVES: &str = r#"
while read -r line; do
  id=$(printf '%s' "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
  printf '{"id":%s,"type":"text","index":0,"text":"is_"}\n' "$id"
  printf '{"id":%s,"type":"text","index":0,"text":"empty"}\n' "$id"
  printf '{"id":%s,"type":"done","index":0,"finish_reason":"stop","tokens":2}\n' "$id"
done
echo ended >> "$(dirname "$0")/ends"
"#;

const IDLE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn one_program_answers_request_after_request() {
    let folder = tempfile::tempdir().unwrap();
    let generator = generator(folder.path(), SERVES, IDLE);
    for _ in 0..3 {
        let events = answer(&generator, 1).await;
        assert_eq!(events.len(), 3, "{events:?}");
        assert!(matches!(&events[1], GenerateEvent::Text { text, .. } if text == "empty"));
        assert!(matches!(events[2], GenerateEvent::Done { tokens: 2, .. }));
    }
    assert_eq!(starts(folder.path()), 1);
    generator.stop().await;
    assert!(folder.path().join("ends").exists());
}

#[tokio::test]
async fn answers_find_those_who_asked() {
    let folder = tempfile::tempdir().unwrap();
    let generator = generator(folder.path(), SERVES, IDLE);
    let answers = futures::future::join_all((0..8).map(|_| answer(&generator, 1))).await;
    assert!(
        answers.iter().all(|events| events.len() == 3),
        "{answers:?}"
    );
    assert_eq!(starts(folder.path()), 1);
}

#[tokio::test]
async fn its_death_is_an_error_and_the_next_request_starts_it_anew() {
    let folder = tempfile::tempdir().unwrap();
    let dies = r#"read -r line; printf '{"id":1,"type":"text","index":0,"text":"is_"}\n{"id":1,"ty'; exit 3"#;
    let generator = generator(folder.path(), dies, IDLE);
    for start in 1..=2 {
        let events = answer(&generator, 1).await;
        let [GenerateEvent::Text { .. }, GenerateEvent::Error { reason }] = events.as_slice()
        else {
            panic!("{events:?}");
        };
        assert!(reason.contains("exit status: 3"), "{reason}");
        assert_eq!(starts(folder.path()), start);
    }
}

#[tokio::test]
async fn it_is_ended_when_nobody_asks() {
    let folder = tempfile::tempdir().unwrap();
    let generator = generator(folder.path(), SERVES, Duration::from_millis(50));
    answer(&generator, 1).await;
    while !folder.path().join("ends").exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    answer(&generator, 1).await;
    assert_eq!(starts(folder.path()), 2);
}

#[tokio::test]
async fn whoever_goes_away_cancels() {
    let folder = tempfile::tempdir().unwrap();
    let notes = r#"while read -r line; do echo "$line" >> "$(dirname "$0")/lines"; done"#;
    let generator = generator(folder.path(), notes, IDLE);
    let events = generator
        .generate(PathBuf::from("/model"), request(1))
        .await;
    drop(events);
    generator.stop().await;
    let lines = std::fs::read_to_string(folder.path().join("lines")).unwrap();
    assert_eq!(lines.lines().last(), Some(r#"{"id":1,"cancel":true}"#));
}

#[tokio::test]
async fn a_missing_program_and_one_that_babbles_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let missing = generator(folder.path(), "", IDLE);
    std::fs::remove_file(folder.path().join("begat-stage")).unwrap();
    let events = answer(&missing, 1).await;
    assert!(
        matches!(&events[..], [GenerateEvent::Error { reason }] if reason.contains("begat-stage")),
        "{events:?}"
    );

    let babbles = generator(
        folder.path(),
        "head -c 2000000 /dev/zero | tr '\\0' x; sleep 60",
        IDLE,
    );
    let events = answer(&babbles, 1).await;
    assert!(
        matches!(events[..], [GenerateEvent::Error { .. }]),
        "{events:?}"
    );
}
