//! The end of a sealed pack: the list of its records. Pure.

use begat_schemas::{Digest, PackId};

use super::record::{HEADER_BYTES, Kind, array_at, u32_at};
use super::{PACK_HEADER, PackNumber};

/// What the footer begins with.
const MAGIC: [u8; 8] = *b"begattrl";
/// The version of the trailer's layout.
const VERSION: u32 = 1;
/// One record in the trailer.
const ENTRY_BYTES: usize = 52;
/// The last bytes of a pack: magic, version, number of records, length of the list, zeros, and the digest of all that.
pub(crate) const FOOTER_BYTES: usize = 64;
/// What the digest covers of the footer.
const FOOTER_CHECKED: usize = 32;

/// Where a record lies, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub kind: Kind,
    /// The tag of its encoding.
    pub encoding: u8,
    pub id: Digest,
    pub offset: u32,
    /// Bytes of header and payload.
    pub length: u32,
    /// Bytes of what it stands for.
    pub content: u64,
}

/// Where a record lies in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    pub pack: PackNumber,
    pub offset: u32,
    pub length: u32,
    pub content: u64,
}

impl Entry {
    /// Its place, in the pack of that number.
    pub(crate) fn location(&self, pack: PackNumber) -> Location {
        Location {
            pack,
            offset: self.offset,
            length: self.length,
            content: self.content,
        }
    }
}

/// Why a pack's end is no trailer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TrailerError {
    #[error("it does not end in a trailer")]
    Absent,
    #[error("its trailer has version {0}, which this begat does not know")]
    Version(u32),
    #[error("its trailer is corrupt")]
    Check,
    #[error("its trailer lists records that overlap or lie outside of it")]
    Places,
}

/// The trailer of a pack with these records, in the order of their places, and the pack's id.
pub(crate) fn encode(entries: &[Entry]) -> (Vec<u8>, PackId) {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES + FOOTER_BYTES);
    for entry in entries {
        bytes.extend_from_slice(&[entry.kind.tag(), entry.encoding, 0, 0]);
        bytes.extend_from_slice(&entry.offset.to_le_bytes());
        bytes.extend_from_slice(&entry.length.to_le_bytes());
        bytes.extend_from_slice(&entry.content.to_le_bytes());
        bytes.extend_from_slice(entry.id.as_bytes());
    }
    let list = bytes.len() as u64;
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&list.to_le_bytes());
    bytes.extend_from_slice(&[0; 8]);
    let id = PackId::of(&bytes);
    bytes.extend_from_slice(id.as_bytes());
    (bytes, id)
}

/// How many bytes the trailer has whose footer this is.
pub(crate) fn length(footer: &[u8; FOOTER_BYTES]) -> Result<u64, TrailerError> {
    if footer[..8] != MAGIC {
        return Err(TrailerError::Absent);
    }
    let version = u32_at(footer, 8);
    if version != VERSION {
        return Err(TrailerError::Version(version));
    }
    let list = u64::from_le_bytes(array_at(footer, 16));
    if list != u64::from(u32_at(footer, 12)) * ENTRY_BYTES as u64 {
        return Err(TrailerError::Check);
    }
    Ok(list + FOOTER_BYTES as u64)
}

/// The records that `trailer`, the last bytes of a pack of `pack_length` bytes, lists, and the pack's id.
pub(crate) fn decode(
    trailer: &[u8],
    pack_length: u64,
) -> Result<(Vec<Entry>, PackId), TrailerError> {
    let footer: &[u8; FOOTER_BYTES] = trailer.last_chunk().ok_or(TrailerError::Absent)?;
    if length(footer)? != trailer.len() as u64 {
        return Err(TrailerError::Check);
    }
    let (list, footer) = trailer.split_at(trailer.len() - FOOTER_BYTES);
    let id = PackId::of(&trailer[..list.len() + FOOTER_CHECKED]);
    if id.as_bytes()[..] != footer[FOOTER_CHECKED..] {
        return Err(TrailerError::Check);
    }
    let end = pack_length
        .checked_sub(trailer.len() as u64)
        .ok_or(TrailerError::Places)?;
    let entries: Option<Vec<Entry>> = list.chunks_exact(ENTRY_BYTES).map(decode_entry).collect();
    let entries = entries.ok_or(TrailerError::Check)?;
    check_places(&entries, end)?;
    Ok((entries, id))
}

fn decode_entry(bytes: &[u8]) -> Option<Entry> {
    Some(Entry {
        kind: Kind::from_tag(bytes[0])?,
        encoding: bytes[1],
        id: Digest::from_bytes(array_at(bytes, 20)),
        offset: u32_at(bytes, 4),
        length: u32_at(bytes, 8),
        content: u64::from_le_bytes(array_at(bytes, 12)),
    })
}

fn check_places(entries: &[Entry], end: u64) -> Result<(), TrailerError> {
    let mut at = PACK_HEADER.len() as u64;
    for entry in entries {
        let sound = u64::from(entry.offset) >= at && entry.length as usize >= HEADER_BYTES;
        if !sound {
            return Err(TrailerError::Places);
        }
        at = u64::from(entry.offset) + u64::from(entry.length);
    }
    // There may be gaps: what a scan of a damaged pack skipped.
    if at <= end {
        Ok(())
    } else {
        Err(TrailerError::Places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries(lengths: &[u32]) -> (Vec<Entry>, u64) {
        let mut offset = PACK_HEADER.len() as u32;
        let mut entries = Vec::new();
        for (at, length) in lengths.iter().enumerate() {
            entries.push(Entry {
                kind: Kind::ALL[at % 3],
                encoding: (at % 3) as u8,
                id: Digest::of(&at.to_le_bytes()),
                offset,
                length: *length,
                content: u64::from(*length) * 7,
            });
            offset += length;
        }
        (entries, u64::from(offset))
    }

    proptest! {
        #[test]
        fn is_read_back(lengths in proptest::collection::vec(HEADER_BYTES as u32..100_000, 0..40)) {
            let (entries, end) = entries(&lengths);
            let (trailer, id) = encode(&entries);
            let footer = trailer.last_chunk().unwrap();
            prop_assert_eq!(length(footer).unwrap(), trailer.len() as u64);
            let pack_length = end + trailer.len() as u64;
            prop_assert_eq!(decode(&trailer, pack_length).unwrap(), (entries, id));
            prop_assert!(lengths.is_empty() || decode(&trailer, pack_length - 1).is_err());
        }

        #[test]
        fn every_flipped_bit_is_seen(count in 0..5usize, bit in any::<prop::sample::Index>()) {
            let (entries, end) = entries(&vec![100; count]);
            let (mut trailer, _) = encode(&entries);
            let bit = bit.index(trailer.len() * 8);
            trailer[bit / 8] ^= 1 << (bit % 8);
            let pack_length = end + trailer.len() as u64;
            prop_assert!(decode(&trailer, pack_length).is_err());
        }

        #[test]
        fn any_bytes_are_an_answer(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            count in 0..6u32,
            pack_length in any::<u64>(),
        ) {
            prop_assert!(decode(&bytes, pack_length).is_err());
            if let Some(at) = bytes.len().checked_sub(FOOTER_BYTES) {
                bytes[at..at + 8].copy_from_slice(&MAGIC);
                bytes[at + 8..at + 12].copy_from_slice(&VERSION.to_le_bytes());
                bytes[at + 12..at + 16].copy_from_slice(&count.to_le_bytes());
                prop_assert!(decode(&bytes, pack_length).is_err());
            }
        }
    }
}
