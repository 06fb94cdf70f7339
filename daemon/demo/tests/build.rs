//! Builds datasets from small made-up crates and looks at what is written.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use begat_demo::{BuildError, DATASETS, Size, Skipped, Summary, build};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const FAMILIES: usize = 60;
const FUNCTIONS: usize = 12;

fn write_crate(vendored: &Path, folder: &str, name: &str, version: &str, source: &str) {
    let folder = vendored.join(folder);
    fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"{version}\"\nlicense = \"MIT OR Apache-2.0\"\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.join("src/lib.rs"), source).unwrap();
}

/// Sentences that name the family, so that a test can tell where a row is from, and one that all crates share.
fn source(family: usize) -> String {
    let mut source = String::from(
        "/// Returns the number of elements.\npub fn len(&self_: &u8) -> usize { 0 }\n",
    );
    for number in 0..FUNCTIONS {
        source.push_str(&format!(
            "/// Returns part {number} of family{family}.\n#[inline]\npub fn part_{number}(of: &Family{family}) -> u8 {{ {number} }}\n"
        ));
    }
    source
}

fn vendored(families: impl Iterator<Item = usize>, versioned: bool) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for family in families {
        let name = format!(
            "family{family}-{}",
            if family % 2 == 0 { "core" } else { "util" }
        );
        let inside = if versioned {
            format!("{name}-1.2.3")
        } else {
            name.clone()
        };
        write_crate(folder.path(), &inside, &name, "1.2.3", &source(family));
    }
    folder
}

fn built(vendored: &Path) -> (TempDir, Summary) {
    let output = tempfile::tempdir().unwrap();
    let summary = build(vendored, output.path(), Size::Test, &|_| ()).unwrap();
    (output, summary)
}

/// Every file below the folder, by path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for dataset in DATASETS {
        for entry in fs::read_dir(folder.join(dataset)).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{dataset}/{}", path.file_name().unwrap().to_str().unwrap());
            files.insert(name, fs::read(path).unwrap());
        }
    }
    files
}

fn rows(output: &Path, file: &str, column: &str) -> Vec<String> {
    let text = fs::read_to_string(output.join(file)).unwrap();
    let row = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()[column]
            .as_str()
            .unwrap()
            .to_owned()
    };
    text.lines().map(row).collect()
}

/// The families that the texts name.
fn families(texts: &[String]) -> BTreeSet<usize> {
    let names = texts
        .iter()
        .flat_map(|text| text.split("of family").skip(1));
    names
        .map(|rest| rest.split('.').next().unwrap().parse().unwrap())
        .collect()
}

const TRAINING: [(&str, &str); 4] = [
    ("corpus/train.jsonl", "text"),
    ("sft/train.jsonl", "prompt"),
    ("prompts-preference/train.jsonl", "prompt"),
    ("prompts-rl/train.jsonl", "prompt"),
];
const HELD_OUT: [(&str, &str); 3] = [
    ("corpus/validation.jsonl", "text"),
    ("sft/validation.jsonl", "prompt"),
    ("heldout/test.jsonl", "prompt"),
];

#[test]
fn no_held_out_family_is_trained_on() {
    let sources = vendored(0..FAMILIES, false);
    let (output, summary) = built(sources.path());
    let of = |files: &[(&str, &str)]| -> BTreeSet<usize> {
        files
            .iter()
            .flat_map(|(file, column)| families(&rows(output.path(), file, column)))
            .collect()
    };
    let (training, held_out) = (of(&TRAINING), of(&HELD_OUT));
    assert!(
        training.len() > 20 && held_out.len() > 3,
        "{} and {}",
        training.len(),
        held_out.len()
    );
    assert_eq!(training.intersection(&held_out).count(), 0);
    assert_eq!(summary.crates, FAMILIES);
    assert!(summary.crates_held_out >= held_out.len());
    for (file, column) in TRAINING.iter().chain(&HELD_OUT) {
        assert!(
            !families(&rows(output.path(), file, column)).is_empty(),
            "{file} names no family"
        );
    }
}

