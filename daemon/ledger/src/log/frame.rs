//! How the log's lines are made: a checksum, a space, one JSON object, a newline.
//!
//! JSON has no bare newline, so a line is a frame, and a person can read the log with `cut -c18-`. The checksum is the
//! first half of what a digest is elsewhere; a line that a crash tore does not bear its own.

use begat_schemas::Digest;

/// Digits of the checksum.
const CHECKSUM_DIGITS: usize = 16;

/// The line that holds `json`.
pub(crate) fn encode(json: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(json.len() + CHECKSUM_DIGITS + 2);
    line.extend_from_slice(checksum(json).as_bytes());
    line.push(b' ');
    line.extend_from_slice(json);
    line.push(b'\n');
    line
}

fn checksum(json: &[u8]) -> String {
    Digest::of(json).to_hex()[..CHECKSUM_DIGITS].to_owned()
}

/// What stands in a file of the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scanned<'a> {
    /// The JSON of each whole line, with the offset after the line.
    pub frames: Vec<(&'a [u8], u64)>,
    /// Up to where every line is whole.
    pub valid: u64,
    /// Whether a whole line follows one that is not: then the file was not torn but damaged, since a line is only
    /// written once the one before it is durable.
    pub damaged: bool,
}

/// Reads lines until one is not whole.
pub(crate) fn scan(bytes: &[u8]) -> Scanned<'_> {
    let mut scanned = Scanned {
        frames: Vec::new(),
        valid: 0,
        damaged: false,
    };
    let mut torn = false;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match decode(line) {
            Some(json) if !torn => {
                scanned.valid += line.len() as u64;
                scanned.frames.push((json, scanned.valid));
            }
            Some(_) => scanned.damaged = true,
            None => torn = true,
        }
    }
    scanned
}

fn decode(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, rest) = line.split_at_checked(CHECKSUM_DIGITS)?;
    let json = rest.strip_prefix(b" ")?;
    (checksum(json).as_bytes() == sum).then_some(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(frames: &[Vec<u8>]) -> Vec<u8> {
        frames.iter().flat_map(|json| encode(json)).collect()
    }

    fn json() -> impl Strategy<Value = Vec<u8>> {
        "[ -~]{0,40}".prop_map(String::into_bytes)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(frames in prop::collection::vec(json(), 0..8)) {
            let bytes = file(&frames);
            let scanned = scan(&bytes);
            prop_assert_eq!(scanned.valid, bytes.len() as u64);
            let found: Vec<_> = scanned.frames.iter().map(|(json, _)| json.to_vec()).collect();
            prop_assert_eq!(found, frames);
        }

        #[test]
        fn a_cut_file_keeps_its_whole_lines(frames in prop::collection::vec(json(), 1..6), cut in any::<prop::sample::Index>()) {
            let bytes = file(&frames);
            let cut = cut.index(bytes.len());
            let scanned = scan(&bytes[..cut]);
            let whole = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
            prop_assert_eq!(scanned.frames.len(), whole);
            prop_assert!(!scanned.damaged);
        }

        #[test]
        fn a_flipped_bit_is_seen(frames in prop::collection::vec(json(), 1..6), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut bytes = file(&frames);
            let at = at.index(bytes.len());
            let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count();
            bytes[at] ^= 1 << bit;
            let scanned = scan(&bytes);
            prop_assert_eq!(scanned.frames.len(), line);
            let last = line + 1 == frames.len();
            // A newline that is gone joins two lines, so that the one after the next is the first whole one.
            prop_assert!(scanned.damaged != last || bytes[at] ^ (1 << bit) == b'\n');
        }
    }
}
