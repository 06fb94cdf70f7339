//! House rules, as a test: arrows between crates, who links libtorch, what the project never says.

use std::path::{Path, PathBuf};
use std::process::Command;

use begat_tests::root;

fn sources() -> Vec<PathBuf> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root())
        .args(["ls-files", "*.rs"])
        .output()
        .unwrap();
    assert!(output.status.success(), "tidy needs a git checkout");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| root().join(line))
        .filter(|path| path.exists())
        .collect()
}

fn dependencies(manifest: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(manifest)).unwrap();
    let normal = text.split("[dependencies]").nth(1).unwrap_or_default();
    let normal = normal.split("\n[").next().unwrap_or_default();
    normal
        .lines()
        .filter_map(|line| line.split(['=', '.', ' ']).next())
        .filter(|name| name.starts_with("begat"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn arrows_between_crates_point_one_way() {
    for (manifest, allowed) in [
        ("schemas/Cargo.toml", vec![]),
        ("daemon/demo/Cargo.toml", vec![]),
        ("daemon/store/Cargo.toml", vec!["begat-schemas"]),
        (
            "daemon/ledger/Cargo.toml",
            vec!["begat-schemas", "begat-store"],
        ),
        ("daemon/data/Cargo.toml", vec!["begat-schemas"]),
        (
            "daemon/trainer/Cargo.toml",
            vec!["begat-data", "begat-demo", "begat-schemas"],
        ),
        (
            "daemon/server/Cargo.toml",
            vec!["begat-ledger", "begat-schemas", "begat-store"],
        ),
        (
            "client/Cargo.toml",
            vec!["begat-data", "begat-demo", "begat-schemas"],
        ),
    ] {
        for dependency in dependencies(manifest) {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{manifest} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn only_the_trainer_links_libtorch() {
    for manifest in [
        "schemas",
        "daemon/data",
        "daemon/demo",
        "daemon/store",
        "daemon/ledger",
        "daemon/server",
        "client",
        "tests",
    ] {
        let text = std::fs::read_to_string(root().join(manifest).join("Cargo.toml")).unwrap();
        assert!(
            !text
                .lines()
                .any(|line| line.starts_with("tch") || line.starts_with("torch-sys")),
            "{manifest}"
        );
    }
}

#[test]
fn no_unfinished_code_and_no_ignored_test() {
    let banned = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
        concat!("#[ign", "ore"),
    ];
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        for word in banned {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

/// Packages in the lock file. The number may only shrink, or grow with a reason in the commit.
const LOCKED_PACKAGES_MAX: usize = 520;

#[test]
fn the_number_of_locked_packages_is_capped() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let count = lock.matches("[[package]]").count();
    assert!(count <= LOCKED_PACKAGES_MAX, "{count} packages");
}

/// Files longer than this hold more than one idea; the list of exceptions may only shrink.
const LINES_MAX: usize = 600;

#[test]
fn files_are_short() {
    let long: Vec<(PathBuf, usize)> = sources()
        .into_iter()
        .map(|path| {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            (path, lines)
        })
        .filter(|(_, lines)| *lines > LINES_MAX)
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn the_dependency_arrows_are_in_the_architecture_page() {
    let page = std::fs::read_to_string(Path::new(root()).join("ARCHITECTURE.md")).unwrap();
    for name in [
        "begat-schemas",
        "begat-store",
        "begat-ledger",
        "begat-data",
        "begat-demo",
        "begat-trainer",
        "begatd",
        "begat-client",
    ] {
        assert!(page.contains(name), "{name}");
    }
}
