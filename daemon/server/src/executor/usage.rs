//! What the processes of stages use, by the session that their parent began.

use std::collections::BTreeMap;

use super::Process;

/// What a stage's processes use.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Processor time, user and system, of those that live and of those that they waited for, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory, in bytes; pages that several share count in each.
    pub memory_bytes: u64,
}

/// What the sessions of these parents use now, by process id; one look at all processes serves all.
pub fn usage(parents: &[Process]) -> BTreeMap<u32, Usage> {
    let started: BTreeMap<u32, u64> = parents
        .iter()
        .map(|parent| (parent.pid, parent.start_ticks))
        .collect();
    let mut found = BTreeMap::new();
    if started.is_empty() {
        return found;
    }
    let ticks = procfs::ticks_per_second() as f64;
    let page = procfs::page_size();
    let processes = procfs::process::all_processes().into_iter().flatten();
    for stat in processes.filter_map(|process| process.ok()?.stat().ok()) {
        let session = u32::try_from(stat.session).unwrap_or(0);
        if started
            .get(&session)
            .is_some_and(|begun| stat.starttime >= *begun)
        {
            let waited_for = (stat.cutime + stat.cstime).max(0) as f64;
            let own: &mut Usage = found.entry(session).or_default();
            own.cpu_seconds += ((stat.utime + stat.stime) as f64 + waited_for) / ticks;
            own.memory_bytes += stat.rss * page;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::super::process::identify;
    use super::*;

    #[test]
    fn a_session_uses_what_its_processes_use() {
        // It works for longer than a tick, says so, and then waits to be ended.
        let works = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; echo done; read end";
        let mut child = Command::new("setsid")
            .args(["sh", "-c", works])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut said).unwrap();
        let mut parent = identify(child.id()).unwrap();
        let found = usage(std::slice::from_ref(&parent));
        parent.start_ticks = u64::MAX;
        let of_another = usage(&[parent]);
        child.kill().unwrap();
        child.wait().unwrap();
        let own = found[&child.id()];
        assert!(own.memory_bytes > 1 << 16, "{found:?}");
        assert!(own.cpu_seconds > 0.0, "{found:?}");
        assert_eq!(of_another, BTreeMap::new());
    }
}
