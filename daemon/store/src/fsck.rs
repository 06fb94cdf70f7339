//! Checking that what the store says is so.

use std::collections::{BTreeMap, BTreeSet};

use begat_schemas::{BlobDigest, Digest, Tree, TreeDigest};
use parking_lot::RwLockUpgradableReadGuard;
use serde::Serialize;

use crate::encoding::Decoder;
use crate::error::Error;
use crate::fs::{At, FsFile, Open};
use crate::pack::reader::{Scratch, read_header, read_trailer, verify};
use crate::pack::record::Kind;
use crate::pack::recover::scan_headers;
use crate::pack::trailer::{Entry, Location};
use crate::pack::{PackNumber, PackState};
use crate::store::{Inner, PackFile, Store, decode_location, list_packs, pack_entries};

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FsckReport {
    /// Whether every byte was read.
    pub read_data: bool,
    /// Packs that were checked.
    pub packs: u64,
    /// Records that were checked.
    pub records: u64,
    /// Blobs whose lists of chunks were checked.
    pub blobs: u64,
    /// Trees whose files were looked for.
    pub trees: u64,
    /// Packs that are not what they should be.
    pub damaged_packs: Vec<Damage>,
    /// Chunks that are damaged or missing.
    pub damaged_chunks: Vec<Damage>,
    /// Blobs that cannot be read whole.
    pub damaged_blobs: Vec<Damage>,
    /// Trees that cannot be laid out whole.
    pub damaged_trees: Vec<Damage>,
    /// Places where the index and the packs say different things: `rebuild_index` mends them.
    pub index_faults: Vec<Damage>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// What: a pack's file name, or a digest.
    pub object: String,
    /// What is wrong with it.
    pub reason: String,
}

impl FsckReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        [
            &self.damaged_packs,
            &self.damaged_chunks,
            &self.damaged_blobs,
            &self.damaged_trees,
            &self.index_faults,
        ]
        .iter()
        .all(|list| list.is_empty())
    }
}

impl Store {
    /// Checks packs, index, blobs and trees; with `read_data`, every byte. Puts and reads go on while sealed packs are read;
    /// the rest, which is short, has the store for itself.
    pub fn fsck(&self, read_data: bool) -> Result<FsckReport, Error> {
        let inner = &*self.inner;
        let shared = inner.work.upgradable_read();
        let mut check = Check {
            inner,
            report: FsckReport {
                read_data,
                ..FsckReport::default()
            },
            checked: BTreeSet::new(),
            found: BTreeSet::new(),
            bad: BTreeMap::new(),
        };
        check.packs(Some(PackState::Sealed))?;
        let _alone = RwLockUpgradableReadGuard::upgrade(shared);
        inner.commit()?;
        check.packs(None)?;
        check.index()?;
        check.blobs()?;
        check.trees()?;
        Ok(check.report)
    }
}

struct Check<'a> {
    inner: &'a Inner,
    report: FsckReport,
    /// Packs that were looked at.
    checked: BTreeSet<PackNumber>,
    /// Records that stand in packs.
    found: BTreeSet<(Kind, Digest)>,
    /// Records that are damaged, and how.
    bad: BTreeMap<(Kind, Digest), String>,
}

