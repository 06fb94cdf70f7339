//! A disk in memory that fails when told to.
//!
//! It keeps a live image, which is what a running process sees, and a durable one, which is what a power cut leaves. A sync
//! moves bytes (or names) from one to the other; what was not synced survives a crash in part, torn and out of order, as a
//! seed decides. Tests count the calls of a piece of work once and then fail, shorten or cut the power at each of them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Entry, FileKind, Fs, FsFile, FsLock, Holder, Meta, Open, parent};

/// What happens at the chosen call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call fails with EIO. A sync that fails so has lost its bytes, and a second one would claim success.
    Eio,
    /// The call fails with ENOSPC if it needs room, with EIO if not.
    Enospc,
    /// An append writes half of its bytes and says so; any other call is interrupted by a signal if that is allowed.
    ShortWrite,
    /// The power goes: this call and all later ones fail. [`FaultyFs::crash`] is the disk at the next boot.
    Crash,
}

/// A disk in memory. A clone is the same disk.
#[derive(Debug, Clone, Default)]
pub struct FaultyFs {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    live: Names,
    durable: Names,
    pending: Vec<NameChange>,
    files: Vec<Content>,
    locks: HashMap<PathBuf, u64>,
    lock_serial: u64,
    boot: u64,
    operations: u64,
    planned: Option<(u64, Fault)>,
    fired: bool,
    dead: bool,
    syncs_after_failure: u64,
}

type Names = BTreeMap<PathBuf, Node>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File { content: usize, mode: u32 },
}

/// A change of a name that no folder sync has made durable yet.
#[derive(Debug, Clone)]
enum NameChange {
    Create(PathBuf, Node),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Debug, Clone, Default)]
struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<ByteChange>,
    sync_failed: bool,
}

#[derive(Debug, Clone)]
enum ByteChange {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

/// What a call needs, for choosing an error that can really happen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Read,
    Room,
    Append,
    Sync,
}

impl FaultyFs {
    /// An empty disk with no fault planned.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many calls were made so far.
    pub fn operations(&self) -> u64 {
        self.disk.lock().operations
    }

    /// Plans `fault` for the call with this number, counted from 0 at the disk's creation.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.disk.lock().planned = Some((operation, fault));
    }

    /// Whether the planned fault has happened.
    pub fn fired(&self) -> bool {
        self.disk.lock().fired
    }

    /// How often a file was synced again after its sync had failed: must stay 0.
    pub fn syncs_after_failure(&self) -> u64 {
        self.disk.lock().syncs_after_failure
    }

    /// The disk after a power cut now: all that was synced, and of the rest what `seed` decides.
    pub fn crash(&self, seed: u64) -> Self {
        let disk = self.disk.lock();
        let mut dice = Dice(seed);
        let files: Vec<Content> = disk
            .files
            .iter()
            .map(|content| content.after_crash(&mut dice))
            .collect();
        let mut names = disk.durable.clone();
        for change in &disk.pending {
            if dice.flip() {
                change.apply(&mut names);
            }
        }
        Self::booted(names, files, disk.boot + 1)
    }

    /// The disk after the process was killed now, the machine running on: nothing written is lost, locks are free.
    pub fn kill(&self) -> Self {
        let disk = self.disk.lock();
        let next = Self::booted(disk.durable.clone(), disk.files.clone(), disk.boot);
        let mut kept = next.disk.lock();
        kept.live = disk.live.clone();
        kept.pending = disk.pending.clone();
        drop(kept);
        next
    }

    fn booted(names: Names, files: Vec<Content>, boot: u64) -> Self {
        Self {
            disk: Arc::new(Mutex::new(Disk {
                live: names.clone(),
                durable: names,
                files,
                boot,
                ..Disk::default()
            })),
        }
    }
}

