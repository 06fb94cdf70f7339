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
    use super::super::process::identify;
    use super::*;

    #[test]
    fn the_own_session_uses_something() {
        let session = rustix::process::getsid(None).unwrap().as_raw_pid() as u32;
        let Some(mut parent) = identify(session) else {
            // The session's first process may be gone; then there is nobody to ask for.
            return;
        };
        let found = usage(std::slice::from_ref(&parent));
        assert!(found[&session].memory_bytes > 1 << 20, "{found:?}");
        parent.start_ticks = u64::MAX;
        assert_eq!(usage(&[parent]), BTreeMap::new());
    }
}
