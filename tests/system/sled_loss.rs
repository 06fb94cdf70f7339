//! sled is the index and only that: whatever becomes of its folder, the next start serves the same answers.

use std::path::{Path, PathBuf};

use begat_tests::{Cli, Home, add_test_data};

fn answers(cli: &Cli) -> Vec<String> {
    vec![
        cli.ok(["--json", "runs"]),
        cli.ok(["lineage", "test-gpt/sft", "--format", "json"]),
        cli.ok(["--json", "tag"]),
        cli.ok(["--json", "show", "test-gpt"]),
        cli.ok(["--json", "show", "test-gpt/sft"]),
    ]
}

/// sled's folders: those that hold its `conf` file.
fn sled_folders(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.join("conf").exists() && path.join("db").exists() {
                found.push(path);
            } else {
                sled_folders(&path, found);
            }
        }
    }
}

fn each_file(folders: &[PathBuf], act: impl Fn(&Path)) {
    for folder in folders {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_file() {
                act(&entry.path());
            }
        }
    }
}

type Damage<'a> = (&'a str, &'a dyn Fn(&[PathBuf]));

#[test]
fn deleted_truncated_emptied_and_flipped() {
    let home = Home::new();
    let daemon = home.start();
    add_test_data(&home);
    let cli = home.cli();
    cli.json(["launch", "configs/recipes/test/gpt.toml", "--follow"]);
    let before = answers(&cli);
    daemon.stop();

    let damages: [Damage<'_>; 4] = [
        ("deleted", &|folders| {
            folders
                .iter()
                .for_each(|folder| std::fs::remove_dir_all(folder).unwrap())
        }),
        ("emptied", &|folders| {
            each_file(folders, |file| std::fs::remove_file(file).unwrap())
        }),
        ("cut short", &|folders| {
            each_file(folders, |file| {
                let length = std::fs::metadata(file).unwrap().len();
                std::fs::File::options()
                    .write(true)
                    .open(file)
                    .unwrap()
                    .set_len(length / 2)
                    .unwrap();
            });
        }),
        ("flipped", &|folders| {
            each_file(folders, |file| {
                let mut bytes = std::fs::read(file).unwrap();
                bytes.iter_mut().step_by(97).for_each(|byte| *byte ^= 0x55);
                std::fs::write(file, bytes).unwrap();
            });
        }),
    ];
    for (what, damage) in damages {
        let mut folders = Vec::new();
        sled_folders(&home.data(), &mut folders);
        assert!(!folders.is_empty(), "there is an index to lose");
        damage(&folders);
        let daemon = home.start();
        assert_eq!(answers(&cli), before, "after the index was {what}");
        daemon.stop();
    }
    let output = home
        .command(&begat_tests::program("begatd"))
        .arg("rebuild-index")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let _daemon = home.start();
    assert_eq!(answers(&cli), before, "after rebuild-index");
}
