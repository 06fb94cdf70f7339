//! Reading blobs, verified.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use begat_schemas::{BlobDigest, ChunkId, Digest};

use super::{Inner, Store};
use crate::error::Error;
use crate::pack::reader::Scratch;
use crate::pack::record::Kind;
use crate::pack::trailer::Location;

/// One chunk in the list: id and length.
const CHUNK_BYTES: usize = 36;

/// A chunk of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkRef {
    pub id: ChunkId,
    pub length: u32,
}

/// A blob's chunks in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChunkList {
    pub size: u64,
    pub chunks: Vec<ChunkRef>,
}

/// Reads the list of `blob`, found at `at`; its lengths must add up.
pub(crate) fn decode_list(
    blob: BlobDigest,
    at: Location,
    bytes: &[u8],
) -> Result<ChunkList, Error> {
    let chunks: Vec<ChunkRef> = bytes
        .chunks_exact(CHUNK_BYTES)
        .map(|bytes| {
            let (id, length) = bytes.split_at(32);
            let id: [u8; 32] = id.try_into().expect("32 of 36 bytes");
            let length: [u8; 4] = length.try_into().expect("4 of 36 bytes");
            ChunkRef {
                id: Digest::from_bytes(id).into(),
                length: u32::from_le_bytes(length),
            }
        })
        .collect();
    let size = chunks.iter().map(|chunk| u64::from(chunk.length)).sum();
    if !bytes.len().is_multiple_of(CHUNK_BYTES) || size != at.content {
        return Err(Error::Damaged {
            object: format!("blob {blob}"),
            reason: format!("its chunks have {size} bytes, it has {}", at.content),
            pack: at.pack,
            offset: u64::from(at.offset),
        });
    }
    Ok(ChunkList { size, chunks })
}

impl Store {
    /// A reader of the blob's bytes. It verifies each chunk before it gives a byte of it, and the whole before its end.
    pub fn get_blob(&self, blob: BlobDigest) -> Result<BlobReader, Error> {
        let list = self.inner.chunk_list(blob)?;
        Ok(BlobReader {
            inner: Arc::clone(&self.inner),
            blob,
            size: list.size,
            chunks: list.chunks.into_iter(),
            hasher: blake3::Hasher::new(),
            scratch: Scratch::new(),
            chunk: Vec::new(),
            given: 0,
            finished: false,
        })
    }

    /// All of a blob, which must not be longer than `limit`.
    pub fn get_bytes(&self, blob: BlobDigest, limit: u64) -> Result<Vec<u8>, Error> {
        let mut reader = self.get_blob(blob)?;
        if reader.size > limit {
            return Err(Error::TooLong {
                blob,
                size: reader.size,
                limit,
            });
        }
        let mut bytes = Vec::with_capacity(reader.size as usize);
        while let Some(chunk) = reader.next_chunk()? {
            bytes.extend_from_slice(chunk);
        }
        Ok(bytes)
    }

    /// The part of a blob that lies in `range`, verified by its chunks; shorter where the blob ends.
    pub fn read_blob_range(&self, blob: BlobDigest, range: Range<u64>) -> Result<Vec<u8>, Error> {
        let list = self.inner.chunk_list(blob)?;
        let mut scratch = Scratch::new();
        let (mut bytes, mut plain) = (Vec::new(), Vec::new());
        let mut start = 0;
        for chunk in list.chunks {
            let end = start + u64::from(chunk.length);
            let from = range.start.clamp(start, end);
            let to = range.end.clamp(start, end);
            if from < to {
                self.inner
                    .read_chunk(blob, chunk, &mut scratch, &mut plain)?;
                bytes.extend_from_slice(&plain[(from - start) as usize..(to - start) as usize]);
            }
            start = end;
        }
        Ok(bytes)
    }
}

impl Inner {
    pub(super) fn chunk_list(&self, blob: BlobDigest) -> Result<ChunkList, Error> {
        let _shared = self.work.read();
        self.chunk_list_alone(blob)
    }

    /// For gc, which has the store for itself.
    pub(crate) fn chunk_list_alone(&self, blob: BlobDigest) -> Result<ChunkList, Error> {
        let at = self
            .locate(Kind::Blob, blob.digest())?
            .ok_or(Error::NoBlob { blob })?;
        let mut list = Vec::new();
        self.packs.read(
            Kind::Blob,
            blob.digest(),
            at,
            &mut Scratch::new(),
            &mut list,
        )?;
        decode_list(blob, at, &list)
    }

    fn read_chunk(
        &self,
        blob: BlobDigest,
        chunk: ChunkRef,
        scratch: &mut Scratch,
        plain: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let began = Instant::now();
        let _shared = self.work.read();
        self.read_chunk_alone(blob, chunk, scratch, plain)?;
        self.restored.add(plain.len() as u64, began);
        Ok(())
    }

    /// For gc, which has the store for itself.
    pub(crate) fn read_chunk_alone(
        &self,
        blob: BlobDigest,
        chunk: ChunkRef,
        scratch: &mut Scratch,
        plain: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let id = chunk.id.digest();
        let at = self.locate(Kind::Chunk, id)?.ok_or(Error::NoChunk {
            blob,
            chunk: chunk.id,
        })?;
        self.packs.read(Kind::Chunk, id, at, scratch, plain)?;
        if plain.len() == chunk.length as usize {
            return Ok(());
        }
        Err(Error::Damaged {
            object: format!("blob {blob}"),
            reason: format!(
                "chunk {} has {} bytes, not {}",
                chunk.id,
                plain.len(),
                chunk.length
            ),
            pack: at.pack,
            offset: u64::from(at.offset),
        })
    }
}

/// Reads a blob. Errors are [`Error`]s inside of `io::Error`.
pub struct BlobReader {
    inner: Arc<Inner>,
    blob: BlobDigest,
    size: u64,
    chunks: std::vec::IntoIter<ChunkRef>,
    hasher: blake3::Hasher,
    scratch: Scratch,
    chunk: Vec<u8>,
    given: usize,
    finished: bool,
}

impl std::fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobReader")
            .field("blob", &self.blob)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl BlobReader {
    /// The blob's length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next verified bytes, as many as lie together; `None` when all were given and the whole is what it should be.
    pub fn next_chunk(&mut self) -> Result<Option<&[u8]>, Error> {
        self.given = self.chunk.len();
        let Some(chunk) = self.chunks.next() else {
            self.check_whole()?;
            return Ok(None);
        };
        self.chunk.clear();
        self.given = 0;
        self.inner
            .read_chunk(self.blob, chunk, &mut self.scratch, &mut self.chunk)
            .inspect_err(|_| self.chunk.clear())?;
        self.hasher.update(&self.chunk);
        self.given = self.chunk.len();
        Ok(Some(&self.chunk))
    }

    fn check_whole(&mut self) -> Result<(), Error> {
        if self.finished {
            return Ok(());
        }
        let found = BlobDigest::from(Digest::from(self.hasher.finalize()));
        if found != self.blob {
            return Err(Error::BlobDiffers {
                blob: self.blob,
                found,
            });
        }
        self.finished = true;
        Ok(())
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.chunk.len() {
            if self.next_chunk()?.is_none() {
                return Ok(0);
            }
            self.given = 0;
        }
        let rest = &self.chunk[self.given..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}
