//! Where a file is cut into chunks. Pure: bytes in, lengths out.
//!
//! A safetensors file is cut where its tensors are, so that an unchanged tensor is the same chunks wherever it lies; anything
//! else by content (FastCDC), so that an insertion moves the cuts with it. Both are final: another cut would find nothing of
//! what is already stored.

pub(crate) mod fastcdc;
pub(crate) mod safetensors;

use crate::encoding::Hint;

/// The next thing to do with the bytes at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Read until this many bytes are at hand, or the end is reached, and ask again.
    Need(usize),
    /// The next chunk is this long.
    Chunk { length: usize, hint: Hint },
    /// There is nothing left.
    End,
}

/// Cuts one file, told its bytes as they come.
pub(crate) enum Cutter {
    /// What kind of file it is will show in its first bytes.
    Unknown,
    /// Any file.
    General,
    /// A safetensors file whose header could be read.
    Tensors(safetensors::Plan),
}

impl Cutter {
    /// A cutter that looks into the file to see what it is; a safetensors file needs no name to be known.
    pub(crate) fn new() -> Self {
        Self::Unknown
    }

    /// `ahead` are the bytes from the end of the last chunk on; `at_end` says that no more will come.
    pub(crate) fn next(&mut self, ahead: &[u8], at_end: bool) -> Cut {
        if ahead.is_empty() && at_end {
            return Cut::End;
        }
        match self {
            Self::Unknown => match safetensors::probe(ahead, at_end) {
                safetensors::Probe::Need(bytes) => Cut::Need(bytes),
                safetensors::Probe::Not => {
                    *self = Self::General;
                    self.next(ahead, at_end)
                }
                safetensors::Probe::Header { length, plan } => {
                    *self = Self::Tensors(plan);
                    Cut::Chunk {
                        length,
                        hint: Hint::General,
                    }
                }
            },
            Self::General => fastcdc::next(ahead, at_end),
            Self::Tensors(plan) => match plan.next(ahead, at_end) {
                Some(cut) => cut,
                None => {
                    *self = Self::General;
                    self.next(ahead, at_end)
                }
            },
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Cuts `bytes` given in pieces of `step`.
    pub(crate) fn cut(bytes: &[u8], step: usize) -> Vec<(usize, Hint)> {
        let mut cutter = Cutter::new();
        let mut cuts = Vec::new();
        let (mut start, mut have) = (0, 0);
        loop {
            match cutter.next(&bytes[start..have], have == bytes.len()) {
                Cut::Need(need) => {
                    assert!(
                        have < bytes.len() && start + need > have,
                        "asks for what it has"
                    );
                    have = (start + need).max(have + step).min(bytes.len());
                }
                Cut::Chunk { length, hint } => {
                    assert!(length > 0 && start + length <= have);
                    start += length;
                    cuts.push((length, hint));
                }
                Cut::End => {
                    assert_eq!(start, bytes.len());
                    return cuts;
                }
            }
        }
    }

    /// A safetensors file of `tensors`: name, dtype, element count.
    pub(crate) fn file_of(
        tensors: &[(&str, &str, usize)],
        fill: impl Fn(&str, usize) -> u8,
    ) -> Vec<u8> {
        let mut header = serde_json::Map::new();
        let mut data = Vec::new();
        for (name, dtype, count) in tensors {
            let width = match *dtype {
                "F64" | "I64" => 8,
                "F32" | "I32" => 4,
                "BF16" | "F16" => 2,
                _ => 1,
            };
            let start = data.len();
            data.extend((0..count * width).map(|at| fill(name, at)));
            let info = serde_json::json!({"dtype": dtype, "shape": [count], "data_offsets": [start, data.len()]});
            header.insert((*name).to_owned(), info);
        }
        let header = serde_json::to_vec(&header).unwrap();
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header);
        file.extend(data);
        file
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn chunks_cover_any_input_however_it_comes(
            seed in proptest::collection::vec(any::<u8>(), 0..200),
            repeat in 1..8000usize,
            step in 1..300_000usize,
        ) {
            let bytes = seed.repeat(repeat);
            prop_assert_eq!(cut(&bytes, step), cut(&bytes, usize::MAX / 2));
        }

        #[test]
        fn headers_that_lie_are_cut_all_the_same(
            mut file in Just(file_of(&[("a", "F32", 300), ("b", "U8", 5)], |_, at| at as u8)),
            at in 0..100usize,
            byte in any::<u8>(),
            keep in 0..2000usize,
        ) {
            file[at] = byte;
            file.truncate(keep);
            cut(&file, 100);
        }
    }

    #[test]
    fn tensors_are_cut_at_their_ends_and_every_256_ki_elements() {
        let piece = 256 << 10;
        let tensors = [
            ("a", "F32", piece + 10),
            ("b", "BF16", 2 * piece),
            ("c", "F32", 0),
            ("d", "U8", 3),
        ];
        let file = file_of(&tensors, |_, at| at as u8);
        let cuts = cut(&file, 1000);
        let floats = |width| Hint::Floats { width };
        let header = file.len() - (piece + 10) * 4 - 4 * piece - 3;
        let expected = [
            (header, Hint::General),
            (piece * 4, floats(4)),
            (40, floats(4)),
            (piece * 2, floats(2)),
            (piece * 2, floats(2)),
            (3, Hint::General),
        ];
        assert_eq!(cuts, expected);
    }

    #[test]
    fn what_follows_the_last_tensor_and_what_is_missing_of_it_is_kept() {
        let mut file = file_of(&[("a", "F32", 1000)], |_, at| at as u8);
        let whole = file.len();
        file.extend_from_slice(b"more");
        assert_eq!(cut(&file, 10).last(), Some(&(4, Hint::General)));
        file.truncate(whole - 1);
        assert_eq!(
            cut(&file, 10).last(),
            Some(&(3999, Hint::Floats { width: 4 }))
        );
    }

    #[test]
    fn a_gapped_header_is_no_plan() {
        let header = br#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#;
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header);
        file.extend_from_slice(&[0; 100]);
        assert_eq!(cut(&file, 10), [(file.len(), Hint::General)]);
    }
}
