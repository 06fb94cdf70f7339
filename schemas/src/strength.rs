//! How clearly one answer was preferred to another.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nearest;

/// How clearly one answer was preferred to another: the four steps of Llama 2's annotators.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Hardly, or the annotator was unsure.
    Negligibly,
    /// A little.
    Slightly,
    /// Plainly.
    Better,
    /// By far.
    Significantly,
}

impl Strength {
    /// Every strength, the clearest first.
    pub const ALL: [Self; 4] = [
        Self::Significantly,
        Self::Better,
        Self::Slightly,
        Self::Negligibly,
    ];

    /// Its name in datasets, recipes and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Significantly => "significantly",
            Self::Better => "better",
            Self::Slightly => "slightly",
            Self::Negligibly => "negligibly",
        }
    }
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no strength.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownStrength {
    /// The word.
    pub found: String,
    /// The strength that it probably means.
    pub nearest: Option<String>,
}

impl fmt::Display for UnknownStrength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Strength::ALL.map(Strength::name).join(", ");
        write!(
            f,
            "unknown strength {:?}; expected one of {names}",
            self.found
        )?;
        match &self.nearest {
            Some(name) => write!(f, "; did you mean {name:?}?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UnknownStrength {}

impl FromStr for Strength {
    type Err = UnknownStrength;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|one| one.name() == text);
        known.ok_or_else(|| UnknownStrength {
            found: text.to_owned(),
            nearest: nearest(text, Self::ALL.into_iter().map(Self::name)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_the_clearest_is_the_greatest() {
        for strength in Strength::ALL {
            assert_eq!(strength.name().parse(), Ok(strength));
            let json = serde_json::to_value(strength).unwrap();
            assert_eq!(json, strength.name());
        }
        assert!(Strength::ALL.is_sorted_by(|a, b| a > b));
    }

    #[test]
    fn an_unknown_word_gets_the_nearest_name() {
        for (word, nearest) in [
            ("significant", Some("significantly")),
            ("Better", Some("better")),
            ("slighty", Some("slightly")),
            ("tie", None),
        ] {
            let error = word.parse::<Strength>().unwrap_err();
            assert_eq!(error.nearest.as_deref(), nearest, "{error}");
        }
        let error = "beter".parse::<Strength>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown strength \"beter\"; expected one of significantly, better, slightly, negligibly; did you mean \"better\"?"
        );
    }
}
