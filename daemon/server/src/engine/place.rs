//! The data folder: whose it is, and in which format.

use std::path::Path;

use begat_store::fs::{
    DiskFs, Fs, FsError, FsLock, create_dir_durable, read_file, write_file_atomic,
};

use super::EngineError;
use crate::config::Config;

/// The version of the data folder's format.
pub const DATA_FORMAT: u32 = 1;

const FORMAT_FILE: &str = "format";
const LOCK_FILE: &str = "lock";
const FORMAT_BYTES_MAX: u64 = 1024;

/// Makes the data folder if need be, and takes it for this process.
pub(super) fn take(config: &Config) -> Result<Box<dyn FsLock>, EngineError> {
    let data = &config.data;
    let text =
        |error: FsError| EngineError::start(format!("data folder {}: {error}", data.display()));
    create_dir_durable(&DiskFs, data).map_err(text)?;
    private(data);
    let path = data.join(LOCK_FILE);
    let lock = match DiskFs.lock(&path) {
        Ok(Ok(lock)) => lock,
        Ok(Err(holder)) => {
            let problem = format!("data folder {} is in use by {holder}", data.display());
            return Err(EngineError::start(problem));
        }
        Err(error) => {
            let problem = format!("data folder {}: cannot lock it: {error}", data.display());
            return Err(EngineError::start(problem));
        }
    };
    check_format(data).map_err(EngineError::start)?;
    for folder in [config.work_folder(), config.cache_folder()] {
        create_dir_durable(&DiskFs, &folder).map_err(text)?;
    }
    Ok(lock)
}

/// Only its user may look into the data folder.
fn private(data: &Path) {
    if let Err(error) = DiskFs.set_mode(data, 0o700) {
        tracing::debug!("cannot close {} to others: {error}", data.display());
    }
}

fn check_format(data: &Path) -> Result<(), String> {
    let path = data.join(FORMAT_FILE);
    let expected = format!("begat-data-{DATA_FORMAT}\n");
    let found = read_file(&DiskFs, &path, FORMAT_BYTES_MAX).map_err(|error| error.to_string())?;
    match found {
        None => write_file_atomic(&DiskFs, &path, expected.as_bytes())
            .map_err(|error| format!("data folder {}: {error}", data.display())),
        Some(found) if found == expected.as_bytes() => Ok(()),
        Some(found) => Err(format!(
            "data folder {} has format `{}`, this begatd reads format `{}`",
            data.display(),
            String::from_utf8_lossy(&found).trim(),
            expected.trim()
        )),
    }
}
