//! Digests and the ids built on them.
//!
//! Every id is a type of its own, so that a chunk can never be looked up where a tree is meant. All of them are
//! BLAKE3-256 and print as 64 lower-case hex digits; people see the first 12.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Number of hex digits shown to people.
pub const SHORT_DIGITS: usize = 12;

/// A BLAKE3-256 digest of some content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a digest: expected 64 hexadecimal digits, found {} characters", found.chars().count())]
pub struct NotADigest {
    /// What was given.
    pub found: String,
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// A digest from its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// All 64 hex digits.
    pub fn to_hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// The first 12 hex digits, for people.
    pub fn short(&self) -> String {
        self.to_hex()[..SHORT_DIGITS].to_owned()
    }
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        blake3::Hash::from_hex(text)
            .ok()
            .filter(|_| !text.bytes().any(|byte| byte.is_ascii_uppercase()))
            .map(Self::from)
            .ok_or_else(|| NotADigest {
                found: text.to_owned(),
            })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Digest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Digest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "A BLAKE3-256 digest in hexadecimal"
        })
    }
}

macro_rules! digest_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Digest);

        impl $name {
            /// Names content whose digest is already known.
            pub const fn new(digest: Digest) -> Self {
                Self(digest)
            }

            /// Names `bytes`.
            pub fn of(bytes: &[u8]) -> Self {
                Self(Digest::of(bytes))
            }

            /// The digest itself.
            pub const fn digest(&self) -> Digest {
                self.0
            }

            /// The 32 bytes of the digest.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                self.0.as_bytes()
            }

            /// The first 12 hex digits, for people.
            pub fn short(&self) -> String {
                self.0.short()
            }
        }

        impl From<Digest> for $name {
            fn from(digest: Digest) -> Self {
                Self(digest)
            }
        }

        impl FromStr for $name {
            type Err = NotADigest;

            fn from_str(text: &str) -> Result<Self, NotADigest> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.short())
            }
        }
    )*};
}

digest_id! {
    /// Names a file's bytes: plain BLAKE3, so `b3sum FILE` checks it.
    BlobDigest,
    /// Names a folder: the digest of its [`crate::Tree`] in canonical JSON. It is also a blob's digest, the manifest's.
    TreeDigest,
    /// Names a piece of a blob by its plain bytes.
    ChunkId,
    /// Names a sealed pack: the digest of its trailer, which lists all its records.
    PackId,
    /// Names a run: the digest of its [`crate::Derivation`] in canonical JSON.
    RunId,
}

impl TreeDigest {
    /// The blob that holds the tree's manifest.
    pub const fn manifest(&self) -> BlobDigest {
        BlobDigest(self.0)
    }
}

impl RunId {
    /// The blob that holds the run's derivation.
    pub const fn derivation(&self) -> BlobDigest {
        BlobDigest(self.0)
    }
}

/// The first digits of a digest, as a person types them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestPrefix(String);

/// The fewest digits that may stand for a digest.
pub const PREFIX_DIGITS_MIN: usize = 4;

impl DigestPrefix {
    /// Accepts 4 to 64 lower-case hex digits.
    pub fn new(text: &str) -> Option<Self> {
        let long_enough = (PREFIX_DIGITS_MIN..=64).contains(&text.len());
        let hex = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        (long_enough && hex).then(|| Self(text.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `digest` begins with these digits.
    pub fn matches(&self, digest: &Digest) -> bool {
        digest.to_hex().starts_with(&self.0)
    }

    /// The smallest digest with these first digits: where a sorted index begins to match.
    pub fn lowest(&self) -> Digest {
        self.padded('0')
    }

    /// The largest digest with these first digits: where a sorted index ends to match.
    pub fn highest(&self) -> Digest {
        self.padded('f')
    }

    fn padded(&self, digit: char) -> Digest {
        let padding: String = std::iter::repeat_n(digit, 64 - self.0.len()).collect();
        format!("{}{padding}", self.0)
            .parse()
            .expect("a checked prefix padded with hex digits is a digest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_b3sum_prints() {
        // b3sum of the empty input, from the BLAKE3 paper's test vectors.
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Digest::of(b"").to_hex(), empty);
        assert_eq!(empty.parse::<Digest>().unwrap(), Digest::of(b""));
    }

    #[test]
    fn refuses_what_is_no_digest() {
        for text in ["", "af13", &"g".repeat(64), &"AF".repeat(32)] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_prefix_spans_its_digests() {
        let prefix = DigestPrefix::new("af13").unwrap();
        assert!(prefix.matches(&Digest::of(b"")));
        assert!(prefix.lowest() <= Digest::of(b"") && Digest::of(b"") <= prefix.highest());
        assert!(DigestPrefix::new("af1").is_none());
        assert!(DigestPrefix::new("AF13").is_none());
    }
}
