//! Opening a store: format, lock, index, and what an earlier process left unfinished.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use begat_schemas::{BlobDigest, Digest};
use parking_lot::{Mutex, RwLock};

use super::rebuild::{PackFile, list_packs, rebuild_from, sealed_entries};
use super::{
    Counters, Inner, OpenReport, Store, StoreOptions, Writer, decode_list, encode_location,
    index_key,
};
use crate::error::Error;
use crate::fs::{
    At, Fs, FsLock, Open, create_dir_durable, read_file, sync_names_above, write_file_atomic,
};
use crate::index::{Batch, DistrustedSled, Place, Sources};
use crate::pack::reader::{Packs, Scratch};
use crate::pack::record::{Header, Kind};
use crate::pack::recover::scan_verified;
use crate::pack::trailer::Entry;
use crate::pack::writer::OpenPack;
use crate::pack::{PACK_HEADER, PackNumber, PackState, source_name};

/// What the `format` file of a store says.
const FORMAT: &str = "begat-store 1";

/// What sled may cache: chunk look-ups have no locality to speak of, and the daemon must idle small.
const INDEX_CACHE_BYTES: u64 = 8 << 20;

/// Threads that encode in one put, if nothing else is asked for.
const THREADS_MAX: usize = 4;

impl Store {
    /// Opens the store in a folder, created when absent, and mends what an earlier process left unfinished.
    pub fn open(options: StoreOptions) -> Result<(Self, OpenReport), Error> {
        let fs = Arc::clone(&options.fs);
        create_dir_durable(&*fs, &options.folder)?;
        let lock = lock_folder(&*fs, &options.folder)?;
        check_format(&*fs, &options.folder)?;
        let packs_folder = options.folder.join("packs");
        create_dir_durable(&*fs, &packs_folder)?;
        let packs = list_packs(&*fs, &packs_folder)?;
        if packs.is_empty() {
            sync_names_above(&*fs, &packs_folder)?;
        }
        let mut report = OpenReport::default();
        let inner = build(options, packs_folder, lock, &packs, &mut report)?;
        let recovery = Recovery {
            inner: &inner,
            positions: inner.index.positions()?,
            report: &mut report,
        };
        recovery.run(&packs)?;
        let inner = Arc::new(inner);
        Ok((Self { inner }, report))
    }
}

fn lock_folder(fs: &dyn Fs, folder: &Path) -> Result<Box<dyn FsLock>, Error> {
    let path = folder.join("lock");
    let locked = fs.lock(&path).at("lock", &path)?;
    locked.map_err(|holder| Error::Locked {
        folder: folder.to_owned(),
        holder,
    })
}

fn check_format(fs: &dyn Fs, folder: &Path) -> Result<(), Error> {
    let path = folder.join("format");
    match read_file(fs, &path, 1024)? {
        None => Ok(write_file_atomic(
            fs,
            &path,
            format!("{FORMAT}\n").as_bytes(),
        )?),
        Some(text) if text.trim_ascii() == FORMAT.as_bytes() => Ok(()),
        Some(text) => Err(Error::Format {
            path,
            found: String::from_utf8_lossy(text.trim_ascii()).into_owned(),
            expected: FORMAT,
        }),
    }
}

fn build(
    options: StoreOptions,
    packs_folder: PathBuf,
    lock: Box<dyn FsLock>,
    packs: &[PackFile],
    report: &mut OpenReport,
) -> Result<Inner, Error> {
    let StoreOptions {
        folder,
        fs,
        index_folder,
        threads,
        pack_bytes,
    } = options;
    let durable = Arc::new(Mutex::new(BTreeMap::new()));
    let place = Place {
        folder: index_folder.unwrap_or_else(|| folder.join("index")),
        generation_file: folder.join("index.generation"),
        fs: Arc::clone(&fs),
        cache_bytes: INDEX_CACHE_BYTES,
    };
    let rebuild = rebuild_from(Arc::clone(&fs), packs_folder.clone(), Arc::clone(&durable));
    let (index, doubt) = DistrustedSled::open(place, &sources_of(packs), rebuild)?;
    report.index_rebuilt = doubt;
    let counters = Mutex::new(Counters::read(&index)?);
    Ok(Inner {
        packs: Packs::new(Arc::clone(&fs), packs_folder.clone()),
        fs,
        folder,
        packs_folder,
        threads: wanted_threads(threads),
        pack_bytes,
        index,
        pending: RwLock::new(HashMap::new()),
        writer: Mutex::new(Writer {
            open: None,
            next_number: packs.last().map_or(1, |pack| pack.number + 1),
            poisoned: None,
        }),
        turn: Mutex::new(()),
        durable,
        counters,
        work: RwLock::new(()),
        idle_encoder: Mutex::new(None),
        ingested: Default::default(),
        restored: Default::default(),
        _lock: lock,
    })
}

