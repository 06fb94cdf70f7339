//! Reading records of packs, verified.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use begat_schemas::{Digest, PackId};
use parking_lot::Mutex;

use super::record::{EXTENSION_BYTES_MAX, HEADER_BYTES, Header, Kind};
use super::trailer::{self, Entry, FOOTER_BYTES, Location};
use super::{PACK_HEADER, PackNumber, PackState};
use crate::encoding::Decoder;
use crate::error::Error;
use crate::fs::{At, Fs, FsFile, Open, read_exact_at};

/// Packs kept open for reading.
const OPEN_FILES_MAX: usize = 64;

/// The packs of a store, as files to read from.
#[derive(Debug)]
pub(crate) struct Packs {
    fs: Arc<dyn Fs>,
    folder: PathBuf,
    files: Mutex<HashMap<PackNumber, Arc<dyn FsFile>>>,
}

/// Buffers and contexts of one thread that reads.
pub(crate) struct Scratch {
    record: Vec<u8>,
    decoder: Decoder,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self {
            record: Vec::new(),
            decoder: Decoder::new(),
        }
    }
}

impl Packs {
    pub(crate) fn new(fs: Arc<dyn Fs>, folder: PathBuf) -> Self {
        Self {
            fs,
            folder,
            files: Mutex::new(HashMap::new()),
        }
    }

    /// Makes a pack that is being written known by its handle.
    pub(crate) fn keep(&self, number: PackNumber, file: Arc<dyn FsFile>) {
        let mut files = self.files.lock();
        if files.len() >= OPEN_FILES_MAX {
            files.clear();
        }
        files.insert(number, file);
    }

    /// Closes a pack that is about to be removed.
    pub(crate) fn forget(&self, number: PackNumber) {
        self.files.lock().remove(&number);
    }

    fn file(&self, number: PackNumber) -> Result<Arc<dyn FsFile>, Error> {
        if let Some(file) = self.files.lock().get(&number) {
            return Ok(Arc::clone(file));
        }
        let file = self.open(number)?;
        self.keep(number, Arc::clone(&file));
        Ok(file)
    }

    /// A pack is sealed most of the time, and may be while one looks for it.
    fn open(&self, number: PackNumber) -> Result<Arc<dyn FsFile>, Error> {
        for state in [PackState::Sealed, PackState::Open] {
            let path = super::path(&self.folder, number, state);
            match self.fs.open(&path, Open::Read) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => return Ok(other.at("open", &path)?),
            }
        }
        let path = super::path(&self.folder, number, PackState::Sealed);
        Ok(self.fs.open(&path, Open::Read).at("open", &path)?)
    }

    /// The bytes of a whole record, as they are stored.
    pub(crate) fn read_raw(&self, at: Location, record: &mut Vec<u8>) -> Result<(), Error> {
        let path = super::path(&self.folder, at.pack, PackState::Sealed);
        record.resize(at.length as usize, 0);
        let file = self.file(at.pack)?;
        match read_exact_at(&*file, record, u64::from(at.offset)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Error::BadPack {
                path,
                reason: format!(
                    "it ends before byte {}",
                    u64::from(at.offset) + u64::from(at.length)
                ),
            }),
            other => Ok(other.at("read", &path)?),
        }
    }

    /// Decodes the record of `kind` and `id` at `at` into `plain` and verifies it.
    pub(crate) fn read(
        &self,
        kind: Kind,
        id: Digest,
        at: Location,
        scratch: &mut Scratch,
        plain: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let Scratch { record, decoder } = scratch;
        self.read_raw(at, record)?;
        verify(record, kind, id, decoder, plain).map_err(|reason| Error::Damaged {
            object: format!("{} {id}", kind.word()),
            reason,
            pack: at.pack,
            offset: u64::from(at.offset),
        })
    }
}

/// Decodes the record in `record` and checks that it is what it should be; what is wrong, if not.
pub(crate) fn verify(
    record: &[u8],
    kind: Kind,
    id: Digest,
    decoder: &mut Decoder,
    plain: &mut Vec<u8>,
) -> Result<(), String> {
    let header = Header::decode(record).map_err(|error| error.to_string())?;
    if header.kind != kind || header.id != id {
        return Err(format!(
            "{} {} stands in its place",
            header.kind.word(),
            header.id
        ));
    }
    let payload = record
        .get(header.length()..header.record_length())
        .ok_or("its record is cut")?;
    decoder
        .decode(&header.encoding, payload, header.plain as usize, plain)
        .map_err(|error| error.to_string())?;
    match kind {
        Kind::Chunk if Digest::of(plain) != id => {
            Err(format!("its bytes have digest {}", Digest::of(plain)))
        }
        Kind::Blob => take_list_check(plain),
        Kind::Tree if !plain.is_empty() => Err("its record is not empty".to_owned()),
        _ => Ok(()),
    }
}

/// A list of chunks is named by the blob, not by itself, so it carries its own digest at its end.
fn take_list_check(plain: &mut Vec<u8>) -> Result<(), String> {
    let (list, check) = plain
        .split_last_chunk::<32>()
        .ok_or("its list of chunks is too short")?;
    if Digest::of(list).as_bytes() != check {
        return Err("its list of chunks is corrupt".to_owned());
    }
    plain.truncate(plain.len() - 32);
    Ok(())
}

/// The header of the record at `offset` in `file`, or why there is none.
pub(crate) fn read_header(
    file: &dyn FsFile,
    offset: u64,
    end: u64,
) -> io::Result<Result<Header, super::record::RecordError>> {
    let room = (HEADER_BYTES + EXTENSION_BYTES_MAX).min(end.saturating_sub(offset) as usize);
    let mut bytes = vec![0; room];
    read_exact_at(file, &mut bytes, offset)?;
    Ok(Header::decode(&bytes))
}

/// The records of a sealed pack by its trailer.
pub(crate) fn read_trailer(fs: &dyn Fs, path: &Path) -> Result<(Vec<Entry>, PackId), Error> {
    let bad = |reason: String| Error::BadPack {
        path: path.to_owned(),
        reason,
    };
    let file = fs.open(path, Open::Read).at("open", path)?;
    let length = file.len().at("measure", path)?;
    let footer_at = length
        .checked_sub(FOOTER_BYTES as u64)
        .ok_or_else(|| bad("it is too short for a trailer".to_owned()))?;
    let mut start = [0; PACK_HEADER.len()];
    read_exact_at(&*file, &mut start, 0).at("read", path)?;
    if start != PACK_HEADER {
        return Err(bad("it does not begin like a pack of format 1".to_owned()));
    }
    let mut footer = [0; FOOTER_BYTES];
    read_exact_at(&*file, &mut footer, footer_at).at("read", path)?;
    let bytes = trailer::length(&footer).map_err(|error| bad(error.to_string()))?;
    let at = length
        .checked_sub(bytes)
        .ok_or_else(|| bad("its trailer is longer than itself".to_owned()))?;
    let mut bytes = vec![0; bytes as usize];
    read_exact_at(&*file, &mut bytes, at).at("read", path)?;
    trailer::decode(&bytes, length).map_err(|error| bad(error.to_string()))
}
