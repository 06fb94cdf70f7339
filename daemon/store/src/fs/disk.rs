//! The file system of the machine.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "this module is the door"
)]

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Entry, FileKind, Fs, FsFile, FsLock, Holder, Meta, Open};

/// How often a lock is asked for that a dead process seems to hold, and how long to wait in between.
const DEAD_HOLDER_TRIES: u32 = 200;
const DEAD_HOLDER_PAUSE: Duration = Duration::from_millis(10);

/// The longest text that says who holds a lock.
const HOLDER_BYTES_MAX: usize = 1024;

/// The file system of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskFs;

#[derive(Debug)]
struct DiskFile(File);

#[derive(Debug)]
struct DiskLock(#[expect(dead_code, reason = "its drop releases the lock")] File);

impl FsLock for DiskLock {}

impl Fs for DiskFs {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn FsFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match how {
            Open::Read => {}
            Open::Append => {
                options.append(true).create(true);
            }
            Open::CreateNew => {
                options.append(true).create_new(true);
            }
        }
        Ok(Arc::new(DiskFile(options.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, folder: &Path) -> io::Result<()> {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // A read-only folder cannot be emptied: checked-out trees are.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                make_folders_writable(folder)?;
                fs::remove_dir_all(folder)
            }
            other => other,
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            entries.push(Entry {
                meta: meta_of(&entry.metadata()?),
                name: entry.file_name(),
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn meta(&self, path: &Path) -> io::Result<Option<Meta>> {
        match fs::symlink_metadata(path) {
            Ok(found) => Ok(Some(meta_of(&found))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create_dir(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }

    fn lock(&self, path: &Path) -> io::Result<Result<Box<dyn FsLock>, Holder>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        for _ in 0..DEAD_HOLDER_TRIES {
            match file.try_lock() {
                Ok(()) => {
                    file.set_len(0)?;
                    file.write_all_at(this_process().0.as_bytes(), 0)?;
                    return Ok(Ok(Box::new(DiskLock(file))));
                }
                Err(TryLockError::WouldBlock) if is_dead(&holder(&file)?) => {
                    std::thread::sleep(DEAD_HOLDER_PAUSE);
                }
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(Err(holder(&file)?))
    }

    fn boot_id(&self) -> String {
        // Where the kernel has no boot id every start counts as a new boot: the index is then rebuilt after each crash.
        fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map(|text| text.trim().to_owned())
            .unwrap_or_else(|_| format!("process {}", std::process::id()))
    }
}

impl FsFile for DiskFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

fn meta_of(found: &fs::Metadata) -> Meta {
    let file_type = found.file_type();
    let kind = if file_type.is_file() {
        FileKind::File
    } else if file_type.is_dir() {
        FileKind::Folder
    } else if file_type.is_symlink() {
        FileKind::Symlink
    } else {
        FileKind::Special
    };
    Meta {
        kind,
        len: if kind == FileKind::File {
            found.len()
        } else {
            0
        },
        executable: kind == FileKind::File && found.permissions().mode() & 0o100 != 0,
    }
}

fn make_folders_writable(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_folders_writable(&entry.path())?;
        }
    }
    Ok(())
}

/// Who wrote into a lock's file last.
fn holder(file: &File) -> io::Result<Holder> {
    let mut text = vec![0; HOLDER_BYTES_MAX];
    let length = file.read_at(&mut text, 0)?;
    Ok(Holder(
        String::from_utf8_lossy(&text[..length]).into_owned(),
    ))
}

/// Whether the process that a lock names has ended. Its lock is then held only by a child that was born just before and has
/// not come to its own program yet, where the lock's descriptor is closed.
fn is_dead(holder: &Holder) -> bool {
    let here = this_process().0;
    let place = |text: &str| {
        let (_, after) = text.split_once(" on ")?;
        after.split_once(", since").map(|(host, _)| host.to_owned())
    };
    let pid = || {
        let number = holder.0.strip_prefix("process ")?;
        number.split(' ').next()?.parse::<u32>().ok()
    };
    place(&holder.0) == place(&here)
        && pid().is_some_and(|pid| !Path::new(&format!("/proc/{pid}/stat")).exists())
        && Path::new("/proc/self/stat").exists()
}

fn this_process() -> Holder {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "an unnamed host",
        name => name,
    };
    let since = jiff::Timestamp::now().round(jiff::Unit::Second);
    let since = since.map(|time| time.to_string()).unwrap_or_default();
    Holder(format!(
        "process {} on {host}, since {since}",
        std::process::id()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_only_the_child_of_a_dead_process_holds_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = DiskFs.lock(&path).unwrap().unwrap();
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        let pid = ended.id();
        ended.wait().unwrap();
        let said = fs::read_to_string(&path).unwrap();
        let of_the_dead = said.replace(
            &format!("process {} ", std::process::id()),
            &format!("process {pid} "),
        );
        assert_ne!(said, of_the_dead);
        fs::write(&path, of_the_dead).unwrap();
        let child = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(held);
        });
        DiskFs.lock(&path).unwrap().unwrap();
        child.join().unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap().split(' ').nth(1),
            Some(std::process::id().to_string().as_str())
        );
    }
}
