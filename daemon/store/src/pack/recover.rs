//! What is whole in a pack that has no trailer to say so.
//!
//! A torn or rotten record costs itself only: the scan goes on at the next place where a sound header stands.

use std::io;

use super::PACK_HEADER;
use super::reader::{read_header, verify};
use super::record::{Header, MAGIC};
use super::trailer::Entry;
use super::writer::entry_of;
use crate::encoding::Decoder;
use crate::fs::{FsFile, read_exact_at};

/// Bytes looked at together in search of a header.
const WINDOW_BYTES: usize = 64 << 10;

/// The records of a piece of a pack.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub entries: Vec<Entry>,
    /// What is no whole record, in words.
    pub skipped: Vec<String>,
}

/// The records between `from` and `end` that are whole: decoded and verified.
pub(crate) fn scan_verified(file: &dyn FsFile, from: u64, end: u64) -> io::Result<Scan> {
    let mut decoder = Decoder::new();
    let (mut record, mut plain) = (Vec::new(), Vec::new());
    scan(file, from, end, &mut |at, header| {
        record.resize(header.record_length(), 0);
        read_exact_at(file, &mut record, at)?;
        Ok(verify(&record, header.kind, header.id, &mut decoder, &mut plain).err())
    })
}

/// The records between `from` and `end` by their headers alone.
pub(crate) fn scan_headers(file: &dyn FsFile, from: u64, end: u64) -> io::Result<Scan> {
    scan(file, from, end, &mut |_, _| Ok(None))
}

/// Asks `fault` what is wrong with each record that has a sound header.
type Fault<'a> = dyn FnMut(u64, &Header) -> io::Result<Option<String>> + 'a;

fn scan(file: &dyn FsFile, from: u64, end: u64, fault: &mut Fault<'_>) -> io::Result<Scan> {
    let mut found = Scan::default();
    let mut at = from.max(PACK_HEADER.len() as u64);
    while at < end {
        let wrong = match read_header(file, at, end)? {
            Err(error) => error.to_string(),
            Ok(header) if at + header.record_length() as u64 > end => {
                "it ends within a record".to_owned()
            }
            Ok(header) => match fault(at, &header)? {
                None => {
                    found.entries.push(entry_of(&header, at));
                    at += header.record_length() as u64;
                    continue;
                }
                Some(reason) => format!("{} {}: {reason}", header.kind.word(), header.id),
            },
        };
        found.skipped.push(format!("at byte {at}, {wrong}"));
        at = next_header(file, at + 1, end)?.unwrap_or(end);
    }
    Ok(found)
}

/// Where the next sound header begins.
fn next_header(file: &dyn FsFile, from: u64, end: u64) -> io::Result<Option<u64>> {
    let mut at = from;
    let mut window = Vec::new();
    while at + (MAGIC.len() as u64) <= end {
        window.resize(WINDOW_BYTES.min((end - at) as usize), 0);
        read_exact_at(file, &mut window, at)?;
        for (offset, bytes) in window.windows(MAGIC.len()).enumerate() {
            let candidate = at + offset as u64;
            if bytes == MAGIC && read_header(file, candidate, end)?.is_ok() {
                return Ok(Some(candidate));
            }
        }
        // Windows overlap, so that a magic across two of them is seen.
        at += (window.len() - (MAGIC.len() - 1)) as u64;
    }
    Ok(None)
}
