//! How a record's plain bytes are written: raw, as zstd, or as byte planes.
//!
//! A float's high byte (sign and exponent) takes few values, its low bytes are noise. Split by significance, the first
//! compress well with Huffman coding alone and the rest are kept raw: smaller than zstd on the floats as they lie, and
//! several times as fast. What was chosen stands in each record, so that any later choice can live beside it.

mod coder;
mod planes;

pub(crate) use coder::{Decoder, Encoder};

/// What is known of bytes before they are encoded: a wish, unlike [`Encoding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hint {
    /// Nothing: try zstd.
    General,
    /// Floats of this many bytes each.
    Floats { width: u8 },
    /// Not worth a try: digests, say.
    Dense,
}

/// How the bytes of a record are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As they are.
    Raw,
    /// One zstd frame.
    Zstd,
    /// Elements of `planes.len()` bytes, each rotated left by one bit, split into planes from the lowest byte up.
    Planes { planes: Vec<Plane> },
}

/// One plane of an encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plane {
    /// Whether it is a zstd frame or raw.
    pub compressed: bool,
    /// How many bytes it takes in the payload.
    pub stored: u32,
}

/// Elements wider than this are not split.
pub(crate) const PLANES_MAX: usize = 8;

impl Encoding {
    /// The tag in the record's header.
    pub(crate) fn tag(&self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Zstd => 1,
            Self::Planes { .. } => 2,
        }
    }
}

/// Why a payload cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("its zstd frame is broken ({0})")]
    Zstd(&'static str),
    #[error("it decodes to {found} bytes instead of {expected}")]
    Length { expected: usize, found: usize },
    #[error("its planes do not fill its payload")]
    Planes,
}
