//! Storing blobs.
//!
//! The caller's thread reads, cuts, hashes (blob and chunk in one go, while the bytes are in the cache) and asks whether the
//! chunk is known; only new chunks go to the encoding threads, which append. So a file that is already there costs a read and
//! two hashes, and memory is bounded by the few chunks under way.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use begat_schemas::{BlobDigest, ChunkId, Digest};
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::{Inner, Store};
use crate::chunk::{Cut, Cutter};
use crate::encoding::{Encoder, Encoding, Hint, PLANES_MAX};
use crate::error::Error;
use crate::pack::record::{Header, Kind};

/// Blobs up to this length are stored by the caller's thread alone.
const INLINE_BYTES: usize = 1 << 20;

/// Bytes asked of the reader at once.
const READ_BYTES: usize = 1 << 20;

/// What a caller knows of a blob before it is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct PutBlob<'a> {
    /// What it is called, for errors.
    pub name: Option<&'a str>,
    /// How long it probably is.
    pub size: Option<u64>,
    /// What its digest must be: if it is not, the blob is not stored.
    pub expected: Option<BlobDigest>,
}

/// A blob that was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBlob {
    /// Its digest.
    pub digest: BlobDigest,
    /// Its length in bytes.
    pub size: u64,
    /// Whether it was there before.
    pub already_stored: bool,
    /// Bytes of the chunks that were not there before.
    pub new_bytes: u64,
}

impl Store {
    /// Stores what `reader` gives. Durable after the next [`Store::commit`].
    pub fn put_blob(&self, reader: &mut dyn Read, put: &PutBlob<'_>) -> Result<StoredBlob, Error> {
        let _shared = self.inner.work.read();
        self.inner.put_blob(reader, put)
    }

    /// Stores `bytes`. Durable after the next [`Store::commit`].
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<BlobDigest, Error> {
        let put = PutBlob {
            size: Some(bytes.len() as u64),
            ..PutBlob::default()
        };
        Ok(self.put_blob(&mut &*bytes, &put)?.digest)
    }
}

/// Takes a new chunk.
type StoreChunk<'a> = dyn FnMut(ChunkId, Hint, &[u8]) -> Result<(), Error> + 'a;

/// A new chunk on its way to an encoder.
struct Job {
    id: ChunkId,
    hint: Hint,
    plain: Vec<u8>,
}

/// A blob read to its end, its chunks on their way.
struct ReadBlob {
    digest: BlobDigest,
    size: u64,
    list: Vec<u8>,
    new_bytes: u64,
}

impl Inner {
    fn put_blob(&self, reader: &mut dyn Read, put: &PutBlob<'_>) -> Result<StoredBlob, Error> {
        let began = Instant::now();
        let mut source = Source::new(reader, put);
        source.fill(INLINE_BYTES + 1)?;
        let read = if source.at_end {
            self.put_inline(&mut source)?
        } else {
            self.put_pipelined(&mut source)?
        };
        self.ingested.add(read.size, began);
        if let Some(expected) = put.expected.filter(|expected| *expected != read.digest) {
            return Err(Error::DigestMismatch {
                expected,
                found: read.digest,
            });
        }
        let already_stored = self.knows(Kind::Blob, read.digest.digest())?;
        if !already_stored {
            self.put_list(&read)?;
        }
        Ok(StoredBlob {
            digest: read.digest,
            size: read.size,
            already_stored,
            new_bytes: read.new_bytes,
        })
    }

    fn put_inline(&self, source: &mut Source<'_>) -> Result<ReadBlob, Error> {
        let idle = self.idle_encoder.lock().take();
        let mut encoder = idle.unwrap_or_else(Encoder::new);
        let mut record = Vec::new();
        let read = self.read_chunks(source, &mut |id, hint, plain| {
            let content = plain.len() as u64;
            let header = build_record(
                &mut encoder,
                Kind::Chunk,
                id.digest(),
                plain,
                content,
                hint,
                &mut record,
            );
            self.append(&header, &record)
        });
        *self.idle_encoder.lock() = Some(encoder);
        read
    }