impl Disk {
    /// Counts a call and lets the planned fault happen. `Ok(true)` asks an append to be short.
    fn enter(&mut self, call: Call) -> io::Result<bool> {
        let number = self.operations;
        self.operations += 1;
        if self.dead {
            return Err(broken());
        }
        let Some((_, fault)) = self.planned.filter(|(at, _)| *at == number) else {
            return Ok(false);
        };
        self.fired = true;
        match fault {
            Fault::ShortWrite if call == Call::Append => Ok(true),
            Fault::ShortWrite => Ok(false),
            Fault::Enospc if matches!(call, Call::Append | Call::Room) => {
                Err(io::Error::from_raw_os_error(28))
            }
            Fault::Enospc | Fault::Eio => Err(broken()),
            Fault::Crash => {
                self.dead = true;
                Err(broken())
            }
        }
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.live.get(path) {
            Some(Node::File { content, .. }) => Ok(*content),
            Some(Node::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&mut self, path: &Path) -> io::Result<usize> {
        if !is_folder(&self.live, parent(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.files.push(Content::default());
        let content = self.files.len() - 1;
        let node = Node::File {
            content,
            mode: 0o644,
        };
        self.change(NameChange::Create(path.to_owned(), node));
        Ok(content)
    }

    fn meta_of(&self, node: &Node) -> Meta {
        match node {
            Node::Folder => Meta {
                kind: FileKind::Folder,
                len: 0,
                executable: false,
            },
            Node::File { content, mode } => Meta {
                kind: FileKind::File,
                len: self.files[*content].live.len() as u64,
                executable: mode & 0o100 != 0,
            },
        }
    }
}

impl NameChange {
    /// Applies the change where that is possible: a crash may have dropped what it builds on.
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Create(path, node) => {
                if is_folder(names, parent(path)) {
                    names.insert(path.clone(), *node);
                }
            }
            Self::Remove(path) => {
                names.retain(|name, _| !name.starts_with(path));
            }
            Self::Rename(from, to) => {
                if !names.contains_key(from) || !is_folder(names, parent(to)) {
                    return;
                }
                let moved: Vec<PathBuf> = names
                    .keys()
                    .filter(|name| name.starts_with(from))
                    .cloned()
                    .collect();
                for name in moved {
                    let rest = name.strip_prefix(from).unwrap_or(Path::new(""));
                    let target = if rest.as_os_str().is_empty() {
                        to.clone()
                    } else {
                        to.join(rest)
                    };
                    if let Some(node) = names.remove(&name) {
                        names.insert(target, node);
                    }
                }
            }
        }
    }

    fn touches(&self, folder: &Path) -> bool {
        match self {
            Self::Create(path, _) | Self::Remove(path) => parent(path) == folder,
            Self::Rename(from, to) => parent(from) == folder || parent(to) == folder,
        }
    }
}

impl Content {
    fn after_crash(&self, dice: &mut Dice) -> Self {
        let mut bytes = self.durable.clone();
        for change in &self.pending {
            match change {
                _ if dice.flip() => {}
                ByteChange::Truncate(len) => bytes.truncate(*len),
                ByteChange::Write {
                    offset,
                    bytes: written,
                } => {
                    let torn = if dice.flip() {
                        dice.below(written.len() + 1)
                    } else {
                        written.len()
                    };
                    put(&mut bytes, *offset, &written[..torn]);
                }
            }
        }
        Self {
            live: bytes.clone(),
            durable: bytes,
            ..Self::default()
        }
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                ByteChange::Truncate(len) => self.durable.truncate(len),
                ByteChange::Write { offset, bytes } => put(&mut self.durable, offset, &bytes),
            }
        }
    }
}

