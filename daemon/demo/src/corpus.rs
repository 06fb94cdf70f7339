//! The corpus: which files' skeletons become documents, and in which order.

use std::collections::BTreeSet;

use crate::split;
use crate::vendor::{ReadCrate, ReadFile};

/// Of a hundred lines of a skeleton, how many must be documentation. Others are mostly bare declarations.
const DOCUMENTATION_PERCENT_MIN: usize = 25;
/// Shorter documents hold next to nothing; longer ones are generated, and a few of them would be a test's whole corpus.
const DOCUMENT_BYTES: std::ops::RangeInclusive<usize> = 200..=48_000;

/// One row of the corpus.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Document<'a> {
    pub(crate) text: &'a str,
    /// Where in the list of crates its crate stands.
    #[serde(skip)]
    pub(crate) source: usize,
}

/// The documents of both parts, each in the order of their place, each text once.
#[derive(Debug)]
pub(crate) struct Corpus<'a> {
    /// Of crates that models may train on.
    pub(crate) training: Vec<Document<'a>>,
    /// Of the others.
    pub(crate) held_out: Vec<Document<'a>>,
}

/// Collects the documents of all crates.
pub(crate) fn collect(crates: &[ReadCrate]) -> Corpus<'_> {
    let mut seen = BTreeSet::new();
    let training = documents(crates, false, &mut seen);
    let held_out = documents(crates, true, &mut seen);
    Corpus { training, held_out }
}

/// The documents up to and with the one that reaches so many bytes.
pub(crate) fn first<'a, 'b>(documents: &'b [Document<'a>], bytes: usize) -> &'b [Document<'a>] {
    let mut total = 0;
    let reached = documents.iter().position(|document| {
        total += document.text.len();
        total >= bytes
    });
    &documents[..reached.map_or(documents.len(), |last| last + 1)]
}

fn documents<'a>(
    crates: &'a [ReadCrate],
    held_out: bool,
    seen: &mut BTreeSet<&'a str>,
) -> Vec<Document<'a>> {
    let mut placed = Vec::new();
    for (source, one) in crates
        .iter()
        .enumerate()
        .filter(|(_, one)| split::is_held_out(&one.name) == held_out)
    {
        for file in one.files.iter().filter(|file| is_document(file)) {
            let text = file.skeleton.text.as_str();
            placed.push((
                split::place(&format!("{} {}", one.name, file.path)),
                Document { text, source },
            ));
        }
    }
    placed.sort_by_key(|(place, _)| *place);
    placed
        .into_iter()
        .map(|(_, document)| document)
        .filter(|document| seen.insert(document.text))
        .collect()
}

fn is_document(file: &ReadFile) -> bool {
    let skeleton = &file.skeleton;
    DOCUMENT_BYTES.contains(&skeleton.text.len())
        && skeleton.documentation_lines * 100 >= skeleton.lines * DOCUMENTATION_PERCENT_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_documents_reach_the_limit() {
        let documents: Vec<_> = ["aaaa", "bbbb", "cccc"]
            .map(|text| Document { text, source: 0 })
            .into();
        let count = |bytes| first(&documents, bytes).len();
        assert_eq!([1, 4, 5, 8, 9, 12, 99].map(count), [1, 1, 2, 2, 3, 3, 3]);
    }

    #[test]
    fn documents_have_documentation_and_a_size() {
        let check = |lines, documentation_lines, bytes| {
            let skeleton = crate::skeleton::Skeleton {
                text: "x".repeat(bytes),
                lines,
                documentation_lines,
                ..Default::default()
            };
            is_document(&ReadFile {
                path: String::new(),
                skeleton,
            })
        };
        assert!(check(100, 25, 200));
        assert!(!check(100, 24, 200));
        assert!(!check(100, 25, 199));
        assert!(!check(100, 25, 48_001));
    }
}
