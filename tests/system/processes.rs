//! Finding and killing processes, as a test must.

use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

/// Sends `signal` to the process; nothing happens if it is gone.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// The processes whose arguments or environment name something below `folder`, by their program's file name.
pub fn below(folder: &Path) -> Vec<(u32, String)> {
    let wanted = folder.display().to_string();
    let own = std::process::id();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        if pid != own && mentions(pid, &wanted) {
            found.push((pid, name_of(pid)));
        }
    }
    found
}

/// The stages that run below `folder`: processes called `begat-stage`, or whatever `name` says.
pub fn stages(folder: &Path, name: &str) -> Vec<u32> {
    below(folder)
        .into_iter()
        .filter(|(_, program)| program == name)
        .map(|(pid, _)| pid)
        .collect()
}

/// Kills everything that runs below `folder`.
pub fn kill_all_below(folder: &Path) {
    for (pid, _) in below(folder) {
        signal(pid, Signal::KILL);
    }
}

fn mentions(pid: u32, wanted: &str) -> bool {
    ["cmdline", "environ"].iter().any(|file| {
        let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(wanted)
    })
}

fn name_of(pid: u32) -> String {
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    program
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The work folder of a running stage.
pub fn work_folder(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// Whether the stage that worked in `folder` ended by itself: its parent wrote down how, or a daemon has sealed it since.
pub fn has_ended(folder: &Path) -> bool {
    folder.join("exit.json").exists() || !folder.exists()
}

/// Lets the owner write a file that was sealed.
pub fn make_writable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Sets the largest file that the running process `pid` may write, in bytes.
pub fn limit_file_size(pid: u32, soft: u64, hard: u64) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let limit = rustix::process::Rlimit {
        current: Some(soft),
        maximum: Some(hard),
    };
    rustix::process::prlimit(pid, rustix::process::Resource::Fsize, limit).unwrap();
}
