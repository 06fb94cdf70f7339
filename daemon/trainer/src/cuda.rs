//! Loading CUDA at run time.
//!
//! The program is linked to the CPU part of libtorch only, so that one binary runs everywhere. `libtorch_cuda.so` registers
//! itself with libtorch when it is loaded; that has to happen before the first CUDA call.

use crate::{
    error::{Error, Result},
    shim,
};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::{path::PathBuf, sync::OnceLock};
use tch::Device;

const LIBRARY: &str = "libtorch_cuda.so";
const DRIVER: &str = "libcuda.so.1";

/// Opens the GPU of that number, or says which part is missing.
pub(crate) fn open(name: &str, number: usize) -> Result<Device> {
    let missing = |missing: String| Error::Device {
        device: name.to_owned(),
        missing,
    };
    load().map_err(missing)?;
    let count = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
    if number >= count {
        return Err(missing(format!("the NVIDIA driver shows {count} GPUs")));
    }
    Ok(Device::Cuda(number))
}

/// Loads the driver and libtorch's CUDA part once per process.
fn load() -> Result<(), String> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    LOADED.get_or_init(load_once).clone()
}

fn load_once() -> Result<(), String> {
    if shim::has_cuda() {
        return Ok(());
    }
    open_library(DRIVER).map_err(|error| format!("no NVIDIA driver: {error}"))?;
    let candidates = candidates();
    let Some(path) = candidates.iter().find(|path| path.exists()) else {
        let places: Vec<String> = candidates
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return Err(format!(
            "no {LIBRARY} (looked at {}); `make libtorch CUDA=1` fetches it",
            places.join(", ")
        ));
    };
    // cuBLAS reads this when it starts; with it, its results are reproducible on one stream.
    if std::env::var_os("CUBLAS_WORKSPACE_CONFIG").is_none() {
        // SAFETY: called before any thread of ours reads the environment, and before CUDA starts threads of its own.
        unsafe { std::env::set_var("CUBLAS_WORKSPACE_CONFIG", ":4096:8") };
    }
    open_library(path.as_path())
        .map_err(|error| format!("{} does not load: {error}", path.display()))?;
    if shim::has_cuda() {
        Ok(())
    } else {
        Err(format!(
            "{} loaded, but libtorch does not see CUDA",
            path.display()
        ))
    }
}

/// The library stays loaded for the life of the process.
fn open_library(name: impl libloading::AsFilename) -> Result<(), libloading::Error> {
    // SAFETY: the libraries' initialisers are those of the driver and of the libtorch that this program is built for.
    let library = unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) }?;
    std::mem::forget(library);
    Ok(())
}

/// Where the CUDA part can lie: a folder that the user names, the libtorch of the build, and what `make libtorch CUDA=1` makes.
fn candidates() -> Vec<PathBuf> {
    let named = std::env::var_os("BEGAT_LIBTORCH_CUDA").map(PathBuf::from);
    let current = std::env::var_os("LIBTORCH").map(|folder| PathBuf::from(folder).join("lib"));
    let built = PathBuf::from(env!("BEGAT_LIBTORCH_LIB"));
    let fetched = built.with_file_name("cuda").join("torch/lib");
    named
        .into_iter()
        .chain(current)
        .chain([built, fetched])
        .map(|folder| folder.join(LIBRARY))
        .collect()
}

/// The first GPU's name, as the driver reports it.
pub(crate) fn device_name() -> Option<String> {
    let gpus = std::fs::read_dir("/proc/driver/nvidia/gpus").ok()?;
    let first = gpus.flatten().next()?.path().join("information");
    let text = std::fs::read_to_string(first).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("Model:"))
        .map(|model| model.trim().to_owned())
}
