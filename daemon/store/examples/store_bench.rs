//! Ingests folders into a fresh store and restores them: `store_bench FOLDER... [--store DIR]`.
//!
//! Each folder is added and committed like a checkpoint, then all are laid out again and compared with what was added. Prints
//! MB/s by the wall and by the CPU (MB = 10⁶ bytes), stored bytes and peak memory, one `name value` a line, for `make bench`.
#![allow(
    clippy::disallowed_methods,
    reason = "it reads /proc and removes its own folders"
)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use begat_store::{Materialise, Store, StoreOptions};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let mut folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let mut place = std::env::temp_dir();
    if let Some(at) = folders
        .iter()
        .position(|argument| argument == Path::new("--store"))
    {
        folders.remove(at);
        if at < folders.len() {
            place = folders.remove(at);
        }
    }
    if folders.is_empty() {
        return Err("usage: store_bench FOLDER... [--store DIR]".into());
    }
    let place = place.join(format!("begat-store-bench.{}", std::process::id()));
    let outcome = bench(&folders, &place);
    std::fs::remove_dir_all(&place)?;
    outcome
}

fn bench(folders: &[PathBuf], place: &Path) -> Outcome<()> {
    let (store, _) = Store::open(StoreOptions::new(place.join("store")))?;
    let mut trees = Vec::new();
    let mut bytes = 0;
    let watch = Watch::start()?;
    for folder in folders {
        let added = store.add_folder(folder)?;
        store.commit()?;
        bytes += added.tree.size();
        trees.push(added.digest);
    }
    watch.report("ingest", bytes)?;
    let statistics = store.statistics()?;
    println!("bytes {bytes}");
    println!("stored_bytes {}", statistics.stored_bytes);
    println!("ratio {:.4}", bytes as f64 / statistics.stored_bytes as f64);
    println!("unique_bytes {}", statistics.unique_bytes);
    println!("chunks {}", statistics.chunks);
    store.close()?;

    let watch = Watch::start()?;
    let (store, _) = Store::open(StoreOptions::new(place.join("store")))?;
    println!("open_seconds {:.4}", watch.wall.elapsed().as_secs_f64());
    let out = place.join("out");
    std::fs::create_dir_all(&out)?;
    let watch = Watch::start()?;
    let options = Materialise {
        read_only: false,
        durable: false,
    };
    for (at, tree) in trees.iter().enumerate() {
        store.materialise(*tree, &out.join(at.to_string()), options)?;
    }
    watch.report("restore", bytes)?;
    let watch = Watch::start()?;
    for (at, tree) in trees.iter().enumerate() {
        let again = store.add_folder(&out.join(at.to_string()))?;
        if again.digest != *tree {
            return Err(format!("{tree} came back as {}", again.digest).into());
        }
    }
    watch.report("duplicate_ingest", bytes)?;
    println!("peak_memory_bytes {}", status("VmHWM:")? * 1024);
    store.close()?;
    Ok(())
}

/// Wall clock and CPU time from a moment on.
struct Watch {
    wall: Instant,
    cpu: f64,
}

impl Watch {
    fn start() -> Outcome<Self> {
        Ok(Self {
            wall: Instant::now(),
            cpu: cpu_seconds()?,
        })
    }

    fn report(&self, what: &str, bytes: u64) -> Outcome<()> {
        let megabytes = bytes as f64 / 1e6;
        let cpu = cpu_seconds()? - self.cpu;
        println!(
            "{what}_wall_mb_per_second {:.1}",
            megabytes / self.wall.elapsed().as_secs_f64()
        );
        println!("{what}_cpu_mb_per_second {:.1}", megabytes / cpu);
        Ok(())
    }
}

/// User and system time of this process, in ticks of 10 ms.
fn cpu_seconds() -> Outcome<f64> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = text
        .rsplit_once(") ")
        .ok_or("no process name in /proc/self/stat")?
        .1;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .ok_or("a short /proc/self/stat")
            .map(|field| field.parse::<f64>())
    };
    Ok((ticks(11)?? + ticks(12)??) / 100.0)
}

/// A field of /proc/self/status, in its own unit.
fn status(name: &str) -> Outcome<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text
        .lines()
        .find(|line| line.starts_with(name))
        .ok_or("no such field")?;
    Ok(line
        .split_whitespace()
        .nth(1)
        .ok_or("an empty field")?
        .parse()?)
}
