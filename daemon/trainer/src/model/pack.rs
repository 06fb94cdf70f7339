//! Sequences laid end to end.

use crate::error::{Error, Result};
use tch::{Device, Tensor};

/// Token sequences laid end to end, with where each begins.
#[derive(Debug)]
pub struct Pack {
    tokens: Tensor,
    positions: Tensor,
    offsets: Vec<usize>,
    largest_token: Option<u32>,
}

impl Pack {
    /// Packs the sequences, none of which may be empty.
    pub fn new<S: AsRef<[u32]>>(sequences: &[S], device: Device) -> Result<Self> {
        let mut tokens = Vec::new();
        let mut positions = Vec::new();
        let mut offsets = vec![0];
        for sequence in sequences {
            let sequence = sequence.as_ref();
            if sequence.is_empty() {
                return Err(Error::Invalid(format!(
                    "sequence {} of the pack is empty",
                    offsets.len() - 1
                )));
            }
            tokens.extend(sequence.iter().map(|&token| i64::from(token)));
            positions.extend(0..sequence.len() as i64);
            offsets.push(tokens.len());
        }
        if tokens.is_empty() {
            return Err(Error::Invalid("a pack needs at least one sequence".into()));
        }
        let largest_token = sequences
            .iter()
            .flat_map(|sequence| sequence.as_ref())
            .max()
            .copied();
        let place = |values: &[i64]| Tensor::f_from_slice(values)?.f_to_device(device);
        Ok(Self {
            tokens: place(&tokens)?,
            positions: place(&positions)?,
            offsets,
            largest_token,
        })
    }

    /// Token ids: int64 [tokens].
    pub fn tokens(&self) -> &Tensor {
        &self.tokens
    }

    /// Each token's position in its own sequence: int64 [tokens].
    pub fn positions(&self) -> &Tensor {
        &self.positions
    }

    /// Where each sequence begins, and where the last one ends: sequences + 1 numbers.
    #[must_use]
    pub fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// Number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.last().copied().unwrap_or(0)
    }

    /// Never true: an empty pack cannot be made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of sequences.
    #[must_use]
    pub fn sequence_count(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Length of the longest sequence.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.offsets
            .windows(2)
            .map(|ends| ends[1] - ends[0])
            .max()
            .unwrap_or(0)
    }

    /// Index of each sequence's last token.
    #[must_use]
    pub fn last_tokens(&self) -> Vec<i64> {
        self.offsets[1..]
            .iter()
            .map(|&end| end as i64 - 1)
            .collect()
    }

    pub(crate) fn largest_token(&self) -> Option<u32> {
        self.largest_token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_start_again_in_each_sequence() {
        let pack = Pack::new(&[vec![5, 6, 7], vec![8]], Device::Cpu).unwrap();
        assert_eq!(
            Vec::<i64>::try_from(pack.positions()).unwrap(),
            [0, 1, 2, 0]
        );
        assert_eq!(
            (pack.offsets(), pack.longest(), pack.last_tokens()),
            (&[0, 3, 4][..], 3, vec![2, 3])
        );
    }

    #[test]
    fn empty_sequences_are_refused() {
        assert!(
            Pack::new(&[vec![1], vec![]], Device::Cpu)
                .unwrap_err()
                .to_string()
                .contains("sequence 1")
        );
        assert!(Pack::new::<Vec<u32>>(&[], Device::Cpu).is_err());
    }
}