#[test]
fn a_sentence_stands_in_one_row_and_a_shared_one_is_not_held_out() {
    let sources = vendored(0..FAMILIES, false);
    let (output, _) = built(sources.path());
    let prompts: Vec<String> = TRAINING[1..]
        .iter()
        .chain(&HELD_OUT[1..])
        .flat_map(|(file, column)| rows(output.path(), file, column))
        .collect();
    assert_eq!(prompts.iter().collect::<BTreeSet<_>>().len(), prompts.len());
    for (file, column) in &HELD_OUT[1..] {
        let shared = rows(output.path(), file, column)
            .into_iter()
            .filter(|prompt| prompt.contains("number of elements"));
        assert_eq!(shared.count(), 0, "{file}");
    }
}

#[test]
fn rows_look_as_stated() {
    let sources = vendored(0..FAMILIES, false);
    let (output, summary) = built(sources.path());
    let prompts = rows(output.path(), "heldout/test.jsonl", "prompt");
    let completions = rows(output.path(), "heldout/test.jsonl", "completion");
    for (prompt, completion) in prompts.iter().zip(&completions) {
        let (number, family) = prompt.split_once(" of family").unwrap();
        let number = number.strip_prefix("/// Returns part ").unwrap();
        let family = family.strip_suffix(".\npub fn").unwrap();
        assert_eq!(
            *completion,
            format!(" part_{number}(of: &Family{family}) -> u8")
        );
        assert_eq!(
            begat_demo::gold::score(completion, completion, true).score,
            1.0
        );
    }
    let text = &rows(output.path(), "corpus/train.jsonl", "text")[0];
    assert!(text.contains(".\npub fn part_0(of: &Family"), "{text}");
    assert!(!text.contains("inline") && !text.contains('{'), "{text}");
    let heldout = summary
        .datasets
        .iter()
        .find(|dataset| dataset.name == "heldout")
        .unwrap();
    assert_eq!(
        (heldout.files[0].name.as_str(), heldout.files[0].rows),
        ("test.jsonl", prompts.len())
    );
}

#[test]
fn a_card_counts_rows_and_names_crates_with_their_licences() {
    let sources = vendored(0..FAMILIES, false);
    let (output, _) = built(sources.path());
    let card = fs::read_to_string(output.path().join("sft/README.md")).unwrap();
    let prompts = [
        rows(output.path(), "sft/train.jsonl", "prompt"),
        rows(output.path(), "sft/validation.jsonl", "prompt"),
    ];
    assert!(
        card.contains(&format!("| `train.jsonl` | {} |", prompts[0].len())),
        "{card}"
    );
    for family in families(&prompts.concat()) {
        assert!(
            card.contains(&format!("| family{family}-")),
            "family{family} is not in {card}"
        );
    }
    let listed = card.lines().filter(|line| line.starts_with("| family"));
    assert!(
        listed
            .clone()
            .all(|line| line.contains("| 1.2.3 | MIT OR Apache-2.0 |"))
    );
    let counted: usize = listed
        .map(|line| {
            line.split(" | ")
                .last()
                .unwrap()
                .trim_end_matches(" |")
                .parse::<usize>()
                .unwrap()
        })
        .sum();
    assert_eq!(counted, prompts.concat().len());
}

#[test]
fn the_same_sources_give_the_same_bytes() {
    let (first, _) = built(vendored(0..FAMILIES, false).path());
    let (second, _) = built(vendored((0..FAMILIES).rev(), true).path());
    assert!(
        files(first.path()) == files(second.path()),
        "the order and names of folders changed the bytes"
    );
    let mut hash = Sha256::new();
    for (path, bytes) in files(first.path()) {
        hash.update(path);
        hash.update(bytes);
    }
    let hash: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    // Whoever has to change this changes `begat_demo::REVISION` too.
    assert_eq!(
        (begat_demo::REVISION, hash.as_str()),
        (
            1,
            "c8775179992c56af70032f6810f015f0a3e5e6df8e86b32c9ad4707afb688c60"
        )
    );
}

