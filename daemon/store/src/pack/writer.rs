//! Growing a pack and sealing it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::Header;
use super::recover::scan_headers;
use super::trailer::{self, Entry, Location};
use super::{PACK_HEADER, PackNumber, PackState};
use crate::fs::{At, Fs, FsError, FsFile, Open, append_all};

/// A pack that grows.
#[derive(Debug)]
pub(crate) struct OpenPack {
    number: PackNumber,
    path: PathBuf,
    file: Arc<dyn FsFile>,
    end: u64,
    /// The records from `listed_from` on; those before it, of an earlier process, are looked up when the pack is sealed.
    entries: Vec<Entry>,
    listed_from: u64,
}

/// Why a record could not be appended.
#[derive(Debug)]
pub(crate) struct AppendError {
    pub error: FsError,
    /// The pack could not be cut back to its last whole record: it must not grow any more.
    pub torn: bool,
}

impl OpenPack {
    /// A new pack. Its name is durable after the next sync of `folder`, which must come before a record is acknowledged.
    pub(crate) fn create(fs: &dyn Fs, folder: &Path, number: PackNumber) -> Result<Self, FsError> {
        let path = super::path(folder, number, PackState::Open);
        let file = fs.open(&path, Open::CreateNew).at("create", &path)?;
        append_all(&*file, &PACK_HEADER).at("write", &path)?;
        let end = PACK_HEADER.len() as u64;
        Ok(Self {
            number,
            path,
            file,
            end,
            entries: Vec::new(),
            listed_from: end,
        })
    }

    /// A pack of an earlier process that is whole up to its end.
    pub(crate) fn reopen(fs: &dyn Fs, folder: &Path, number: PackNumber) -> Result<Self, FsError> {
        let path = super::path(folder, number, PackState::Open);
        let file = fs.open(&path, Open::Append).at("open", &path)?;
        let end = file.len().at("measure", &path)?;
        Ok(Self {
            number,
            path,
            file,
            end,
            entries: Vec::new(),
            listed_from: end,
        })
    }

    pub(crate) fn number(&self) -> PackNumber {
        self.number
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self) -> &Arc<dyn FsFile> {
        &self.file
    }

    /// Its length in whole records.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Cuts the pack to its first `end` bytes, which are whole records.
    pub(crate) fn cut(&mut self, end: u64) -> Result<(), FsError> {
        self.file.truncate(end).at("cut", &self.path)?;
        self.end = end;
        self.listed_from = end;
        Ok(())
    }

    /// Appends a record, `bytes` being header and payload. When that fails the pack is as before, if it is not torn.
    pub(crate) fn append(
        &mut self,
        header: &Header,
        bytes: &[u8],
    ) -> Result<Location, AppendError> {
        if self.end + bytes.len() as u64 > u64::from(u32::MAX) {
            // Places are 32 bits. Sealing at 64 MiB must have failed many times for a pack to come here.
            let error = FsError {
                action: "append to",
                path: self.path.clone(),
                source: std::io::ErrorKind::FileTooLarge.into(),
            };
            return Err(AppendError { error, torn: false });
        }
        self.append_bytes(bytes)?;
        let entry = Entry {
            kind: header.kind,
            encoding: header.encoding.tag(),
            id: header.id,
            offset: self.end as u32,
            length: bytes.len() as u32,
            content: header.content,
        };
        self.entries.push(entry);
        self.end += bytes.len() as u64;
        Ok(entry.location(self.number))
    }

    /// Ends the pack with its trailer. When that fails the pack is as before, if it is not torn.
    pub(crate) fn finish(mut self) -> Result<FinishedPack, Box<(Self, AppendError)>> {
        let mut entries = match self.entries_before() {
            Ok(entries) => entries,
            Err(error) => return Err(Box::new((self, AppendError { error, torn: false }))),
        };
        entries.extend_from_slice(&self.entries);
        let (trailer, _id) = trailer::encode(&entries);
        match self.append_bytes(&trailer) {
            Ok(()) => Ok(FinishedPack {
                length: self.end + trailer.len() as u64,
                pack: self,
            }),
            Err(error) => Err(Box::new((self, error))),
        }
    }

    fn append_bytes(&mut self, bytes: &[u8]) -> Result<(), AppendError> {
        append_all(&*self.file, bytes)
            .at("append to", &self.path)
            .map_err(|error| AppendError {
                torn: self.file.truncate(self.end).is_err(),
                error,
            })
    }

    fn entries_before(&self) -> Result<Vec<Entry>, FsError> {
        let from = PACK_HEADER.len() as u64;
        let scan = scan_headers(&*self.file, from, self.listed_from).at("read", &self.path)?;
        Ok(scan.entries)
    }
}

/// A pack with its trailer, which is still to be made durable.
#[derive(Debug)]
pub(crate) struct FinishedPack {
    pack: OpenPack,
    length: u64,
}

impl FinishedPack {
    /// Syncs the pack and gives it its final name; all of it is durable when this returns.
    pub(crate) fn seal(self, fs: &dyn Fs, folder: &Path) -> Result<SealedPack, FsError> {
        let Self { pack, length } = self;
        pack.file.sync().at("sync", &pack.path)?;
        let sealed = super::path(folder, pack.number, PackState::Sealed);
        fs.rename(&pack.path, &sealed).at("rename", &pack.path)?;
        fs.sync_dir(folder).at("sync", folder)?;
        Ok(SealedPack {
            number: pack.number,
            length,
        })
    }
}

/// The entry of a record found at `offset`.
pub(crate) fn entry_of(header: &Header, offset: u64) -> Entry {
    Entry {
        kind: header.kind,
        encoding: header.encoding.tag(),
        id: header.id,
        offset: offset as u32,
        length: header.record_length() as u32,
        content: header.content,
    }
}

/// A pack that will not change any more.
#[derive(Debug)]
pub(crate) struct SealedPack {
    pub number: PackNumber,
    pub length: u64,
}
