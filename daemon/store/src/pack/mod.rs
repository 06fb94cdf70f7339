//! Pack files: where all bytes of the store are. FORMAT.md has the layout.
//!
//! A pack only grows. Each record says by itself what it is, so that a scan of a pack that was never sealed finds all there is;
//! a sealed pack ends in a trailer that lists its records, so that the index is made afresh without reading the rest.

pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod recover;
pub(crate) mod trailer;
pub(crate) mod writer;

use std::path::{Path, PathBuf};

/// A pack is sealed when it is this long.
pub(crate) const PACK_BYTES: u64 = 64 << 20;

/// What a pack file begins with: 8 bytes of magic, then the version and four zero bytes.
pub(crate) const PACK_HEADER: [u8; 16] = *b"begatpak\x01\0\0\0\0\0\0\0";

/// A pack's number in its store. Numbers are never used twice.
pub(crate) type PackNumber = u32;

/// Whether a pack may still grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackState {
    Open,
    Sealed,
}

/// The pack's file in `folder`.
pub(crate) fn path(folder: &Path, number: PackNumber, state: PackState) -> PathBuf {
    let ending = match state {
        PackState::Open => "open",
        PackState::Sealed => "pack",
    };
    folder.join(format!("{number:08}.{ending}"))
}

/// What a file of that name is, if it is a pack.
pub(crate) fn parse_name(name: &str) -> Option<(PackNumber, PackState)> {
    let (number, ending) = name.split_once('.')?;
    let state = match ending {
        "open" => PackState::Open,
        "pack" => PackState::Sealed,
        _ => return None,
    };
    let canonical = number.len() >= 8 && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|_| canonical)?;
    Some((number, state))
}

/// The name under which the index keeps a pack's position, the same before and after sealing.
pub(crate) fn source_name(number: PackNumber) -> String {
    format!("{number:08}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for (number, state) in [
            (1, PackState::Open),
            (99_999_999, PackState::Sealed),
            (u32::MAX, PackState::Open),
        ] {
            let path = path(Path::new("packs"), number, state);
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(parse_name(name), Some((number, state)));
        }
        for name in [
            "1.pack",
            "00000001.new",
            "0000000x.pack",
            "+0000001.pack",
            "00000001",
        ] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }
}
