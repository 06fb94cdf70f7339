//! Names that people give: stages, recipes, inputs, outputs, refs.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 96;

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` cannot be {what}: expected {expected}")]
pub struct BadName {
    /// What was given.
    pub found: String,
    /// What it should name.
    pub what: &'static str,
    /// What a name looks like.
    pub expected: &'static str,
}

const SEGMENT: &str =
    "letters, digits, `_`, `-` and `.`, at most 96, the first a letter or a digit";
const SEGMENT_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,95}$";
const REF: &str = "one to four parts of letters, digits, `_`, `-` and `.`, with `/` between them";
const REF_PATTERN: &str =
    "^[A-Za-z0-9][A-Za-z0-9_.-]{0,95}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}){0,3}$";

fn is_segment(text: &str) -> bool {
    let first = text.bytes().next();
    first.is_some_and(|byte| byte.is_ascii_alphanumeric())
        && text.len() <= NAME_BYTES_MAX
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

fn is_ref(text: &str) -> bool {
    text.split('/').count() <= 4 && text.split('/').all(is_segment)
}

macro_rules! name {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $check:ident, $expected:ident, $pattern:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks `text`.
            pub fn new(text: impl Into<String>) -> Result<Self, BadName> {
                let text = text.into();
                if $check(&text) {
                    Ok(Self(text))
                } else {
                    Err(BadName { found: text, what: $what, expected: $expected })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": $pattern})
            }
        }
    )*};
}

name! {
    /// A recipe's name.
    RecipeName, "a recipe's name", is_segment, SEGMENT, SEGMENT_PATTERN;
    /// A stage's name in its recipe.
    StageName, "a stage's name", is_segment, SEGMENT, SEGMENT_PATTERN;
    /// The name of a stage's input.
    InputName, "an input's name", is_segment, SEGMENT, SEGMENT_PATTERN;
    /// The name of a stage's output.
    OutputName, "an output's name", is_segment, SEGMENT, SEGMENT_PATTERN;
    /// A mutable name for a digest, such as `gpt/sft` or `champion`.
    RefName, "a ref", is_ref, REF, REF_PATTERN;
}

impl RefName {
    /// The ref that a stage's main output moves: `<recipe>/<stage>`.
    pub fn of_stage(recipe: &RecipeName, stage: &StageName) -> Self {
        Self(format!("{recipe}/{stage}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_as_parts_of_paths() {
        for text in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "a b",
            "-x",
            "é",
            &"a".repeat(97),
        ] {
            assert!(StageName::new(text).is_err(), "{text:?}");
        }
        assert!(StageName::new("evaluate_sft-2.1").is_ok());
    }

    #[test]
    fn refs_have_up_to_four_parts() {
        assert!(RefName::new("gpt/sft").is_ok());
        for text in ["gpt/", "/gpt", "gpt//sft", "a/b/c/d/e", "a/../b", "@sft"] {
            assert!(RefName::new(text).is_err(), "{text:?}");
        }
    }
}
