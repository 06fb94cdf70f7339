//! The parent of a stage: `begatd stage-parent WORK`, hidden.
//!
//! It does three things: it begins when told to, it passes signals on, and it writes down how its stage ended. It has no
//! runtime, no threads and no other state, because it must outlive the daemon whatever happens to that.
//!
//! SIGTERM goes on to the stage's process group; SIGUSR1 kills that group. Neither ends the parent itself.

mod oom;
mod wait;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use begat_schemas::{CONTRACT, Exit, Time, WORK_VARIABLE, layout};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use wait::{Ended, Signals};

/// In a work folder: what its parent is to start.
pub const SPAWN: &str = "spawn.json";

/// In a work folder: there once the stage was let go.
pub const BEGUN: &str = "begun";

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpawnSpec {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The working folder.
    pub folder: PathBuf,
    /// Variables besides the daemon's own.
    pub environment: BTreeMap<String, String>,
}

/// Runs as the parent of the stage in `work`.
pub fn run(work: &Path) -> io::Result<()> {
    // Blocked before anything else, so that no signal ends this process.
    let signals = Signals::block()?;
    let _ = rustix::process::setsid();
    if !released()? {
        return Ok(());
    }
    File::create(work.join(BEGUN))?;
    let started = Time::now();
    let kills = oom::kills();
    let exit = match start(work) {
        Ok(pid) => {
            let ended = guard(&signals, pid)?;
            // What the stage left in its group would go on writing into a folder that is read now.
            let _ = kill_process_group(pid, Signal::KILL);
            exit(
                started,
                &ended,
                oom::killed_since(kills.as_ref(), ended.signal),
            )
        }
        Err(error) => never_started(started, &error),
    };
    write_exit(work, &exit)
}

/// Whether the daemon let the stage begin; it did not if it died first.
fn released() -> io::Result<bool> {
    let mut byte = [0];
    Ok(io::stdin().read(&mut byte)? == 1)
}

fn start(work: &Path) -> io::Result<Pid> {
    let spec: SpawnSpec = serde_json::from_slice(&std::fs::read(work.join(SPAWN))?)?;
    let (program, arguments) = spec
        .argv
        .split_first()
        .ok_or_else(|| io::Error::other("no program is named"))?;
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .open(work.join(layout::STDERR))?;
    let child = Command::new(program)
        .args(arguments)
        .current_dir(&spec.folder)
        .envs(&spec.environment)
        .env(WORK_VARIABLE, work)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .map_err(|error| named(program, &spec.folder, error))?;
    Pid::from_raw(child.id() as i32).ok_or_else(|| io::Error::other("the process has no number"))
}

fn named(program: &str, folder: &Path, error: io::Error) -> io::Error {
    let text = format!("cannot start `{program}` in {}: {error}", folder.display());
    io::Error::new(error.kind(), text)
}

/// Waits for the stage, passing signals on.
fn guard(signals: &Signals, pid: Pid) -> io::Result<Ended> {
    loop {
        if let Some(ended) = wait::ended(pid)? {
            return Ok(ended);
        }
        match signals.next()? {
            libc::SIGTERM => drop(kill_process_group(pid, Signal::TERM)),
            libc::SIGUSR1 => drop(kill_process_group(pid, Signal::KILL)),
            _ => {}
        }
    }
}

fn exit(started: Time, ended: &Ended, oom_killed: bool) -> Exit {
    Exit {
        contract: CONTRACT,
        status: ended.status,
        signal: ended.signal,
        peak_memory_bytes: ended.peak_memory_bytes,
        oom_killed,
        spawn_error: None,
        cpu_milliseconds: ended.cpu_milliseconds,
        started,
        ended: Time::now(),
    }
}

fn never_started(started: Time, error: &io::Error) -> Exit {
    Exit {
        contract: CONTRACT,
        status: None,
        signal: None,
        peak_memory_bytes: 0,
        oom_killed: false,
        spawn_error: Some(error.to_string()),
        cpu_milliseconds: 0,
        started,
        ended: Time::now(),
    }
}

/// Beside, synced, renamed, the folder synced: it is there whole or not at all.
fn write_exit(work: &Path, exit: &Exit) -> io::Result<()> {
    let beside = work.join(format!("{}.new", layout::EXIT));
    let mut file = File::create(&beside)?;
    file.write_all(&serde_json::to_vec(exit)?)?;
    file.sync_all()?;
    std::fs::rename(&beside, work.join(layout::EXIT))?;
    File::open(work)?.sync_all()
}