impl Check<'_> {
    /// Checks the packs that are not checked yet, all or those in `state`.
    fn packs(&mut self, state: Option<PackState>) -> Result<(), Error> {
        for pack in list_packs(&*self.inner.fs, &self.inner.packs_folder)? {
            if state.is_none_or(|state| state == pack.state) && self.checked.insert(pack.number) {
                self.pack(&pack)?;
            }
        }
        Ok(())
    }

    /// Whether the pack can say what it holds.
    fn structure(&mut self, pack: &PackFile, file: &dyn FsFile) -> Result<(), Error> {
        let faults = match pack.state {
            PackState::Sealed => match read_trailer(&*self.inner.fs, &pack.path) {
                Ok(_) => Vec::new(),
                Err(Error::BadPack { reason, .. }) => vec![reason],
                Err(error) => return Err(error),
            },
            PackState::Open => {
                let scan = scan_headers(file, 0, pack.length).at("read", &pack.path)?;
                scan.skipped
            }
        };
        for reason in faults {
            push(&mut self.report.damaged_packs, pack_name(pack), reason);
        }
        Ok(())
    }

    fn pack(&mut self, pack: &PackFile) -> Result<(), Error> {
        self.report.packs += 1;
        let file = self
            .inner
            .fs
            .open(&pack.path, Open::Read)
            .at("open", &pack.path)?;
        self.structure(pack, &*file)?;
        let mut decoder = Decoder::new();
        let (mut record, mut plain) = (Vec::new(), Vec::new());
        for entry in pack_entries(&*self.inner.fs, pack)? {
            self.report.records += 1;
            let at = entry.location(pack.number);
            let fault = if self.report.read_data {
                match self.inner.packs.read_raw(at, &mut record) {
                    Err(Error::BadPack { reason, .. }) => Some(reason),
                    Err(error) => return Err(error),
                    Ok(()) => verify(&record, entry.kind, entry.id, &mut decoder, &mut plain).err(),
                }
            } else {
                let header = read_header(&*file, u64::from(at.offset), pack.length);
                header_fault(&entry, header.at("read", &pack.path)?)
            };
            self.record(pack, &entry, fault)?;
        }
        Ok(())
    }

    fn record(
        &mut self,
        pack: &PackFile,
        entry: &Entry,
        fault: Option<String>,
    ) -> Result<(), Error> {
        let key = (entry.kind, entry.id);
        let Some(reason) = fault else {
            self.found.insert(key);
            return Ok(());
        };
        let reason = format!("{reason} ({}, byte {})", pack_name(pack), entry.offset);
        // Where a second copy is the one in use, this one harms nobody.
        let used = self.inner.locate(entry.kind, entry.id)?;
        if used.is_none_or(|at| at == entry.location(pack.number)) {
            self.bad.insert(key, reason.clone());
            if entry.kind == Kind::Chunk {
                push(&mut self.report.damaged_chunks, entry.id, reason);
            }
        } else {
            push(&mut self.report.damaged_packs, pack_name(pack), reason);
        }
        Ok(())
    }

    /// Every record in a pack is indexed, and every place in the index is a record's.
    fn index(&mut self) -> Result<(), Error> {
        for (kind, id) in self.found.iter().chain(self.bad.keys()) {
            if self.inner.locate(*kind, *id)?.is_none() {
                let reason = format!("a {} of the packs is not in the index", kind.word());
                push(&mut self.report.index_faults, id, reason);
            }
        }
        for kind in Kind::ALL {
            for (id, _) in self.indexed(kind)? {
                let key = (kind, id);
                if !self.found.contains(&key) && !self.bad.contains_key(&key) {
                    let reason = format!("a {} of the index is not in the packs", kind.word());
                    push(&mut self.report.index_faults, id, reason);
                }
            }
        }
        Ok(())
    }

    fn indexed(&self, kind: Kind) -> Result<Vec<(Digest, Location)>, Error> {
        let pairs = self.inner.index.scan_prefix(&[kind.tag()])?;
        let pairs = pairs.into_iter().filter_map(|(key, value)| {
            let id = <[u8; 32]>::try_from(key.get(1..)?).ok()?;
            Some((Digest::from_bytes(id), decode_location(&value)?))
        });
        Ok(pairs.collect())
    }

    fn blobs(&mut self) -> Result<(), Error> {
        let blobs = self.indexed(Kind::Blob)?;
        for (id, at) in blobs {
            self.report.blobs += 1;
            if let Some(reason) = self.blob_fault(id, at)? {
                push(&mut self.report.damaged_blobs, id, reason.clone());
                self.bad.insert((Kind::Blob, id), reason);
            }
        }
        Ok(())
    }

    fn blob_fault(&self, id: Digest, at: Location) -> Result<Option<String>, Error> {
        if let Some(reason) = self.bad.get(&(Kind::Blob, id)) {
            return Ok(Some(reason.clone()));
        }
        let list = match self.inner.chunk_list_alone(BlobDigest::new(id)) {
            Ok(list) => list,
            Err(error @ (Error::Damaged { .. } | Error::BadPack { .. })) => {
                return Ok(Some(error.to_string()));
            }
            Err(error) => return Err(error),
        };
        debug_assert_eq!(list.size, at.content);
        Ok(list.chunks.iter().find_map(|chunk| {
            let key = (Kind::Chunk, chunk.id.digest());
            if self.bad.contains_key(&key) {
                Some(format!("its chunk {} is damaged", chunk.id))
            } else if !self.found.contains(&key) {
                Some(format!("its chunk {} is missing", chunk.id))
            } else {
                None
            }
        }))
    }

    fn trees(&mut self) -> Result<(), Error> {
        for (id, _) in self.indexed(Kind::Tree)? {
            self.report.trees += 1;
            if let Some(reason) = self.tree_fault(TreeDigest::new(id))? {
                push(&mut self.report.damaged_trees, id, reason);
            }
        }
        Ok(())
    }

    fn tree_fault(&self, digest: TreeDigest) -> Result<Option<String>, Error> {
        let key = (Kind::Blob, digest.digest());
        if self.bad.contains_key(&key) || !self.found.contains(&key) {
            return Ok(Some("its manifest cannot be read".to_owned()));
        }
        let manifest = match self.read(digest.manifest()) {
            Ok(manifest) => manifest,
            Err(error @ (Error::Damaged { .. } | Error::BadPack { .. })) => {
                return Ok(Some(error.to_string()));
            }
            Err(error) => return Err(error),
        };
        let tree = match Tree::from_manifest(&manifest) {
            Ok(tree) => tree,
            Err(error) => return Ok(Some(error.to_string())),
        };
        Ok(tree.entries().iter().find_map(|entry| {
            let key = (Kind::Blob, entry.blob.digest());
            let whole = self.found.contains(&key) && !self.bad.contains_key(&key);
            (!whole).then(|| format!("its file `{}` cannot be read", entry.path))
        }))
    }

    fn read(&self, blob: BlobDigest) -> Result<Vec<u8>, Error> {
        let mut scratch = Scratch::new();
        let (mut bytes, mut plain) = (Vec::new(), Vec::new());
        for chunk in self.inner.chunk_list_alone(blob)?.chunks {
            self.inner
                .read_chunk_alone(blob, chunk, &mut scratch, &mut plain)?;
            bytes.extend_from_slice(&plain);
        }
        Ok(bytes)
    }
}

fn header_fault(
    entry: &Entry,
    header: Result<crate::pack::record::Header, crate::pack::record::RecordError>,
) -> Option<String> {
    match header {
        Err(error) => Some(error.to_string()),
        Ok(header) if (header.kind, header.id) != (entry.kind, entry.id) => Some(format!(
            "{} {} stands in its place",
            header.kind.word(),
            header.id
        )),
        Ok(header) if header.record_length() != entry.length as usize => {
            Some("its length is not what the trailer says".to_owned())
        }
        Ok(_) => None,
    }
}

fn pack_name(pack: &PackFile) -> String {
    let name = pack.path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn push(list: &mut Vec<Damage>, object: impl std::fmt::Display, reason: impl Into<String>) {
    list.push(Damage {
        object: object.to_string(),
        reason: reason.into(),
    });
}
