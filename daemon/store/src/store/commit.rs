//! Appending records and making them durable.

use std::sync::Arc;

use begat_schemas::Digest;

use super::{Inner, Store, Writer, encode_location, index_key};
use crate::error::Error;
use crate::fs::{At, FsError};
use crate::index::Batch;
use crate::pack::record::{Header, Kind};
use crate::pack::writer::{AppendError, FinishedPack, OpenPack};
use crate::pack::{PackNumber, source_name};

impl Store {
    /// Returns when everything put so far, by any thread, is durable.
    pub fn commit(&self) -> Result<(), Error> {
        self.inner.commit()
    }

    /// Commits and marks the index clean, so that the next start believes it at once. Without it nothing is lost.
    pub fn close(self) -> Result<(), Error> {
        self.shut()
    }

    /// As [`close`](Self::close), for a store that is shared: later calls fail, the folder is free once the last share is gone.
    pub fn shut(&self) -> Result<(), Error> {
        self.inner.commit()?;
        Ok(self.inner.index.shut()?)
    }
}

impl Writer {
    fn check(&self) -> Result<(), Error> {
        match &self.poisoned {
            None => Ok(()),
            Some(reason) => Err(Error::Poisoned {
                reason: reason.clone(),
            }),
        }
    }

    /// After this every write is refused: what the disk holds is no longer known.
    fn poison(&mut self, error: &FsError) {
        self.poisoned.get_or_insert_with(|| error.to_string());
    }

    fn fail(&mut self, failed: AppendError) -> Error {
        if failed.torn {
            self.poison(&failed.error);
        }
        failed.error.into()
    }
}

impl Inner {
    /// Appends a record unless it is there already. `record` is header and payload.
    pub(crate) fn append(&self, header: &Header, record: &[u8]) -> Result<(), Error> {
        if self.append_one(header, record)? {
            self.roll()?;
        }
        Ok(())
    }

    /// Says whether the pack is full.
    fn append_one(&self, header: &Header, record: &[u8]) -> Result<bool, Error> {
        let mut writer = self.writer.lock();
        writer.check()?;
        if self.knows(header.kind, header.id)? {
            return Ok(false);
        }
        self.append_locked(&mut writer, header, record)
    }

    /// Appends without asking whether the record is there: gc moves records that are.
    pub(crate) fn append_again(&self, header: &Header, record: &[u8]) -> Result<(), Error> {
        let full = {
            let mut writer = self.writer.lock();
            writer.check()?;
            self.append_locked(&mut writer, header, record)?
        };
        if full { self.roll() } else { Ok(()) }
    }

    fn append_locked(
        &self,
        writer: &mut Writer,
        header: &Header,
        record: &[u8],
    ) -> Result<bool, Error> {
        self.ensure_open_pack(writer)?;
        let pack = writer.open.as_mut().expect("just ensured");
        match pack.append(header, record) {
            Ok(at) => {
                let full = pack.end() >= self.pack_bytes;
                self.pending.write().insert((header.kind, header.id), at);
                Ok(full)
            }
            Err(failed) => Err(writer.fail(failed)),
        }
    }

    pub(crate) fn ensure_open_pack(&self, writer: &mut Writer) -> Result<(), Error> {
        if writer.open.is_some() {
            return Ok(());
        }
        let number = writer.next_number;
        writer.next_number += 1;
        let pack = OpenPack::create(&*self.fs, &self.packs_folder, number)?;
        if let Err(error) = self
            .fs
            .sync_dir(&self.packs_folder)
            .at("sync", &self.packs_folder)
        {
            writer.poison(&error);
            return Err(error.into());
        }
        self.packs.keep(number, Arc::clone(pack.file()));
        writer.open = Some(pack);
        Ok(())
    }

