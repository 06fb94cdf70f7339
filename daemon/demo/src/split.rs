//! Which crates are held out, which row goes where, and in which order rows come.
//!
//! Everything is decided by SHA-256 of a name or a sentence. So a row's place does not depend on which other rows
//! exist, on any order of reading, or on a random generator, and each test set is a beginning of the demo's set.
//! Crates are split by family (`tokio`, `tokio-util`): sisters share sentences and habits.

use sha2::{Digest, Sha256};

/// How much data to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// What the demo trains on: minutes on two processor cores.
    Demo,
    /// A small part of it, for tests: seconds.
    Test,
}

/// The most that each file may hold. A file holds less where the sources give no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Text of the corpus to train on, in bytes.
    pub corpus_bytes: usize,
    /// Text of the corpus to validate on, in bytes.
    pub corpus_validation_bytes: usize,
    /// Pairs to train on, in rows.
    pub sft_rows: usize,
    /// Held-out pairs to validate training on, in rows.
    pub sft_validation_rows: usize,
    /// Prompts for preferences, and as many for reinforcement learning, in rows each.
    pub prompt_rows: usize,
    /// Held-out pairs to judge models on, in rows. The tables use the first 600, reward models the next 600.
    pub heldout_rows: usize,
}

impl Limits {
    /// The limits of a size.
    pub const fn of(size: Size) -> Self {
        match size {
            Size::Demo => Self {
                corpus_bytes: 6_400_000,
                corpus_validation_bytes: 400_000,
                sft_rows: 100_000,
                sft_validation_rows: 400,
                prompt_rows: 100_000,
                heldout_rows: 1_200,
            },
            Size::Test => Self {
                corpus_bytes: 60_000,
                corpus_validation_bytes: 10_000,
                sft_rows: 200,
                sft_validation_rows: 20,
                prompt_rows: 40,
                heldout_rows: 40,
            },
        }
    }
}

/// Where a pair from a crate that is not held out goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Sft,
    Preference,
    Reinforcement,
}

/// Of a hundred families, how many are held out.
const HELD_OUT_PERCENT: u64 = 15;
/// Of a hundred pairs that are not held out, how many are demonstrations; preferences get the next, reinforcement
/// learning the rest.
const SFT_PERCENT: u64 = 64;
const PREFERENCE_PERCENT: u64 = 18;

/// Bindings and tables: much text, and nothing that a sentence explains.
const SKIPPED_CRATES: [&str; 6] = [
    "web-sys",
    "linux-raw-sys",
    "libc",
    "js-sys",
    "encoding_rs",
    "tch",
];
const SKIPPED_PREFIXES: [&str; 4] = ["windows", "winapi", "objc2", "unicode-"];

/// Whether nothing of this crate is used.
pub(crate) fn is_skipped(name: &str) -> bool {
    SKIPPED_CRATES.contains(&name)
        || SKIPPED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
        || name.ends_with("-sys")
}

/// The first part of a crate's name.
pub(crate) fn family(name: &str) -> &str {
    name.split(['-', '_']).next().unwrap_or(name)
}

/// Whether the crate may only be used to judge models, never to train one.
pub(crate) fn is_held_out(name: &str) -> bool {
    number(family(name)) % 100 < HELD_OUT_PERCENT
}

/// Where the pair of this sentence goes.
pub(crate) fn part(sentence_key: &str) -> Part {
    match number(&format!("part {sentence_key}")) % 100 {
        percent if percent < SFT_PERCENT => Part::Sft,
        percent if percent < SFT_PERCENT + PREFERENCE_PERCENT => Part::Preference,
        _ => Part::Reinforcement,
    }
}

/// The place in an order that nobody chose.
pub(crate) fn place(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// The first eight bytes of SHA-256, as a number.
fn number(text: &str) -> u64 {
    let place = place(text);
    place[..8]
        .iter()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sisters_are_one_family() {
        assert_eq!(
            ["tokio-util", "serde_json", "regex", "aho-corasick"].map(family),
            ["tokio", "serde", "regex", "aho"]
        );
        assert_eq!(is_held_out("tokio"), is_held_out("tokio-util"));
        assert_eq!(is_held_out("serde"), is_held_out("serde_json"));
    }

    #[test]
    fn bindings_and_tables_are_skipped() {
        for name in [
            "windows-core",
            "winapi",
            "winapi-util",
            "web-sys",
            "zstd-sys",
            "objc2-foundation",
            "unicode-width",
        ] {
            assert!(is_skipped(name), "{name}");
        }
        for name in ["tokio", "system", "libcore", "sysinfo"] {
            assert!(!is_skipped(name), "{name}");
        }
    }

    /// `printf %s NAME | sha256sum`: abc is ba7816bf8f01cfea…, the test vector of FIPS 180-2.
    #[test]
    fn the_hash_is_sha256() {
        assert_eq!(number("abc"), 0xba78_16bf_8f01_cfea);
    }

    #[test]
    fn the_shares_are_as_stated() {
        let held_out = (0..10_000)
            .filter(|n| is_held_out(&format!("family{n}")))
            .count();
        assert!((1_350..1_650).contains(&held_out), "{held_out}");
        let count = |wanted| {
            (0..10_000)
                .filter(|n| part(&n.to_string()) == wanted)
                .count()
        };
        assert!((6_200..6_600).contains(&count(Part::Sft)));
        assert!((1_650..1_950).contains(&count(Part::Preference)));
        assert!((1_650..1_950).contains(&count(Part::Reinforcement)));
    }
}
