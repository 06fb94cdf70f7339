//! Cutting a safetensors file at its tensors.
//!
//! The header is a chunk of its own, for it changes with every metadata; then each tensor in pieces of a fixed number of
//! *elements*, so that a tensor and its copy in another dtype are cut into pairs. A file whose header lies is stored byte for
//! byte like any other; [`check`] is what says that it lies.

use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::Cut;
use crate::encoding::Hint;
use crate::fs::{At, Fs, FsError, Open, read_exact_at};

/// Elements in a piece of a tensor: 1 MiB of fp32. Smaller pieces find no more, larger ones compress no better.
const PIECE_ELEMENTS: usize = 256 << 10;

/// A longer header is cut like any other file. That of a model of 100,000 tensors is about 10 MB.
pub(crate) const HEADER_BYTES_MAX: usize = 16 << 20;

/// Bytes of the header's length, which come first.
const LENGTH_BYTES: usize = 8;

/// What the first bytes of a file say.
pub(super) enum Probe {
    Need(usize),
    Not,
    Header { length: usize, plan: Plan },
}

/// The tensors still to come.
pub(crate) struct Plan {
    tensors: std::vec::IntoIter<Run>,
    current: Option<Run>,
}

/// Bytes of one tensor.
#[derive(Clone, Copy)]
struct Run {
    bytes: usize,
    piece: usize,
    hint: Hint,
}

pub(super) fn probe(ahead: &[u8], at_end: bool) -> Probe {
    let Some((length, rest)) = ahead.split_first_chunk::<LENGTH_BYTES>() else {
        return if at_end {
            Probe::Not
        } else {
            Probe::Need(LENGTH_BYTES + 1)
        };
    };
    let header = u64::from_le_bytes(*length);
    if !(2..=HEADER_BYTES_MAX as u64).contains(&header) {
        return Probe::Not;
    }
    let header = header as usize;
    match rest.first() {
        None if !at_end => return Probe::Need(LENGTH_BYTES + 1),
        Some(b'{') => {}
        _ => return Probe::Not,
    }
    let Some(text) = rest.get(..header) else {
        return if at_end {
            Probe::Not
        } else {
            Probe::Need(LENGTH_BYTES + header)
        };
    };
    match serde_json::from_slice::<Metadata>(text) {
        Err(_) => Probe::Not,
        Ok(metadata) => Probe::Header {
            length: LENGTH_BYTES + header,
            plan: Plan::of(&metadata),
        },
    }
}

impl Plan {
    fn of(metadata: &Metadata) -> Self {
        let mut tensors: Vec<_> = metadata.tensors().into_values().collect();
        tensors.sort_by_key(|tensor| tensor.data_offsets);
        let runs: Vec<Run> = tensors
            .into_iter()
            .map(|tensor| Run {
                bytes: tensor.data_offsets.1 - tensor.data_offsets.0,
                piece: PIECE_ELEMENTS * tensor.dtype.bitsize() / 8,
                hint: hint(tensor.dtype),
            })
            .collect();
        Self {
            tensors: runs.into_iter(),
            current: None,
        }
    }

    /// The next piece; `None` after the last tensor.
    pub(super) fn next(&mut self, ahead: &[u8], at_end: bool) -> Option<Cut> {
        let run = match self.current.filter(|run| run.bytes > 0) {
            Some(run) => run,
            None => self.tensors.by_ref().find(|run| run.bytes > 0)?,
        };
        self.current = Some(run);
        let wanted = run.bytes.min(run.piece);
        if ahead.len() < wanted && !at_end {
            return Some(Cut::Need(wanted));
        }
        let length = wanted.min(ahead.len());
        self.current = Some(Run {
            bytes: run.bytes - length,
            ..run
        });
        Some(Cut::Chunk {
            length,
            hint: run.hint,
        })
    }
}

fn hint(dtype: Dtype) -> Hint {
    match dtype {
        Dtype::F64 => Hint::Floats { width: 8 },
        Dtype::F32 | Dtype::C64 => Hint::Floats { width: 4 },
        Dtype::F16 | Dtype::BF16 => Hint::Floats { width: 2 },
        _ => Hint::General,
    }
}

/// What is wrong with a safetensors file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsError {
    /// It could not be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// It ends before its header does.
    #[error("{} is cut short: its header needs {needed} bytes, it has {found}", path.display())]
    HeaderCut {
        /// The file.
        path: PathBuf,
        /// How long it would have to be.
        needed: u64,
        /// How long it is.
        found: u64,
    },
    /// Its header is none.
    #[error("{} has a header that is not safetensors: {reason}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Its header promises another length.
    #[error("{} has {found} bytes, its header promises {promised}", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// What the tensors need.
        promised: u64,
        /// What is there.
        found: u64,
    },
}

/// Checks that the safetensors file at `path` has a sound header that promises exactly the bytes that are there.
pub fn check(fs: &dyn Fs, path: &Path) -> Result<(), SafetensorsError> {
    let file = fs.open(path, Open::Read).at("open", path)?;
    let found = file.len().at("measure", path)?;
    let cut = |needed| SafetensorsError::HeaderCut {
        path: path.to_owned(),
        needed,
        found,
    };
    let bad = |reason: String| SafetensorsError::Header {
        path: path.to_owned(),
        reason,
    };
    if found < LENGTH_BYTES as u64 {
        return Err(cut(LENGTH_BYTES as u64));
    }
    let mut length = [0; LENGTH_BYTES];
    read_exact_at(&*file, &mut length, 0).at("read", path)?;
    let header = u64::from_le_bytes(length);
    if header > 100_000_000 {
        let reason = format!("it claims {header} bytes, at most 100000000 are allowed");
        return Err(bad(reason));
    }
    let data = LENGTH_BYTES as u64 + header;
    if data > found {
        return Err(cut(data));
    }
    let mut text = vec![0; header as usize];
    read_exact_at(&*file, &mut text, LENGTH_BYTES as u64).at("read", path)?;
    let metadata: Metadata =
        serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
    let promised = data + metadata.data_len() as u64;
    if promised != found {
        return Err(SafetensorsError::Length {
            path: path.to_owned(),
            promised,
            found,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::tests::file_of;
    use crate::faults::FaultyFs;
    use crate::fs::append_all;

    fn check_bytes(bytes: &[u8]) -> Result<(), String> {
        let fs = FaultyFs::new();
        let path = Path::new("/m.safetensors");
        let file = fs.open(path, Open::CreateNew).unwrap();
        append_all(&*file, bytes).unwrap();
        check(&fs, path).map_err(|error| error.to_string())
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        let file = file_of(&[("a", "F32", 10)], |_, _| 0);
        assert_eq!(check_bytes(&file), Ok(()));
        let total = file.len();
        assert_eq!(
            check_bytes(&file[..total - 1]).unwrap_err(),
            format!(
                "/m.safetensors has {} bytes, its header promises {total}",
                total - 1
            )
        );
        assert_eq!(
            check_bytes(&file[..20]).unwrap_err(),
            format!(
                "/m.safetensors is cut short: its header needs {} bytes, it has 20",
                total - 40
            )
        );
        assert_eq!(
            check_bytes(b"abc").unwrap_err(),
            "/m.safetensors is cut short: its header needs 8 bytes, it has 3"
        );
        let mut lying = file.clone();
        lying[9] = b'x';
        assert!(check_bytes(&lying).unwrap_err().contains("not safetensors"));
        assert!(
            check_bytes(&[255; 20])
                .unwrap_err()
                .contains("at most 100000000")
        );
    }
}
