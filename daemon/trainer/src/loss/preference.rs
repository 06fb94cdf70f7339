//! What the losses of preferences share.

use crate::error::Result;
use crate::model::{Model, Pack};
use tch::{Kind, Tensor};

/// The score of each sequence of the pack, pooled at its last token: float32 [sequences], differentiable.
pub(crate) fn last_scores(model: &Model, pack: &Pack, hidden: &Tensor) -> Result<Tensor> {
    let last = Tensor::f_from_slice(&pack.last_tokens())?.f_to_device(hidden.device())?;
    // The head is applied to the rows that count only.
    model.scores(&hidden.f_index_select(0, &last)?)
}

/// The sum of `rows` (one value a token of the pack) over each sequence: float64 [sequences], differentiable. A sequence's
/// sum is made in the order of its tokens, so its bits do not depend on its neighbours.
pub(crate) fn sequence_sums(pack: &Pack, rows: &Tensor) -> Result<Tensor> {
    let ends = pack.offsets().windows(2).enumerate();
    let owners: Vec<i64> = ends
        .flat_map(|(sequence, ends)| std::iter::repeat_n(sequence as i64, ends[1] - ends[0]))
        .collect();
    let owners = Tensor::f_from_slice(&owners)?.f_to_device(rows.device())?;
    let count = pack.sequence_count() as i64;
    let zeros = Tensor::f_zeros([count], (Kind::Double, rows.device()))?;
    Ok(zeros.f_index_add(0, &owners, &rows.f_to_kind(Kind::Double)?)?)
}

/// −log σ(x) of one number, without overflow: max(−x, 0) + log(1 + e^−|x|).
pub(crate) fn negative_log_sigmoid(x: f64) -> f64 {
    (-x).max(0.0) + libm::log1p(libm::exp(-x.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithm_of_a_sigmoid_neither_overflows_nor_vanishes() {
        // Python's math, float64: math.log1p(math.exp(-x)) for x ≥ 0, and -x + math.log1p(math.exp(x)) below.
        for (x, expected) in [
            (0.0, std::f64::consts::LN_2),
            (1.5, 0.201_413_277_982_752_46),
            (-1.5, 1.701_413_277_982_752_5),
            (40.0, 4.248_354_255_291_589e-18),
            (-800.0, 800.0),
            (800.0, 0.0),
        ] {
            assert!(
                (negative_log_sigmoid(x) - expected).abs() <= 1e-15 * expected,
                "{x}"
            );
        }
    }

    #[test]
    fn sums_stay_within_their_sequences() {
        let pack = Pack::new(&[vec![1, 2, 3], vec![4], vec![5, 6]], tch::Device::Cpu).unwrap();
        let rows = Tensor::from_slice(&[1.0f32, 2.0, 4.0, 8.0, 16.0, 32.0]);
        let sums = sequence_sums(&pack, &rows).unwrap();
        assert_eq!(Vec::<f64>::try_from(&sums).unwrap(), [7.0, 8.0, 48.0]);
    }
}
