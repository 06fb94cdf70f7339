//! Encoding and decoding, with contexts that are kept from one record to the next.
//!
//! The coder of a plane is chosen by the entropy of a sample of it. In between, a zstd frame with literals only ("Huffman
//! only") wins: zstd's match finder sees false short matches in the thirty values of an exponent plane, and costs seven times
//! as much. It is a valid frame that any zstd reads.

use zstd::zstd_safe::{CCtx, CParameter, DCtx, ParamSwitch, compress_bound, get_error_name};

use super::{DecodeError, Encoding, Hint, PLANES_MAX, Plane, planes};

/// What zstd calls level "no matches"; with literals forced on, the Huffman coder alone remains.
const LEVEL_HUFFMAN_ONLY: i32 = -131_072;
/// For planes that are nearly constant, where runs matter.
const LEVEL_RUNS: i32 = 1;
/// For files in general.
const LEVEL_GENERAL: i32 = 3;

/// Bits per byte from which a plane is kept raw.
const ENTROPY_RAW: f64 = 7.9;
/// Bits per byte below which runs are worth a match finder.
const ENTROPY_RUNS: f64 = 1.2;
/// How many bytes of a plane are counted.
const SAMPLE_BYTES: usize = 16 << 10;

/// Floats in fewer bytes than this are not worth planes.
const PLANES_BYTES_MIN: usize = 512;

pub(crate) struct Encoder {
    huffman: CCtx<'static>,
    runs: CCtx<'static>,
    general: CCtx<'static>,
    planes: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new() -> Self {
        Self {
            huffman: context(LEVEL_HUFFMAN_ONLY, true),
            runs: context(LEVEL_RUNS, false),
            general: context(LEVEL_GENERAL, false),
            planes: Vec::new(),
        }
    }

    /// Appends the encoded form of `plain` to `out` and says how it is written: never longer than raw.
    pub(crate) fn encode(&mut self, plain: &[u8], hint: Hint, out: &mut Vec<u8>) -> Encoding {
        match hint {
            Hint::Floats { width } if fits_planes(plain, width) => {
                self.encode_planes(plain, usize::from(width), out)
            }
            Hint::Dense => {
                out.extend_from_slice(plain);
                Encoding::Raw
            }
            _ => {
                if compress(&mut self.general, plain, out) {
                    Encoding::Zstd
                } else {
                    Encoding::Raw
                }
            }
        }
    }

    fn encode_planes(&mut self, plain: &[u8], width: usize, out: &mut Vec<u8>) -> Encoding {
        planes::split(plain, width, &mut self.planes);
        let mut coded = Vec::with_capacity(width);
        for plane in self.planes.chunks_exact(plain.len() / width) {
            let before = out.len();
            let entropy = sampled_entropy(plane);
            let compressed = if entropy > ENTROPY_RAW {
                out.extend_from_slice(plane);
                false
            } else if entropy < ENTROPY_RUNS {
                compress(&mut self.runs, plane, out)
            } else {
                compress(&mut self.huffman, plane, out)
            };
            coded.push(Plane {
                compressed,
                stored: (out.len() - before) as u32,
            });
        }
        Encoding::Planes { planes: coded }
    }
}

fn fits_planes(plain: &[u8], width: u8) -> bool {
    let width = usize::from(width);
    matches!(width, 2 | 4 | 8)
        && plain.len() >= PLANES_BYTES_MIN
        && plain.len().is_multiple_of(width)
}

fn context(level: i32, literals: bool) -> CCtx<'static> {
    let mut context = CCtx::create();
    let mut set = |parameter| {
        // A zstd without the parameter compresses less well, which the size check of each record bears.
        let _accepted = context.set_parameter(parameter);
    };
    set(CParameter::CompressionLevel(level));
    set(CParameter::ChecksumFlag(false));
    if literals {
        set(CParameter::LiteralCompressionMode(ParamSwitch::Enable));
    }
    context
}

/// Appends a frame of `plain`, or `plain` itself where that is no longer. Says whether it is a frame.
fn compress(context: &mut CCtx<'static>, plain: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.resize(start + compress_bound(plain.len()), 0);
    match context.compress2(&mut out[start..], plain) {
        Ok(written) if written < plain.len() => {
            out.truncate(start + written);
            true
        }
        _ => {
            out.truncate(start);
            out.extend_from_slice(plain);
            false
        }
    }
}

/// Order-0 entropy in bits per byte, of a sample spread over `plane`.
fn sampled_entropy(plane: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    let runs = 64;
    let run = SAMPLE_BYTES / runs;
    let mut total = 0u32;
    if plane.len() <= SAMPLE_BYTES {
        plane
            .iter()
            .for_each(|byte| counts[usize::from(*byte)] += 1);
        total = plane.len() as u32;
    } else {
        let stride = (plane.len() - run) / (runs - 1);
        for at in 0..runs {
            for byte in &plane[at * stride..at * stride + run] {
                counts[usize::from(*byte)] += 1;
            }
            total += run as u32;
        }
    }
    let total = f64::from(total.max(1));
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / total)
        .map(|share| -share * share.log2())
        .sum()
}