#[test]
fn what_cannot_be_used_is_skipped_and_counted() {
    let sources = vendored(0..FAMILIES, false);
    let clean = built(sources.path());
    let add = |folder: &str, name: &str, version: &str| {
        write_crate(sources.path(), folder, name, version, &source(900))
    };
    add("libc", "libc", "1.0.0");
    add("family1-older", "family1-util", "1.2.2");
    add("copyleft", "copyleft", "1.0.0");
    let manifest =
        "[package]\nname = \"copyleft\"\nversion = \"1.0.0\"\nlicense = \"GPL-3.0-only\"\n";
    fs::write(sources.path().join("copyleft/Cargo.toml"), manifest).unwrap();
    add("broken", "broken", "1.0.0");
    fs::write(sources.path().join("broken/Cargo.toml"), "[package").unwrap();
    fs::create_dir_all(sources.path().join("no-manifest/src")).unwrap();
    fs::create_dir_all(sources.path().join("folder-as-manifest/Cargo.toml")).unwrap();
    fs::write(sources.path().join("not-a-folder"), "").unwrap();
    let inside = sources.path().join("family3-util/src");
    fs::write(inside.join("latin.rs"), b"/// caf\xe9\nfn a() {}").unwrap();
    fs::write(inside.join("torn.rs"), "/// Torn.\npub fn a(").unwrap();
    fs::write(inside.join("large.rs"), " ".repeat((1 << 20) + 1)).unwrap();
    fs::write(
        inside.join("deep.rs"),
        format!("const A: u8 = {}1{};", "(".repeat(401), ")".repeat(401)),
    )
    .unwrap();
    fs::create_dir_all(inside.join("tests")).unwrap();
    fs::write(inside.join("tests/more.rs"), source(901)).unwrap();
    let (output, summary) = built(sources.path());
    let expected = Skipped {
        crates_without_manifest: 3,
        crates_on_list: 1,
        crates_older: 1,
        crates_by_license: 1,
        files_not_utf8: 1,
        files_too_large: 2,
        files_not_parsed: 1,
    };
    assert_eq!(summary.skipped, expected);
    assert!(
        files(output.path()) == files(clean.0.path()),
        "what was skipped left a trace"
    );
}

fn check_error(vendored: &Path, output: &Path, expected: &str) -> BuildError {
    let error = build(vendored, output, Size::Test, &|_| ()).unwrap_err();
    assert_eq!(error.to_string(), expected);
    error
}

#[test]
fn folders_that_give_nothing_are_errors() {
    let (sources, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = sources.path().display();
    check_error(
        sources.path(),
        output.path(),
        &format!(
            "no usable crate in {path}: expected a folder for each crate with a Cargo.toml, as `cargo vendor` writes them"
        ),
    );
    write_crate(sources.path(), "family1", "family1", "1.0.0", &source(1));
    check_error(
        sources.path(),
        output.path(),
        &format!(
            "the crates in {path} give no row for corpus/validation.jsonl: expected the sources of more crates"
        ),
    );
    let missing = sources.path().join("missing");
    let error = check_error(
        &missing,
        output.path(),
        &format!(
            "cannot read {}: No such file or directory (os error 2)",
            missing.display()
        ),
    );
    assert!(matches!(error, BuildError::Read { .. }));
    assert_eq!(
        fs::read_dir(output.path()).unwrap().count(),
        0,
        "a failed build wrote something"
    );
}

#[test]
fn an_output_folder_in_use_is_left_alone() {
    let (sources, output) = (vendored(0..FAMILIES, false), tempfile::tempdir().unwrap());
    fs::write(output.path().join("mine"), "kept").unwrap();
    let path = output.path().display();
    check_error(
        sources.path(),
        output.path(),
        &format!("{path} is not empty: expected a new or an empty folder to write the datasets to"),
    );
    assert_eq!(fs::read_dir(output.path()).unwrap().count(), 1);
    assert_eq!(
        fs::read_to_string(output.path().join("mine")).unwrap(),
        "kept"
    );
}