impl Fs for FaultyFs {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn FsFile>> {
        let mut disk = self.disk.lock();
        disk.enter(if how == Open::Read {
            Call::Read
        } else {
            Call::Room
        })?;
        let content = match (disk.file(path), how) {
            (Ok(_), Open::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Err(error), Open::Append | Open::CreateNew)
                if error.kind() == io::ErrorKind::NotFound =>
            {
                disk.create(path)?
            }
            (found, _) => found?,
        };
        Ok(Arc::new(FaultyFile {
            disk: Arc::clone(&self.disk),
            content,
            writable: how != Open::Read,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.enter(Call::Room)?;
        if !disk.live.contains_key(from) || !is_folder(&disk.live, parent(to)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.change(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.enter(Call::Sync)?;
        if !is_folder(&disk.live, folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (synced, rest) = std::mem::take(&mut disk.pending)
            .into_iter()
            .partition(|change| change.touches(folder));
        disk.pending = rest;
        let synced: Vec<NameChange> = synced;
        for change in synced {
            change.apply(&mut disk.durable);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.enter(Call::Room)?;
        disk.file(path)?;
        disk.change(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn remove_dir_all(&self, folder: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.enter(Call::Room)?;
        if disk.live.contains_key(folder) {
            disk.change(NameChange::Remove(folder.to_owned()));
        }
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let mut disk = self.disk.lock();
        disk.enter(Call::Read)?;
        if !is_folder(&disk.live, folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let children = disk.live.iter().filter(|(path, _)| {
            parent(path) == folder && path.as_path() != folder && path.file_name().is_some()
        });
        Ok(children
            .map(|(path, node)| Entry {
                name: path.file_name().map(OsString::from).unwrap_or_default(),
                meta: disk.meta_of(node),
            })
            .collect())
    }

    fn meta(&self, path: &Path) -> io::Result<Option<Meta>> {
        let mut disk = self.disk.lock();
        disk.enter(Call::Read)?;
        if is_root(path) {
            return Ok(Some(disk.meta_of(&Node::Folder)));
        }
        Ok(disk.live.get(path).map(|node| disk.meta_of(node)))
    }

    fn create_dir(&self, folder: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.enter(Call::Room)?;
        let mut above: Vec<&Path> = folder.ancestors().filter(|path| !is_root(path)).collect();
        above.reverse();
        for path in above {
            match disk.live.get(path) {
                Some(Node::Folder) => {}
                Some(Node::File { .. }) => return Err(io::ErrorKind::AlreadyExists.into()),
                None => disk.change(NameChange::Create(path.to_owned(), Node::Folder)),
            }
        }
        Ok(())
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.enter(Call::Room)?;
        match disk.live.get_mut(path) {
            Some(Node::File { mode: old, .. }) => *old = mode,
            Some(Node::Folder) => {}
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Result<Box<dyn FsLock>, Holder>> {
        let mut disk = self.disk.lock();
        disk.enter(Call::Room)?;
        if let Some(serial) = disk.locks.get(path) {
            return Ok(Err(Holder(format!("process {serial} of a test"))));
        }
        if disk.file(path).is_err() {
            disk.create(path)?;
        }
        disk.lock_serial += 1;
        let serial = disk.lock_serial;
        disk.locks.insert(path.to_owned(), serial);
        Ok(Ok(Box::new(FaultyLock {
            disk: Arc::clone(&self.disk),
            path: path.to_owned(),
        })))
    }

    fn boot_id(&self) -> String {
        format!("boot {}", self.disk.lock().boot)
    }
}

#[derive(Debug)]
struct FaultyLock {
    disk: Arc<Mutex<Disk>>,
    path: PathBuf,
}

impl FsLock for FaultyLock {}

impl Drop for FaultyLock {
    fn drop(&mut self) {
        self.disk.lock().locks.remove(&self.path);
    }
}

#[derive(Debug)]
struct FaultyFile {
    disk: Arc<Mutex<Disk>>,
    content: usize,
    writable: bool,
}

impl FsFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.disk.lock();
        disk.enter(Call::Read)?;
        let live = &disk.files[self.content].live;
        let start = live.len().min(offset as usize);
        let count = buffer.len().min(live.len() - start);
        buffer[..count].copy_from_slice(&live[start..start + count]);
        Ok(count)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = self.disk.lock();
        let short = disk.enter(Call::Append)?;
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let count = if short {
            bytes.len().div_ceil(2)
        } else {
            bytes.len()
        };
        let content = &mut disk.files[self.content];
        content.pending.push(ByteChange::Write {
            offset: content.live.len(),
            bytes: bytes[..count].to_owned(),
        });
        content.live.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        if disk.files[self.content].sync_failed {
            disk.syncs_after_failure += 1;
        }
        if let Err(error) = disk.enter(Call::Sync) {
            // The kernel calls the pages clean: they are gone from the disk's future, though still to be read.
            let dead = disk.dead;
            let content = &mut disk.files[self.content];
            if !dead {
                content.pending.clear();
            }
            content.sync_failed = true;
            return Err(error);
        }
        disk.files[self.content].sync();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut disk = self.disk.lock();
        disk.enter(Call::Read)?;
        Ok(disk.files[self.content].live.len() as u64)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.enter(Call::Room)?;
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let content = &mut disk.files[self.content];
        content.live.resize(len as usize, 0);
        content.pending.push(ByteChange::Truncate(len as usize));
        Ok(())
    }
}

fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

fn is_root(path: &Path) -> bool {
    path == Path::new("/") || path == Path::new(".") || path.as_os_str().is_empty()
}

fn is_folder(names: &Names, path: &Path) -> bool {
    is_root(path) || names.get(path) == Some(&Node::Folder)
}

fn put(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    let end = offset + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(written);
}

/// SplitMix64: small, and the same everywhere, so that a failing seed can be run again.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn flip(&mut self) -> bool {
        self.next() & 1 == 1
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