    fn put_pipelined(&self, source: &mut Source<'_>) -> Result<ReadBlob, Error> {
        let (send, jobs) = bounded::<Job>(self.threads);
        let (give_back, spare) = bounded::<Vec<u8>>(self.threads * 2 + 1);
        let failure = Failure::default();
        let read = std::thread::scope(|scope| {
            for _ in 0..self.threads {
                let (jobs, give_back, failure) = (jobs.clone(), give_back.clone(), &failure);
                scope.spawn(move || self.encode_jobs(&jobs, &give_back, failure));
            }
            drop(jobs);
            let read = self.read_chunks(source, &mut |id, hint, plain| {
                let mut buffer = spare.try_recv().unwrap_or_default();
                buffer.clear();
                buffer.extend_from_slice(plain);
                let plain = buffer;
                failure.check()?;
                // The encoders leave only when this end is dropped.
                let _received = send.send(Job { id, hint, plain });
                Ok(())
            });
            drop(send);
            read
        });
        failure.into_result()?;
        read
    }

    /// One encoder's work. After a failure it only drains, so that the reader is never left waiting.
    fn encode_jobs(&self, jobs: &Receiver<Job>, give_back: &Sender<Vec<u8>>, failure: &Failure) {
        let mut encoder = Encoder::new();
        let mut record = Vec::new();
        for Job { id, hint, plain } in jobs {
            if failure.failed.load(Ordering::Relaxed) {
                continue;
            }
            let content = plain.len() as u64;
            let header = build_record(
                &mut encoder,
                Kind::Chunk,
                id.digest(),
                &plain,
                content,
                hint,
                &mut record,
            );
            if let Err(error) = self.append(&header, &record) {
                failure.set(error);
            }
            let _kept_or_freed = give_back.try_send(plain);
        }
    }

    /// Reads `source` to its end; gives each new chunk to `store`.
    fn read_chunks(
        &self,
        source: &mut Source<'_>,
        store: &mut StoreChunk<'_>,
    ) -> Result<ReadBlob, Error> {
        let mut cutter = Cutter::new();
        let mut hasher = blake3::Hasher::new();
        let mut seen = HashSet::new();
        let mut read = ReadBlob {
            digest: BlobDigest::of(&[]),
            size: 0,
            list: Vec::new(),
            new_bytes: 0,
        };
        loop {
            match cutter.next(source.ahead(), source.at_end) {
                Cut::End => break,
                Cut::Need(bytes) => source.fill(bytes)?,
                Cut::Chunk { length, hint } => {
                    let plain = &source.ahead()[..length];
                    hasher.update(plain);
                    let id = ChunkId::of(plain);
                    if seen.insert(id) && !self.knows(Kind::Chunk, id.digest())? {
                        store(id, hint, plain)?;
                        read.new_bytes += length as u64;
                    }
                    read.list.extend_from_slice(id.as_bytes());
                    read.list.extend_from_slice(&(length as u32).to_le_bytes());
                    read.size += length as u64;
                    source.consume(length);
                }
            }
        }
        read.digest = Digest::from(hasher.finalize()).into();
        Ok(read)
    }

    fn put_list(&self, read: &ReadBlob) -> Result<(), Error> {
        let mut plain = read.list.clone();
        plain.extend_from_slice(Digest::of(&read.list).as_bytes());
        let mut record = Vec::new();
        let id = read.digest.digest();
        let header = build_record(
            &mut Dense,
            Kind::Blob,
            id,
            &plain,
            read.size,
            Hint::Dense,
            &mut record,
        );
        self.append(&header, &record)
    }

