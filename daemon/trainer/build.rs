//! Compiles the C++ shim against the same libtorch that tch links, and makes binaries find that libtorch at run time.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Include libtorch's headers; compiled for the baseline CPU.
const TORCH_FILES: [&str; 3] = [
    "shim/settings.cpp",
    "shim/optimizer.cpp",
    "shim/functions.cpp",
];

/// Include no libtorch header; compiled for AVX2 + FMA, and called only where the CPU has them.
const KERNEL_FILES: [&str; 4] = [
    "shim/kernels_product.cpp",
    "shim/kernels_attention.cpp",
    "shim/kernels_rows.cpp",
    "shim/kernels_output.cpp",
];

fn main() {
    let lib = PathBuf::from(
        env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys publishes the libtorch it links"),
    );
    let lib = lib.canonicalize().unwrap_or_else(|error| {
        panic!(
            "libtorch is not at {} ({error}); run `make libtorch`",
            lib.display()
        )
    });
    compile_shim(&lib.with_file_name("include"));
    link(&lib);
}

fn compile_shim(include: &Path) {
    println!("cargo:rerun-if-changed=shim");
    base()
        .include(include)
        .include(include.join("torch/csrc/api/include"))
        .flag("-D_GLIBCXX_USE_CXX11_ABI=1")
        .files(TORCH_FILES)
        .compile("begat_shim");
    // No contraction: which products are fused is written out, so that another compiler gives the same bits.
    base()
        .flags(["-mavx2", "-mfma", "-ffp-contract=off"])
        .files(KERNEL_FILES)
        .compile("begat_kernels");
}

fn base() -> cc::Build {
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .pic(true)
        .warnings(false)
        .opt_level(3)
        .flag("-std=c++17");
    build
}

/// tch's own link arguments do not reach the binaries of crates that depend on it, so they are repeated here.
fn link(lib: &Path) {
    println!("cargo:rustc-env=BEGAT_LIBTORCH_LIB={}", lib.display());
    println!("cargo:rustc-link-search=native={}", lib.display());
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    // For an installed binary with libtorch beside it.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/begat");
    println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
    println!("cargo:rustc-link-lib=dylib=torch");
}