fn sources_of(packs: &[PackFile]) -> Sources {
    let lengths = packs
        .iter()
        .map(|pack| (source_name(pack.number), pack.length));
    lengths.collect()
}

fn wanted_threads(threads: usize) -> usize {
    match threads {
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS_MAX)),
        wanted => wanted,
    }
}

/// Bringing a store whose packs were left as they are to a state that can be gone on with.
struct Recovery<'a> {
    inner: &'a Inner,
    /// Up to where the index holds each pack: so far it was durable when that was written.
    positions: Sources,
    report: &'a mut OpenReport,
}

/// A pack that was not sealed, with what lies beyond its durable part.
struct Unfinished<'a> {
    pack: &'a PackFile,
    durable: u64,
    rescued: Vec<Entry>,
}

impl Recovery<'_> {
    fn run(mut self, packs: &[PackFile]) -> Result<(), Error> {
        let mut unfinished = Vec::new();
        for pack in packs {
            match pack.state {
                PackState::Sealed => self.replay_sealed(pack)?,
                PackState::Open => unfinished.push(pack),
            }
        }
        self.go_on_with_last_whole(&mut unfinished)?;
        let unfinished: Vec<Unfinished<'_>> = unfinished
            .into_iter()
            .map(|pack| self.look_at(pack))
            .collect::<Result<_, _>>()?;
        self.rescue(&unfinished)?;
        self.inner.commit()?;
        for left in &unfinished {
            self.put_away(left)?;
        }
        Ok(())
    }

    fn durable_part(&self, pack: &PackFile) -> u64 {
        let name = source_name(pack.number);
        self.positions.get(&name).copied().unwrap_or(0)
    }

    /// Indexes a sealed pack's records that the index lacks.
    fn replay_sealed(&mut self, pack: &PackFile) -> Result<(), Error> {
        if self.durable_part(pack) >= pack.length {
            return Ok(());
        }
        let inner = self.inner;
        let mut counters = *inner.counters.lock();
        let mut batch = Batch::new();
        for entry in sealed_entries(&*inner.fs, pack)? {
            let key = index_key(entry.kind, entry.id);
            if inner.index.get(&key)?.is_none() {
                counters.add(entry.kind, entry.content);
                batch.insert(key, encode_location(entry.location(pack.number)));
                self.report.records_replayed += 1;
            }
        }
        batch.set_position(&source_name(pack.number), pack.length);
        counters.write(&mut batch);
        inner.index.apply(&batch)?;
        *inner.counters.lock() = counters;
        Ok(())
    }

    /// A pack that ends where it is known to be durable can grow on.
    fn go_on_with_last_whole(&mut self, unfinished: &mut Vec<&PackFile>) -> Result<(), Error> {
        let whole = |pack: &&PackFile| {
            let durable = self.durable_part(pack);
            durable == pack.length && durable >= PACK_HEADER.len() as u64
        };
        let Some(at) = unfinished.iter().rposition(whole) else {
            return Ok(());
        };
        let pack = unfinished.remove(at);
        let inner = self.inner;
        let open = OpenPack::reopen(&*inner.fs, &inner.packs_folder, pack.number)?;
        inner.packs.keep(pack.number, Arc::clone(open.file()));
        inner.durable.lock().insert(pack.number, pack.length);
        inner.writer.lock().open = Some(open);
        Ok(())
    }

    fn look_at<'p>(&mut self, pack: &'p PackFile) -> Result<Unfinished<'p>, Error> {
        let durable = self.durable_part(pack);
        let file = self
            .inner
            .fs
            .open(&pack.path, Open::Read)
            .at("open", &pack.path)?;
        let scan = scan_verified(&*file, durable, pack.length).at("read", &pack.path)?;
        if !scan.entries.is_empty() || !scan.skipped.is_empty() {
            self.report.recovered.push(format!(
                "{} was not finished: of what no commit had covered, {} records are whole and kept; {}",
                pack.path.display(),
                scan.entries.len(),
                match scan.skipped.as_slice() {
                    [] => "nothing was torn".to_owned(),
                    skipped => format!("not kept: {}", skipped.join("; ")),
                }
            ));
        }
        Ok(Unfinished {
            pack,
            durable,
            rescued: scan.entries,
        })
    }

    /// Copies what is whole beyond the durable parts. Copies, because a sync may have failed on these very bytes: then the
    /// kernel shows them and the disk does not have them, and no later sync of that file would write them.
    fn rescue(&mut self, unfinished: &[Unfinished<'_>]) -> Result<(), Error> {
        // A blob is not believed before its chunks are there, nor a tree before its manifest.
        for kind in [Kind::Chunk, Kind::Blob, Kind::Tree] {
            for left in unfinished {
                for entry in left.rescued.iter().filter(|entry| entry.kind == kind) {
                    self.rescue_one(left.pack.number, entry)?;
                }
            }
        }
        Ok(())
    }

    fn rescue_one(&mut self, pack: PackNumber, entry: &Entry) -> Result<(), Error> {
        let inner = self.inner;
        let mut record = Vec::new();
        inner.packs.read_raw(entry.location(pack), &mut record)?;
        let header = Header::decode(&record).map_err(|error| Error::Damaged {
            object: format!("{} {}", entry.kind.word(), entry.id),
            reason: error.to_string(),
            pack,
            offset: u64::from(entry.offset),
        })?;
        let complete = match entry.kind {
            Kind::Chunk => true,
            Kind::Blob => self.chunks_are_here(pack, entry)?,
            Kind::Tree => inner.knows(Kind::Blob, entry.id)?,
        };
        if complete {
            inner.append(&header, &record)?;
        } else {
            self.report.recovered.push(format!(
                "{} {} was being stored and is not complete: dropped",
                entry.kind.word(),
                entry.id
            ));
        }
        Ok(())
    }

    fn chunks_are_here(&self, pack: PackNumber, entry: &Entry) -> Result<bool, Error> {
        let inner = self.inner;
        let mut list = Vec::new();
        let mut scratch = Scratch::new();
        let at = entry.location(pack);
        inner
            .packs
            .read(Kind::Blob, entry.id, at, &mut scratch, &mut list)?;
        let blob = BlobDigest::new(entry.id);
        for chunk in decode_list(blob, at, &list)?.chunks {
            if !inner.knows(Kind::Chunk, Digest::from_bytes(*chunk.id.as_bytes()))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Seals the durable part of a pack whose rest was copied, or removes the pack if it has none.
    fn put_away(&mut self, left: &Unfinished<'_>) -> Result<(), Error> {
        let inner = self.inner;
        inner.packs.forget(left.pack.number);
        if left.durable <= PACK_HEADER.len() as u64 {
            inner.apply_removals(&[], &[left.pack.number])?;
            let path = &left.pack.path;
            inner.fs.remove(path).at("remove", path)?;
            let folder = &inner.packs_folder;
            return Ok(inner.fs.sync_dir(folder).at("sync", folder)?);
        }
        let mut pack = OpenPack::reopen(&*inner.fs, &inner.packs_folder, left.pack.number)?;
        pack.cut(left.durable)?;
        match pack.finish() {
            Ok(finished) => inner.seal(finished),
            Err(failed) => Err(failed.1.error.into()),
        }
    }
}