    /// Appends the record that makes a blob a tree.
    pub(crate) fn put_tree_mark(&self, id: Digest, content: u64) -> Result<(), Error> {
        let mut record = Vec::new();
        let header = build_record(
            &mut Dense,
            Kind::Tree,
            id,
            &[],
            content,
            Hint::Dense,
            &mut record,
        );
        self.append(&header, &record)
    }
}

/// What turns plain bytes into a payload.
trait Encode {
    fn encode(&mut self, plain: &[u8], hint: Hint, out: &mut Vec<u8>) -> Encoding;
}

impl Encode for Encoder {
    fn encode(&mut self, plain: &[u8], hint: Hint, out: &mut Vec<u8>) -> Encoding {
        Encoder::encode(self, plain, hint, out)
    }
}

/// Keeps bytes as they are: digests do not compress.
struct Dense;

impl Encode for Dense {
    fn encode(&mut self, plain: &[u8], _: Hint, out: &mut Vec<u8>) -> Encoding {
        out.extend_from_slice(plain);
        Encoding::Raw
    }
}

/// Room left before a payload for the longest header, so that the payload is written once, in its place.
const HEADER_ROOM: usize = crate::pack::record::HEADER_BYTES + PLANES_MAX * 5;

/// Makes `record` the whole record of `plain`.
fn build_record(
    encoder: &mut dyn Encode,
    kind: Kind,
    id: Digest,
    plain: &[u8],
    content: u64,
    hint: Hint,
    record: &mut Vec<u8>,
) -> Header {
    record.clear();
    record.resize(HEADER_ROOM, 0);
    let encoding = encoder.encode(plain, hint, record);
    let header = Header {
        kind,
        id,
        encoding,
        plain: plain.len() as u32,
        payload: (record.len() - HEADER_ROOM) as u32,
        content,
    };
    let bytes = header.encode();
    let start = HEADER_ROOM - bytes.len();
    record[start..HEADER_ROOM].copy_from_slice(&bytes);
    record.drain(..start);
    header
}

/// The first error of any encoder.
#[derive(Default)]
struct Failure {
    failed: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl Failure {
    fn set(&self, error: Error) {
        self.error.lock().get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), Error> {
        match self.failed.load(Ordering::Relaxed) {
            false => Ok(()),
            true => self.take(),
        }
    }

    fn take(&self) -> Result<(), Error> {
        self.error.lock().take().map_or(Ok(()), Err)
    }

    fn into_result(self) -> Result<(), Error> {
        self.take()
    }
}

/// A reader with the bytes that are at hand.
struct Source<'a> {
    reader: &'a mut dyn Read,
    name: Option<&'a str>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    at_end: bool,
}

impl<'a> Source<'a> {
    fn new(reader: &'a mut dyn Read, put: &PutBlob<'a>) -> Self {
        let small = put.size.is_some_and(|size| size <= INLINE_BYTES as u64);
        let bytes = match put.size {
            Some(size) if small => size as usize + 1,
            _ => 2 * READ_BYTES,
        };
        Self {
            reader,
            name: put.name,
            buffer: vec![0; bytes],
            start: 0,
            end: 0,
            at_end: false,
        }
    }

    fn ahead(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
    }

    /// Reads until `wanted` bytes are at hand or the end is reached.
    fn fill(&mut self, wanted: usize) -> Result<(), Error> {
        if self.start + wanted > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        while self.end - self.start < wanted && !self.at_end {
            if self.end == self.buffer.len() {
                let grown = (self.buffer.len() * 2).clamp(64, wanted.max(64) + READ_BYTES);
                self.buffer.resize(grown.max(self.end + 1), 0);
            }
            let room = self.end..self.buffer.len().min(self.end + READ_BYTES);
            match self.reader.read(&mut self.buffer[room]) {
                Ok(0) => self.at_end = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.failed(source)),
            }
        }
        Ok(())
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Reader {
            name: self.name.unwrap_or("the bytes to be stored").to_owned(),
            source,
        }
    }
}
