//! Why an index is not believed.

use super::Sources;

/// Why an index is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Doubt {
    /// There is none, or begat's file about it cannot be read.
    #[error("there is no index")]
    Absent,
    /// sled opened without a record.
    #[error("the index opened empty")]
    Empty,
    /// It is of another generation than the one begat synced.
    #[error("the index is of another generation")]
    Generation,
    /// sled panicked.
    #[error("sled panicked: {0}")]
    Panicked(String),
    /// sled reported an error.
    #[error("sled failed: {0}")]
    Failed(String),
    /// It claims more of a file than there is.
    #[error("the index claims {source_name} up to byte {recorded}, which has {length}")]
    Position {
        /// The source file.
        source_name: String,
        /// Up to where the index claims to hold it.
        recorded: u64,
        /// How long it is.
        length: u64,
    },
    /// It holds a file that is gone.
    #[error("the index holds {0}, which is gone")]
    SourceGone(String),
    /// The machine went down while it was open.
    #[error("the machine stopped while the index was open")]
    Unclean,
    /// A file of it is not as it was left.
    #[error("the index's file {0} is not as it was left")]
    Changed(String),
}

pub(super) fn of_positions(positions: &Sources, sources: &Sources) -> Option<Doubt> {
    positions.iter().find_map(|(name, recorded)| {
        let Some(length) = sources.get(name) else {
            return Some(Doubt::SourceGone(name.clone()));
        };
        (recorded > length).then(|| Doubt::Position {
            source_name: name.clone(),
            recorded: *recorded,
            length: *length,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(pairs: &[(&str, u64)]) -> Sources {
        pairs
            .iter()
            .map(|(name, length)| ((*name).to_owned(), *length))
            .collect()
    }

    #[test]
    fn an_index_may_be_behind_its_files_never_ahead() {
        let files = sources(&[("a", 10), ("b", 20)]);
        assert_eq!(of_positions(&sources(&[]), &files), None);
        assert_eq!(of_positions(&sources(&[("a", 10), ("b", 3)]), &files), None);
        assert_eq!(
            of_positions(&sources(&[("b", 21)]), &files)
                .unwrap()
                .to_string(),
            "the index claims b up to byte 21, which has 20"
        );
        assert_eq!(
            of_positions(&sources(&[("c", 0)]), &files),
            Some(Doubt::SourceGone("c".to_owned()))
        );
    }
}
