//! Random numbers as a function of (seed, kind, purpose, step, index).
//!
//! No generator state exists, so nothing has to be saved for a resume, and neither the number of threads nor the order of
//! the draws can change a value. The bits come from Philox4x32-10 (Salmon et al., SC'11) under a key that BLAKE3 derives
//! from the names; normals use the pure-Rust `libm`, whose results do not depend on the C library of the machine.

/// Names a purpose of randomness; cheap to make and to copy.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    key: [u32; 2],
}

impl Stream {
    /// The stream of `purpose` in a stage of `kind` under `seed`.
    #[must_use]
    pub fn new(seed: u64, kind: &str, purpose: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("begat random stream 1");
        for part in [&seed.to_le_bytes()[..], kind.as_bytes(), purpose.as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let digest = hasher.finalize();
        let word =
            |i: usize| u32::from_le_bytes([0, 1, 2, 3].map(|b| digest.as_bytes()[4 * i + b]));
        Self {
            key: [word(0), word(1)],
        }
    }

    /// 64 random bits.
    #[must_use]
    pub fn bits(&self, step: u64, index: u64) -> u64 {
        let [a, b, ..] = self.block(step, index);
        u64::from(a) | u64::from(b) << 32
    }

    /// Uniform in [0, 1), with 53 bits.
    #[must_use]
    pub fn uniform(&self, step: u64, index: u64) -> f64 {
        unit(self.bits(step, index))
    }

    /// Uniform in 0..bound (which must not be 0); the bias is below 2^-64 × bound.
    #[must_use]
    pub fn below(&self, step: u64, index: u64, bound: u64) -> u64 {
        ((u128::from(self.bits(step, index)) * u128::from(bound)) >> 64) as u64
    }

    /// Two independent standard normals (Box–Muller).
    #[must_use]
    pub fn normals(&self, step: u64, index: u64) -> [f64; 2] {
        let [a, b, c, d] = self.block(step, index);
        // 1 - u lies in (0, 1], so the logarithm is finite.
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - unit(u64::from(a) | u64::from(b) << 32)));
        let angle = std::f64::consts::TAU * unit(u64::from(c) | u64::from(d) << 32);
        [radius * libm::cos(angle), radius * libm::sin(angle)]
    }

    /// A permutation of 0..len for this step (Fisher–Yates).
    #[must_use]
    pub fn permutation(&self, step: u64, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        for last in (1..len).rev() {
            order.swap(
                last,
                self.below(step, last as u64, last as u64 + 1) as usize,
            );
        }
        order
    }

    /// Philox4x32-10 of the counter (step, index).
    fn block(&self, step: u64, index: u64) -> [u32; 4] {
        let mut counter = [
            index as u32,
            (index >> 32) as u32,
            step as u32,
            (step >> 32) as u32,
        ];
        let mut key = self.key;
        for _ in 0..10 {
            let first = u64::from(counter[0]) * 0xD251_1F53;
            let second = u64::from(counter[2]) * 0xCD9E_8D57;
            counter = [
                (second >> 32) as u32 ^ counter[1] ^ key[0],
                second as u32,
                (first >> 32) as u32 ^ counter[3] ^ key[1],
                first as u32,
            ];
            key = [
                key[0].wrapping_add(0x9E37_79B9),
                key[1].wrapping_add(0xBB67_AE85),
            ];
        }
        counter
    }
}

fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_matches_the_known_answers_of_its_authors() {
        // Random123, kat_vectors: philox4x32 10.
        let zero = Stream { key: [0, 0] };
        assert_eq!(
            zero.block(0, 0),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        let ones = Stream { key: [u32::MAX; 2] };
        assert_eq!(
            ones.block(u64::MAX, u64::MAX),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
    }

    #[test]
    fn each_name_gives_other_bits_and_the_same_name_the_same() {
        let base = Stream::new(1, "pretrain", "order").bits(0, 0);
        assert_eq!(base, Stream::new(1, "pretrain", "order").bits(0, 0));
        assert_ne!(base, Stream::new(2, "pretrain", "order").bits(0, 0));
        assert_ne!(base, Stream::new(1, "sft", "order").bits(0, 0));
        assert_ne!(base, Stream::new(1, "pretrain", "orde").bits(0, 0));
    }

    #[test]
    fn normals_have_the_moments_of_a_normal() {
        let stream = Stream::new(7, "test", "normal");
        let draws: Vec<f64> = (0..20_000).flat_map(|i| stream.normals(0, i)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let mut order = Stream::new(7, "test", "order").permutation(3, 1000);
        assert_ne!(order[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(i, &v)| i == v));
    }
}
