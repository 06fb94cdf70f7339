//! Cutting by content, for files of no known structure.

use fastcdc::v2020::FastCDC;

use super::Cut;
use crate::encoding::Hint;

/// The shortest chunk, but for a file's last.
const CHUNK_BYTES_MIN: usize = 16 << 10;
/// What chunks are long on average.
const CHUNK_BYTES_AVERAGE: usize = 64 << 10;
/// The longest chunk.
const CHUNK_BYTES_MAX: usize = 256 << 10;

pub(super) fn next(ahead: &[u8], at_end: bool) -> Cut {
    if ahead.len() < CHUNK_BYTES_MAX && !at_end {
        return Cut::Need(CHUNK_BYTES_MAX);
    }
    let window = ahead.len().min(CHUNK_BYTES_MAX);
    let cdc = FastCDC::new(
        &ahead[..window],
        CHUNK_BYTES_MIN,
        CHUNK_BYTES_AVERAGE,
        CHUNK_BYTES_MAX,
    );
    let (_hash, length) = cdc.cut(0, window);
    Cut::Chunk {
        length,
        hint: Hint::General,
    }
}

#[cfg(test)]
mod tests {
    use crate::chunk::tests::cut;

    fn noise(count: usize) -> Vec<u8> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"noise");
        let mut bytes = vec![0; count];
        hasher.finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn an_insertion_changes_few_chunks() {
        let before = noise(4 << 20);
        let mut after = before.clone();
        after.splice(1000..1000, *b"inserted");
        let ends = |bytes: &[u8]| {
            let mut end = 0;
            let ends = cut(bytes, 1 << 20).into_iter().map(|(length, _)| {
                end += length;
                bytes.len() - end
            });
            ends.collect::<std::collections::BTreeSet<_>>()
        };
        let (before, after) = (ends(&before), ends(&after));
        assert!(before.len() > 30);
        assert!(before.difference(&after).count() <= 2);
    }

    /// The cuts are part of the format: with others, nothing stored before would be found again.
    #[test]
    fn golden_cuts() {
        let lengths: Vec<usize> = cut(&noise(512 << 10), 1 << 20)
            .into_iter()
            .map(|(length, _)| length)
            .collect();
        assert_eq!(lengths, GOLDEN);
    }

    const GOLDEN: [usize; 8] = [74076, 101_526, 32578, 48426, 83135, 41775, 40289, 102_483];
}
