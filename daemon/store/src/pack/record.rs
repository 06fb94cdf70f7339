//! One record of a pack: a header that says what it is, then its payload. Pure.

use begat_schemas::Digest;

use crate::encoding::{Encoding, PLANES_MAX, Plane};

/// What every record begins with.
pub(crate) const MAGIC: [u8; 4] = *b"bgtr";
/// The version of the record's layout.
const VERSION: u8 = 1;
/// The header without its list of planes.
pub(crate) const HEADER_BYTES: usize = 72;
/// The longest list of planes.
pub(crate) const EXTENSION_BYTES_MAX: usize = PLANES_MAX * PLANE_BYTES;
/// What the header's check covers, before the extension.
const CHECKED_BYTES: usize = 64;
/// One plane in the extension.
const PLANE_BYTES: usize = 5;
/// No record decodes to more: a list of 28 million chunks.
pub(crate) const PLAIN_BYTES_MAX: u32 = 1 << 30;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Bytes, named by their digest.
    Chunk,
    /// The list of a blob's chunks, under the blob's digest.
    Blob,
    /// Nothing: the blob of this digest is the manifest of a tree.
    Tree,
}

impl Kind {
    /// All kinds.
    pub(crate) const ALL: [Self; 3] = [Self::Chunk, Self::Blob, Self::Tree];

    /// The byte in records, trailers and the index.
    pub(crate) fn tag(self) -> u8 {
        match self {
            Self::Chunk => 1,
            Self::Blob => 2,
            Self::Tree => 3,
        }
    }

    /// The kind with this byte.
    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.tag() == tag)
    }

    /// The word for people.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Chunk => "chunk",
            Self::Blob => "blob",
            Self::Tree => "tree",
        }
    }
}

/// What a record says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub kind: Kind,
    pub id: Digest,
    /// How the payload is written.
    pub encoding: Encoding,
    /// Bytes after decoding.
    pub plain: u32,
    /// Bytes of the payload.
    pub payload: u32,
    /// Bytes of what it stands for: the chunk's, the blob's, or the tree's manifest's.
    pub content: u64,
}

/// Why bytes are no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("it ends within a record")]
    Short,
    #[error("no record begins here")]
    Magic,
    #[error("its header is corrupt")]
    Check,
    #[error("it is written in a way this begat does not know ({0})")]
    Unknown(&'static str),
}

impl Header {
    /// Bytes of header and list of planes.
    pub(crate) fn length(&self) -> usize {
        match &self.encoding {
            Encoding::Planes { planes } => HEADER_BYTES + planes.len() * PLANE_BYTES,
            Encoding::Raw | Encoding::Zstd => HEADER_BYTES,
        }
    }

    /// Bytes of the whole record.
    pub(crate) fn record_length(&self) -> usize {
        self.length() + self.payload as usize
    }

