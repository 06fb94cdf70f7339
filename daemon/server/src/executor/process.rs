//! Who a process is, for longer than its number is its own.
//!
//! Numbers are given anew. A number, the start time that the kernel counts in ticks since the boot, and the boot's id
//! together name one process for ever.

use std::path::Path;

/// A process, named for ever.
pub use begat_ledger::Process;

/// What `/proc/PID/stat` says that is of use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    /// Whether it has ended and only its parent does not know yet.
    pub ended: bool,
    /// Its session.
    pub session: u32,
    /// When it started, in ticks since the boot.
    pub start_ticks: u64,
}

/// The boot's id.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// The process that has the number `pid` now.
pub fn identify(pid: u32) -> Option<Process> {
    stat(pid).map(|stat| Process {
        pid,
        start_ticks: stat.start_ticks,
        boot_id: boot_id(),
    })
}

/// Whether `process` is still there.
pub fn is_alive(process: &Process) -> bool {
    stat(process.pid).is_some_and(|stat| !stat.ended && stat.start_ticks == process.start_ticks)
        && boot_id() == process.boot_id
}

pub(super) fn stat(pid: u32) -> Option<Stat> {
    let path = Path::new("/proc").join(pid.to_string()).join("stat");
    parse(&std::fs::read_to_string(path).ok()?)
}

/// The name, in brackets, may hold anything; the fields after it are numbers (`man 5 proc`).
fn parse(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Stat {
        ended: matches!(field(3)?, "Z" | "X"),
        session: field(6)?.parse().ok()?,
        start_ticks: field(22)?.parse().ok()?,
    })
}

/// Every process of `session` that started no earlier than `start_ticks`.
pub(super) fn members(session: u32, start_ticks: u64) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| {
            stat(pid).is_some_and(|stat| {
                stat.session == session && !stat.ended && stat.start_ticks >= start_ticks
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_is_no_trouble() {
        let text = "7 (a) b (c)) S 1 7 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0";
        let expected = Stat {
            ended: false,
            session: 5,
            start_ticks: 4711,
        };
        assert_eq!(parse(text), Some(expected));
        assert_eq!(parse("7 (a"), None);
    }

    #[test]
    fn a_number_given_anew_is_another_process() {
        let own = identify(std::process::id()).unwrap();
        assert!(is_alive(&own));
        let earlier = Process {
            start_ticks: own.start_ticks - 1,
            ..own.clone()
        };
        let before_the_boot = Process {
            boot_id: "another".to_owned(),
            ..own
        };
        assert!(!is_alive(&earlier) && !is_alive(&before_the_boot));
    }
}
