use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use begat_demo::{Progress, Size, Summary};
use begat_schemas::api::{DemoData, DemoDataset, DemoFile};
use clap::{Args, ValueEnum};

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render::{bytes, count};

/// Build the demo's datasets from the sources of published crates
#[derive(Debug, Args)]
#[command(after_help = "\
The sources come through `cargo vendor --locked` from the registry that cargo is set up with. The same lock file gives
the same bytes everywhere. `begat add FOLDER/corpus --name demo/corpus` and so on store the datasets.")]
pub struct Arguments {
    /// The folder to write to; it must be new or empty
    folder: PathBuf,
    /// The folder of the manifest and lock file that name the crates
    #[arg(long, value_name = "FOLDER", default_value = "configs/demo")]
    manifest: PathBuf,
    /// How much data
    #[arg(long, value_enum, default_value_t = DataSize::Demo)]
    size: DataSize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DataSize {
    /// For the demo: minutes of training on two cores
    Demo,
    /// For tests: seconds
    Test,
}

/// What `cargo vendor` needs of the manifest's folder.
const PARTS: [&str; 3] = ["Cargo.toml", "Cargo.lock", "src/lib.rs"];

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let sources = tempfile::tempdir()
            .map_err(|error| Failure::new(format!("cannot make a temporary folder: {error}")))?;
        context.terminal.say("fetching the crates' sources: cargo vendor --locked");
        let vendored = vendor(&self.manifest, sources.path())?;
        let size = match self.size {
            DataSize::Demo => Size::Demo,
            DataSize::Test => Size::Test,
        };
        let say = |progress| match progress {
            Progress::Reading { crates_done, crates } if crates_done == crates => {
                context.terminal.say(&format!("read {crates} crates"));
            }
            Progress::Writing { dataset } => context.terminal.say(&format!("writing {dataset}")),
            _ => {}
        };
        let summary = begat_demo::build(&vendored, &self.folder, size, &say)?;
        context.print(&described(&summary), |_| text(&summary))?;
        Ok(ExitCode::Success)
    }
}

/// Copies the manifest, so that nothing is written beside it, and lets cargo fetch what it locks.
fn vendor(manifest: &Path, folder: &Path) -> Result<PathBuf, Failure> {
    for part in PARTS {
        let (from, to) = (manifest.join(part), folder.join(part));
        let copied = to
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::copy(&from, &to));
        copied.map_err(|error| {
            Failure::of(ExitCode::BadInput, format!("cannot copy {}: {error}", from.display()))
                .hint("`--manifest` names the folder of the demo's Cargo.toml, configs/demo in begat's sources")
        })?;
    }
    let vendored = folder.join("vendor");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(&cargo)
        .args(["vendor", "--locked", "--quiet"])
        .arg(&vendored)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| {
            Failure::new(format!("cannot run {}: {error}", cargo.display()))
                .hint("the demo's data is built from crates that cargo fetches: install Rust")
        })?;
    if status.success() {
        Ok(vendored)
    } else {
        Err(Failure::new(format!("cargo vendor failed ({status})"))
            .hint("it needs the crate registry that cargo is set up with"))
    }
}

fn described(summary: &Summary) -> DemoData {
    let files = |dataset: &begat_demo::DatasetSummary| {
        let files = dataset.files.iter().map(|file| DemoFile {
            name: file.name.clone(),
            rows: file.rows as u64,
            bytes: file.bytes as u64,
        });
        files.collect()
    };
    let datasets = summary.datasets.iter().map(|dataset| DemoDataset {
        name: dataset.name.clone(),
        files: files(dataset),
    });
    DemoData {
        datasets: datasets.collect(),
        crates: summary.crates as u64,
        crates_held_out: summary.crates_held_out as u64,
        pairs: summary.pairs as u64,
    }
}

fn text(summary: &Summary) -> String {
    let mut text = format!(
        "{} crates, {} of them held out; {} documented signatures\n",
        count(summary.crates as u64),
        count(summary.crates_held_out as u64),
        count(summary.pairs as u64)
    );
    for dataset in &summary.datasets {
        for file in &dataset.files {
            let name = format!("{}/{}", dataset.name, file.name);
            text.push_str(&format!(
                "{name:<36}{:>8} rows  {:>9}\n",
                count(file.rows as u64),
                bytes(file.bytes as u64)
            ));
        }
    }
    text
}
