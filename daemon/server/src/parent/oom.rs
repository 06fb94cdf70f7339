//! Whether the kernel's out-of-memory killer ended a stage: a verdict, not a guess.
//!
//! The kernel counts its kills per control group (version 1 in `memory.oom_control`, version 2 in `memory.events`), and for
//! the whole machine in `/proc/vmstat`. A stage that died of signal 9 while the count of its group grew was killed for its
//! memory; the machine's count serves only where the group has none.

use std::path::{Path, PathBuf};

/// A counter of kills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kills {
    file: PathBuf,
    count: u64,
}

/// The counter that this process's control group has, as it stands.
pub(super) fn kills() -> Option<Kills> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    files(&groups).into_iter().find_map(read)
}

/// Whether signal 9 came while the counter grew.
pub(super) fn killed_since(before: Option<&Kills>, signal: Option<i32>) -> bool {
    let grown =
        |before: &Kills| read(before.file.clone()).is_some_and(|now| now.count > before.count);
    signal == Some(libc::SIGKILL) && before.is_some_and(grown)
}

fn read(file: PathBuf) -> Option<Kills> {
    let count = count(&std::fs::read_to_string(&file).ok()?)?;
    Some(Kills { file, count })
}

/// The number beside `oom_kill`.
fn count(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// Where the counter may stand, the best place first. In a container the path may be the host's, so the group that is
/// mounted as the root comes after it.
fn files(groups: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let path = path.trim_start_matches('/');
        if controllers.split(',').any(|name| name == "memory") {
            let memory = root.join("memory");
            files.push(memory.join(path).join("memory.oom_control"));
            files.push(memory.join("memory.oom_control"));
        } else if controllers.is_empty() {
            files.push(root.join(path).join("memory.events"));
            files.push(root.join("memory.events"));
        }
    }
    files.push(PathBuf::from("/proc/vmstat"));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_and_the_machine_are_read() {
        assert_eq!(
            count("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
            Some(3)
        );
        assert_eq!(
            count("low 0\noom 2\noom_kill 1\noom_group_kill 0\n"),
            Some(1)
        );
        assert_eq!(count("nr_free_pages 5\noom_kill 7\n"), Some(7));
        assert_eq!(count("oom_kill_disable 0\n"), None);
    }

    #[test]
    fn the_groups_own_counter_comes_first() {
        let found = files("5:memory:/jobs/a\n0::/jobs/b\n");
        let expected = [
            "/sys/fs/cgroup/memory/jobs/a/memory.oom_control",
            "/sys/fs/cgroup/memory/memory.oom_control",
            "/sys/fs/cgroup/jobs/b/memory.events",
            "/sys/fs/cgroup/memory.events",
            "/proc/vmstat",
        ];
        assert_eq!(found, expected.map(PathBuf::from));
    }

    #[test]
    fn only_signal_9_with_a_growing_counter_is_the_kernels_doing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("memory.events");
        std::fs::write(&file, "oom_kill 1\n").unwrap();
        let before = read(file.clone());
        assert!(!killed_since(before.as_ref(), Some(9)));
        std::fs::write(&file, "oom_kill 2\n").unwrap();
        assert!(killed_since(before.as_ref(), Some(9)));
        assert!(!killed_since(before.as_ref(), Some(15)));
        assert!(!killed_since(before.as_ref(), None));
        assert!(!killed_since(None, Some(9)));
    }
}
