//! Files that are still there after a power cut.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::{At, StageResult};

/// Writes a file and waits until the disk has it.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> StageResult<()> {
    let mut file = File::create(path).at(path)?;
    file.write_all(bytes).at(path)?;
    file.sync_all().at(path)
}

/// Waits until the disk has the names in a folder.
pub(crate) fn sync_folder(path: &Path) -> StageResult<()> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .at(path)
}
