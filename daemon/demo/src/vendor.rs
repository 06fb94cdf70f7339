//! Reading vendored crates: the folder that `cargo vendor` wrote in, skeletons and documented functions out.
//!
//! What is no Rust that the parser knows is skipped and counted, for it is skipped alike on every machine. What the
//! system fails to read is an error: data built without it would have other bytes and nobody would know why.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Deserialize;

use crate::build::Progress;
use crate::error::BuildError;
use crate::gold::nesting_exceeds;
use crate::skeleton::Skeleton;
use crate::split;

/// Larger files are generated tables.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// More brackets inside one another than that, and the recursive parser could run out of stack.
const NESTING_MAX: usize = 400;
/// For the recursive parser, in each thread.
const STACK_BYTES: usize = 64 << 20;

/// A crate's sources as far as the datasets need them.
#[derive(Debug)]
pub(crate) struct ReadCrate {
    pub(crate) name: String,
    pub(crate) version: semver::Version,
    pub(crate) license: String,
    /// By path.
    pub(crate) files: Vec<ReadFile>,
}

/// A source file.
#[derive(Debug)]
pub(crate) struct ReadFile {
    /// Inside the crate, with `/`.
    pub(crate) path: String,
    pub(crate) skeleton: Skeleton,
}

/// What was in the folder and is in no dataset, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Folders without a manifest that names a package and its version.
    pub crates_without_manifest: usize,
    /// Crates on the list of bindings and tables.
    pub crates_on_list: usize,
    /// Crates of which a newer version is there.
    pub crates_older: usize,
    /// Crates whose manifest states no licence that is surely permissive.
    pub crates_by_license: usize,
    /// Source files whose name or content is not UTF-8.
    pub files_not_utf8: usize,
    /// Source files over 1 MiB, or with brackets nested over 400 deep.
    pub files_too_large: usize,
    /// Source files that the parser does not take.
    pub files_not_parsed: usize,
}

/// Reads all usable crates of the folder, ordered by name.
pub(crate) fn read(
    folder: &Path,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(Vec<ReadCrate>, Skipped), BuildError> {
    let mut skipped = Skipped::default();
    let found = newest(usable(folder, &mut skipped)?, &mut skipped);
    if found.is_empty() {
        return Err(BuildError::NoCrates {
            path: folder.to_owned(),
        });
    }
    let count = found.len();
    let done = std::sync::atomic::AtomicUsize::new(0);
    let read_one = |found: FoundCrate| {
        let read = read_crate(found);
        let done = 1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        progress(Progress::Reading {
            crates_done: done,
            crates: count,
        });
        read
    };
    let threads = rayon::ThreadPoolBuilder::new()
        .stack_size(STACK_BYTES)
        .build();
    let threads = threads.map_err(|error| BuildError::Threads {
        reason: error.to_string(),
    })?;
    let read: Vec<Result<_, BuildError>> =
        threads.install(|| found.into_par_iter().map(read_one).collect());
    let mut crates = Vec::new();
    for read in read {
        let (one, counted) = read?;
        skipped.files_not_utf8 += counted.files_not_utf8;
        skipped.files_too_large += counted.files_too_large;
        skipped.files_not_parsed += counted.files_not_parsed;
        crates.push(one);
    }
    Ok((crates, skipped))
}

struct FoundCrate {
    folder: PathBuf,
    name: String,
    version: semver::Version,
    license: String,
}

#[derive(Deserialize)]
struct Manifest {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: semver::Version,
    license: Option<String>,
}

/// The crates in the folder that the rules do not exclude.
fn usable(folder: &Path, skipped: &mut Skipped) -> Result<Vec<FoundCrate>, BuildError> {
    let mut usable = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| BuildError::read(folder, error))? {
        let folder = entry
            .map_err(|error| BuildError::read(folder, error))?
            .path();
        if !folder.is_dir() {
            continue;
        }
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).ok();
        let Some(Manifest { package }) = manifest.and_then(|text| toml::from_str(&text).ok())
        else {
            skipped.crates_without_manifest += 1;
            continue;
        };
        if split::is_skipped(&package.name) {
            skipped.crates_on_list += 1;
            continue;
        }
        match package.license.filter(|license| is_permissive(license)) {
            Some(license) => usable.push(FoundCrate {
                folder,
                name: package.name,
                version: package.version,
                license,
            }),
            None => skipped.crates_by_license += 1,
        }
    }
    Ok(usable)
}

