//! The way from a row to a value within it.

use std::fmt;

/// One step of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into a field of an object.
    Key(String),
    /// Into an element of a list, from 0.
    Index(usize),
}

/// The way from a row to a value within it; shown as in `chosen[1].content`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldPath(Vec<Step>);

impl FieldPath {
    /// A field of the row.
    pub fn field(name: &str) -> Self {
        Self(vec![Step::Key(name.to_owned())])
    }

    /// A field of what this leads to.
    pub fn key(&self, name: &str) -> Self {
        self.then(Step::Key(name.to_owned()))
    }

    /// An element of what this leads to.
    pub fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    fn then(&self, step: Step) -> Self {
        let steps = self.0.iter().cloned();
        Self(steps.chain(std::iter::once(step)).collect())
    }

    /// The steps.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether the row itself is meant.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(name) if at == 0 => f.write_str(name)?,
                Step::Key(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_as_they_are_written_in_code() {
        let path = FieldPath::field("responses").index(2).index(0).key("role");
        assert_eq!(path.to_string(), "responses[2][0].role");
        assert!(FieldPath::default().is_empty());
    }
}
