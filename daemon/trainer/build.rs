//! Compiles the C++ shim against the same libtorch that tch links, and makes binaries find that libtorch at run time.

use std::{env, path::PathBuf};

const SHIM_FILES: [&str; 1] = ["shim/settings.cpp"];

fn main() {
    let lib = PathBuf::from(env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys publishes the libtorch it links"));
    let lib = lib.canonicalize().unwrap_or_else(|error| {
        panic!("libtorch is not at {} ({error}); run `make libtorch`", lib.display())
    });
    compile_shim(&lib.with_file_name("include"));
    link(&lib);
}

fn compile_shim(include: &PathBuf) {
    println!("cargo:rerun-if-changed=shim");
    cc::Build::new()
        .cpp(true)
        .pic(true)
        .warnings(false)
        .opt_level(3)
        .include(include)
        .include(include.join("torch/csrc/api/include"))
        .flag("-std=c++17")
        .flag("-D_GLIBCXX_USE_CXX11_ABI=1")
        .flag("-fopenmp")
        .files(SHIM_FILES)
        .compile("begat_shim");
}

/// tch's own link arguments do not reach the binaries of crates that depend on it, so they are repeated here.
fn link(lib: &std::path::Path) {
    println!("cargo:rustc-link-search=native={}", lib.display());
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    // For an installed binary with libtorch beside it.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/begat");
    println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
    println!("cargo:rustc-link-lib=dylib=torch");
}
