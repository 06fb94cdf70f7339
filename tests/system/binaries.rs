//! The programs under test, built from this checkout.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The checkout's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The program `name`. Plain `cargo test` does not build other packages' programs, so the first call does.
pub fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build).join(name)
}

/// An example of the trainer: a test build of `begat-stage`.
pub fn example(name: &str) -> PathBuf {
    program("examples").join(name)
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let packages = ["begatd", "begat-client", "begat-trainer"];
    let mut command = Command::new(cargo);
    command
        .current_dir(root())
        .args(["build", "--quiet", "--bins", "--examples"]);
    for package in packages {
        command.args(["--package", package]);
    }
    assert!(
        command.status().unwrap().success(),
        "the programs under test do not build"
    );
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().to_owned()
}

/// A program of Debian's that `make tools` fetched; `None`, and a line for the test command to list, where there is none.
pub fn debian_tool(name: &str, test: &str) -> Option<PathBuf> {
    let path = root().join(".tools/usr/bin").join(name);
    if path.exists() {
        return Some(path);
    }
    not_run(test, &format!("{name} (make tools)"));
    None
}

/// Says that `test` did not run for want of `what`, in a line for the test command to list.
pub fn not_run(test: &str, what: &str) {
    let line = format!("{test}: needs {what}\n");
    eprint!("not run: {line}");
    if let Some(list) = std::env::var_os("BEGAT_NOT_RUN") {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(list)
            .unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}