/// The newest version of each crate, by name: older ones repeat most of its text.
fn newest(mut found: Vec<FoundCrate>, skipped: &mut Skipped) -> Vec<FoundCrate> {
    found.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| b.version.cmp(&a.version)));
    let all = found.len();
    found.dedup_by(|later, earlier| later.name == earlier.name);
    skipped.crates_older = all - found.len();
    found
}

/// Whether one may use the text under licences that ask for no more than a notice.
fn is_permissive(license: &str) -> bool {
    const PERMISSIVE: [&str; 14] = [
        "0BSD",
        "Apache-2.0",
        "BSD-1-Clause",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "Unicode-3.0",
        "Unicode-DFS-2016",
        "Unlicense",
        "Zlib",
    ];
    let expression = spdx::Expression::parse_mode(license, spdx::ParseMode::LAX);
    expression.is_ok_and(|expression| {
        expression.evaluate(|wanted| {
            wanted
                .license
                .id()
                .is_some_and(|id| PERMISSIVE.contains(&id.name))
        })
    })
}

fn read_crate(found: FoundCrate) -> Result<(ReadCrate, Skipped), BuildError> {
    let mut skipped = Skipped::default();
    let mut files = Vec::new();
    for path in source_files(&found.folder)? {
        let Some(inside) = path_inside(&found.folder, &path) else {
            skipped.files_not_utf8 += 1;
            continue;
        };
        if let Some(skeleton) = read_file(&path, &mut skipped)? {
            files.push(ReadFile {
                path: inside,
                skeleton,
            });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((
        ReadCrate {
            name: found.name,
            version: found.version,
            license: found.license,
            files,
        },
        skipped,
    ))
}

/// The Rust files under `src`, without tests, examples and benchmarks.
fn source_files(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let source = folder.join("src");
    if !source.is_dir() {
        return Ok(Vec::new());
    }
    let left_out = [
        "tests", "test", "benches", "examples", "tests.rs", "test.rs",
    ];
    let walk = walkdir::WalkDir::new(&source).into_iter();
    let mut files = Vec::new();
    for entry in walk.filter_entry(|entry| !left_out.iter().any(|name| entry.file_name() == *name))
    {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(&source).to_owned();
            BuildError::read(
                &path,
                error
                    .into_io_error()
                    .unwrap_or_else(|| std::io::ErrorKind::Other.into()),
            )
        })?;
        if entry.file_type().is_file()
            && entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "rs")
        {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

fn path_inside(folder: &Path, path: &Path) -> Option<String> {
    let parts = path.strip_prefix(folder).ok()?.components();
    let parts: Option<Vec<&str>> = parts.map(|part| part.as_os_str().to_str()).collect();
    parts.map(|parts| parts.join("/"))
}

fn read_file(path: &Path, skipped: &mut Skipped) -> Result<Option<Skeleton>, BuildError> {
    let bytes = fs::metadata(path)
        .map_err(|error| BuildError::read(path, error))?
        .len();
    if bytes > FILE_BYTES_MAX {
        skipped.files_too_large += 1;
        return Ok(None);
    }
    let bytes = fs::read(path).map_err(|error| BuildError::read(path, error))?;
    let Ok(text) = String::from_utf8(bytes) else {
        skipped.files_not_utf8 += 1;
        return Ok(None);
    };
    if nesting_exceeds(&text, NESTING_MAX) {
        skipped.files_too_large += 1;
        return Ok(None);
    }
    match syn::parse_file(&text) {
        Ok(file) => Ok(Some(Skeleton::of(&file))),
        Err(_) => {
            skipped.files_not_parsed += 1;
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_permissive_licences_are_used() {
        for license in [
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "GPL-3.0 OR MIT",
        ] {
            assert!(is_permissive(license), "{license}");
        }
        for license in [
            "GPL-3.0",
            "MPL-2.0",
            "MIT AND GPL-3.0",
            "",
            "see the file",
            "LicenseRef-mine",
        ] {
            assert!(!is_permissive(license), "{license}");
        }
    }
}