    /// The header's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.length());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION, self.kind.tag(), self.encoding.tag(), 0]);
        bytes.extend_from_slice(&self.plain.to_le_bytes());
        bytes.extend_from_slice(&self.payload.to_le_bytes());
        bytes.extend_from_slice(&self.content.to_le_bytes());
        let extension = (self.length() - HEADER_BYTES) as u16;
        bytes.extend_from_slice(&extension.to_le_bytes());
        bytes.extend_from_slice(&[0; 6]);
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.extend_from_slice(&[0; HEADER_BYTES - CHECKED_BYTES]);
        if let Encoding::Planes { planes } = &self.encoding {
            for plane in planes {
                bytes.push(u8::from(plane.compressed));
                bytes.extend_from_slice(&plane.stored.to_le_bytes());
            }
        }
        let check = check_of(&bytes);
        bytes[CHECKED_BYTES..HEADER_BYTES].copy_from_slice(&check);
        bytes
    }

    /// The header that `bytes` begin with.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let fixed = bytes.get(..HEADER_BYTES).ok_or(RecordError::Short)?;
        if fixed[..4] != MAGIC {
            return Err(RecordError::Magic);
        }
        let extension = usize::from(u16_at(fixed, 24));
        let whole = bytes
            .get(..HEADER_BYTES + extension)
            .ok_or(RecordError::Short)?;
        if check_of(whole) != fixed[CHECKED_BYTES..] {
            return Err(RecordError::Check);
        }
        if fixed[4] != VERSION {
            return Err(RecordError::Unknown("version"));
        }
        if fixed[7] != 0 {
            return Err(RecordError::Unknown("flags"));
        }
        let kind = Kind::from_tag(fixed[5]).ok_or(RecordError::Unknown("kind"))?;
        let plain = u32_at(fixed, 8);
        if plain > PLAIN_BYTES_MAX {
            return Err(RecordError::Unknown("length"));
        }
        Ok(Self {
            kind,
            id: Digest::from_bytes(array_at(fixed, 32)),
            encoding: decode_encoding(fixed[6], &whole[HEADER_BYTES..])?,
            plain,
            payload: u32_at(fixed, 12),
            content: u64::from_le_bytes(array_at(fixed, 16)),
        })
    }
}

fn decode_encoding(tag: u8, extension: &[u8]) -> Result<Encoding, RecordError> {
    match (tag, extension.len()) {
        (0, 0) => Ok(Encoding::Raw),
        (1, 0) => Ok(Encoding::Zstd),
        (2, length) if length <= EXTENSION_BYTES_MAX && length.is_multiple_of(PLANE_BYTES) => {
            let planes = extension.chunks_exact(PLANE_BYTES);
            let planes = planes.map(|plane| Plane {
                compressed: plane[0] != 0,
                stored: u32_at(plane, 1),
            });
            Ok(Encoding::Planes {
                planes: planes.collect(),
            })
        }
        _ => Err(RecordError::Unknown("encoding")),
    }
}

/// The check of a header: it covers everything but itself.
fn check_of(header: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&header[..CHECKED_BYTES]);
    hasher.update(&header[HEADER_BYTES..]);
    array_at(hasher.finalize().as_bytes(), 0)
}

pub(super) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a slice of N bytes")
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers() -> impl Strategy<Value = Header> {
        let planes = proptest::collection::vec((any::<bool>(), any::<u32>()), 0..=PLANES_MAX);
        let encoding = (0..3u8, planes).prop_map(|(tag, planes)| match tag {
            0 => Encoding::Raw,
            1 => Encoding::Zstd,
            _ => Encoding::Planes {
                planes: planes
                    .into_iter()
                    .map(|(compressed, stored)| Plane { compressed, stored })
                    .collect(),
            },
        });
        let sizes = (0..=PLAIN_BYTES_MAX, any::<u32>(), any::<u64>());
        (0..3usize, any::<[u8; 32]>(), encoding, sizes).prop_map(
            |(kind, id, encoding, (plain, payload, content))| Header {
                kind: Kind::ALL[kind],
                id: Digest::from_bytes(id),
                encoding,
                plain,
                payload,
                content,
            },
        )
    }

    proptest! {
        #[test]
        fn is_read_back(header in headers(), after in proptest::collection::vec(any::<u8>(), 0..50)) {
            let mut bytes = header.encode();
            prop_assert_eq!(bytes.len(), header.length());
            bytes.extend(after);
            prop_assert_eq!(Header::decode(&bytes).unwrap(), header);
        }

        #[test]
        fn every_flipped_bit_is_seen(header in headers(), bit in any::<prop::sample::Index>()) {
            let mut bytes = header.encode();
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Header::decode(&bytes).is_err());
        }

        #[test]
        fn any_bytes_are_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Header::decode(&bytes).is_err());
            let mut bytes = bytes;
            if bytes.len() >= 4 {
                bytes[..4].copy_from_slice(&MAGIC);
                prop_assert!(Header::decode(&bytes).is_err());
            }
        }
    }
}