    pub(crate) fn commit(&self) -> Result<(), Error> {
        let _turn = self.turn.lock();
        let (file, path, number, end) = {
            let writer = self.writer.lock();
            writer.check()?;
            let Some(pack) = &writer.open else {
                return Ok(());
            };
            let path = pack.path().to_owned();
            (Arc::clone(pack.file()), path, pack.number(), pack.end())
        };
        if self
            .durable
            .lock()
            .get(&number)
            .is_some_and(|durable| *durable >= end)
        {
            return Ok(());
        }
        if let Err(error) = file.sync().at("sync", &path) {
            self.writer.lock().poison(&error);
            return Err(error.into());
        }
        self.durable.lock().insert(number, end);
        self.publish(number, end)
    }

    /// Seals the open pack if it is full. Others may append to the next one meanwhile.
    pub(crate) fn roll(&self) -> Result<(), Error> {
        self.seal_open_pack(self.pack_bytes)
    }

    /// Seals the open pack if it has at least `bytes`.
    pub(crate) fn seal_open_pack(&self, bytes: u64) -> Result<(), Error> {
        let _turn = self.turn.lock();
        let finished = {
            let mut writer = self.writer.lock();
            writer.check()?;
            let Some(pack) = writer.open.take_if(|pack| pack.end() >= bytes) else {
                return Ok(());
            };
            match pack.finish() {
                Ok(finished) => finished,
                Err(failed) => {
                    let (pack, error) = *failed;
                    writer.open = Some(pack);
                    return Err(writer.fail(error));
                }
            }
        };
        self.seal(finished)
    }

    pub(super) fn seal(&self, finished: FinishedPack) -> Result<(), Error> {
        match finished.seal(&*self.fs, &self.packs_folder) {
            Ok(sealed) => {
                self.durable.lock().remove(&sealed.number);
                self.publish(sealed.number, sealed.length)
            }
            // Whatever failed, the pack is no longer one that could be gone on with.
            Err(error) => {
                self.writer.lock().poison(&error);
                Err(error.into())
            }
        }
    }

    /// Moves what is now durable of a pack from pending to the index.
    fn publish(&self, number: PackNumber, position: u64) -> Result<(), Error> {
        let records: Vec<_> = {
            let pending = self.pending.read();
            let covered = pending
                .iter()
                .filter(|(_, at)| at.pack == number && u64::from(at.offset) < position);
            covered.map(|(key, at)| (*key, *at)).collect()
        };
        let mut counters = *self.counters.lock();
        let mut batch = Batch::new();
        for ((kind, id), at) in &records {
            // gc moves records that the index has already.
            if self.index.get(&index_key(*kind, *id))?.is_none() {
                counters.add(*kind, at.content);
            }
            batch.insert(index_key(*kind, *id), encode_location(*at));
        }
        batch.set_position(&source_name(number), position);
        counters.write(&mut batch);
        self.index.apply(&batch)?;
        *self.counters.lock() = counters;
        self.forget_pending(number, &records);
        Ok(())
    }

    fn forget_pending(
        &self,
        number: PackNumber,
        records: &[((Kind, Digest), crate::pack::trailer::Location)],
    ) {
        let mut pending = self.pending.write();
        for (key, _) in records {
            if pending.get(key).is_some_and(|at| at.pack == number) {
                pending.remove(key);
            }
        }
    }

    /// Puts counters and keys right after gc took records out of the index.
    pub(crate) fn apply_removals(
        &self,
        removed: &[(Kind, Digest, u64)],
        packs: &[PackNumber],
    ) -> Result<(), Error> {
        let mut counters = *self.counters.lock();
        let mut batch = Batch::new();
        for (kind, id, content) in removed {
            counters.subtract(*kind, *content);
            batch.remove(index_key(*kind, *id));
        }
        for pack in packs {
            batch.remove_position(&source_name(*pack));
        }
        counters.write(&mut batch);
        self.index.apply(&batch)?;
        *self.counters.lock() = counters;
        Ok(())
    }
}
