//! Data that tests train on: small, made here, the same everywhere.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::Home;

/// Writes rows as JSON Lines.
pub fn write_rows(path: &Path, rows: impl IntoIterator<Item = Value>) {
    let mut text = String::new();
    for row in rows {
        writeln!(text, "{row}").unwrap();
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

const NOUNS: [&str; 12] = [
    "list", "map", "buffer", "path", "value", "queue", "stream", "token", "header", "frame",
    "cursor", "node",
];
const STATES: [&str; 6] = ["empty", "full", "valid", "ready", "closed", "shared"];

fn pair(at: usize) -> (String, String) {
    let (noun, state) = (NOUNS[at % NOUNS.len()], STATES[(at / 3) % STATES.len()]);
    match at % 3 {
        0 => (
            format!("/// Returns true if the {noun} is {state}.\npub fn"),
            format!(" is_{state}(&self) -> bool"),
        ),
        1 => (
            format!("/// Returns the number of items in the {noun}.\npub fn"),
            format!(" {noun}_len(&self) -> usize"),
        ),
        _ => (
            format!("/// Makes a {noun} that is {state}.\npub fn"),
            format!(" {state}_{noun}() -> Self"),
        ),
    }
}

/// Adds a corpus, prompts with completions and held-out ones as `test/corpus`, `test/sft` and `test/heldout`.
#[track_caller]
pub fn add_test_data(home: &Home) {
    let folder = home.path().join("test-data");
    let text = |at: usize| {
        let (prompt, completion) = pair(at);
        json!({ "text": format!("{prompt}{completion};\n") })
    };
    let row = |at: usize| {
        let (prompt, completion) = pair(at);
        json!({ "prompt": prompt, "completion": completion })
    };
    write_rows(&folder.join("corpus/train.jsonl"), (0..400).map(text));
    write_rows(
        &folder.join("corpus/validation.jsonl"),
        (400..440).map(text),
    );
    write_rows(&folder.join("sft/train.jsonl"), (0..120).map(row));
    write_rows(&folder.join("sft/validation.jsonl"), (120..140).map(row));
    write_rows(&folder.join("heldout/test.jsonl"), (140..172).map(row));
    for name in ["corpus", "sft", "heldout"] {
        let path = folder.join(name).display().to_string();
        home.cli()
            .ok(["add", &path, "--name", &format!("test/{name}")]);
    }
}