pub(crate) struct Decoder {
    context: DCtx<'static>,
    planes: Vec<u8>,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self {
            context: DCtx::create(),
            planes: Vec::new(),
        }
    }

    /// Decodes `payload` into `plain`, which becomes exactly `plain_len` bytes long.
    pub(crate) fn decode(
        &mut self,
        encoding: &Encoding,
        payload: &[u8],
        plain_len: usize,
        plain: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        match encoding {
            Encoding::Raw => {
                check_length(plain_len, payload.len())?;
                plain.clear();
                plain.extend_from_slice(payload);
                Ok(())
            }
            Encoding::Zstd => {
                plain.resize(plain_len, 0);
                decompress(&mut self.context, payload, plain)
            }
            Encoding::Planes { planes } => self.decode_planes(planes, payload, plain_len, plain),
        }
    }

    fn decode_planes(
        &mut self,
        coded: &[Plane],
        payload: &[u8],
        plain_len: usize,
        plain: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        let width = coded.len();
        if !(1..=PLANES_MAX).contains(&width)
            || !width.is_power_of_two()
            || !plain_len.is_multiple_of(width)
        {
            return Err(DecodeError::Planes);
        }
        let count = plain_len / width;
        let mut rest = payload;
        self.planes.resize(plain_len, 0);
        let mut slices: Vec<&[u8]> = Vec::with_capacity(width);
        for (plane, target) in coded.iter().zip(self.planes.chunks_exact_mut(count.max(1))) {
            let (stored, after) = rest
                .split_at_checked(plane.stored as usize)
                .ok_or(DecodeError::Planes)?;
            rest = after;
            if plane.compressed {
                decompress(&mut self.context, stored, target)?;
                slices.push(target);
            } else {
                check_length(count, stored.len())?;
                slices.push(stored);
            }
        }
        if !rest.is_empty() || slices.len() != width {
            return Err(DecodeError::Planes);
        }
        plain.resize(plain_len, 0);
        planes::join(&slices, plain);
        Ok(())
    }
}

fn decompress(
    context: &mut DCtx<'static>,
    frame: &[u8],
    plain: &mut [u8],
) -> Result<(), DecodeError> {
    let expected = plain.len();
    let found = context
        .decompress(plain, frame)
        .map_err(|code| DecodeError::Zstd(get_error_name(code)))?;
    check_length(expected, found)
}

fn check_length(expected: usize, found: usize) -> Result<(), DecodeError> {
    if expected == found {
        Ok(())
    } else {
        Err(DecodeError::Length { expected, found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(plain: &[u8], hint: Hint) -> (Encoding, usize) {
        let mut out = b"before".to_vec();
        let encoding = Encoder::new().encode(plain, hint, &mut out);
        let payload = &out[6..];
        assert!(payload.len() <= plain.len());
        let mut decoded = b"left over".to_vec();
        Decoder::new()
            .decode(&encoding, payload, plain.len(), &mut decoded)
            .unwrap();
        assert_eq!(decoded, plain);
        (encoding, payload.len())
    }

    proptest! {
        #[test]
        fn every_bit_survives(plain in proptest::collection::vec(any::<u8>(), 0..5000), width in 1..9u8) {
            round_trip(&plain, Hint::General);
            round_trip(&plain, Hint::Dense);
            round_trip(&plain, Hint::Floats { width });
        }

        #[test]
        fn decoding_of_any_bytes_is_an_answer(
            payload in proptest::collection::vec(any::<u8>(), 0..300),
            stored in proptest::collection::vec((any::<bool>(), 0..300u32), 0..10),
            plain_len in 0..600usize,
        ) {
            let planes = stored.into_iter().map(|(compressed, stored)| Plane { compressed, stored }).collect();
            let mut decoder = Decoder::new();
            let mut plain = Vec::new();
            for encoding in [Encoding::Raw, Encoding::Zstd, Encoding::Planes { planes }] {
                if decoder.decode(&encoding, &payload, plain_len, &mut plain).is_ok() {
                    prop_assert_eq!(plain.len(), plain_len);
                }
            }
        }
    }

    /// Weights as training leaves them, near enough: normal, mean 0, deviation 0.02. Sums of twelve uniforms.
    fn gaussian(count: usize) -> Vec<f32> {
        let mut state = 1u64;
        let mut uniform = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        (0..count)
            .map(|_| 0.02 * ((0..12).map(|_| uniform()).sum::<f32>() - 6.0))
            .collect()
    }

    #[test]
    fn floats_shrink_to_near_their_entropy() {
        let weights = gaussian(256 << 10);
        let fp32: Vec<u8> = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
        let bf16: Vec<u8> = weights
            .iter()
            .flat_map(|w| ((w.to_bits() >> 16) as u16).to_le_bytes())
            .collect();
        let (encoding, stored) = round_trip(&bf16, Hint::Floats { width: 2 });
        assert_eq!(encoding.tag(), 2);
        assert!(
            bf16.len() as f64 / stored as f64 >= 1.45,
            "bf16 to {stored} of {}",
            bf16.len()
        );
        let (_, stored) = round_trip(&fp32, Hint::Floats { width: 4 });
        assert!(
            fp32.len() as f64 / stored as f64 >= 1.18,
            "fp32 to {stored} of {}",
            fp32.len()
        );
    }

    #[test]
    fn constant_and_special_floats_survive() {
        let zeros = vec![0u8; 1 << 20];
        let (_, stored) = round_trip(&zeros, Hint::Floats { width: 4 });
        assert!(stored < 1000);
        let special = [
            f32::NAN,
            -0.0,
            f32::INFINITY,
            f32::from_bits(1),
            f32::from_bits(0x7fc0_dead),
        ];
        let plain: Vec<u8> = special
            .iter()
            .cycle()
            .take(1000)
            .flat_map(|f| f.to_le_bytes())
            .collect();
        round_trip(&plain, Hint::Floats { width: 4 });
    }
}
