//! When which drop is to be looked at: a table of deadlines, without any clock or file of its own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::{Duration, Instant};

/// What was seen to happen to a drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// It was renamed into the folder, so that it is complete.
    Arrived,
    /// Something in it changed.
    Changed,
    /// It is not there any more.
    Gone,
}

/// How sure it is that a drop is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// It was renamed in.
    Complete,
    /// Nothing was seen to change for the settle time, which still has to be compared with what its files say.
    Quiet,
}

/// The drops that have to be looked at, and when.
#[derive(Debug)]
pub(super) struct Drops {
    settle: Duration,
    due: BTreeMap<OsString, (Instant, Trust)>,
}

impl Drops {
    pub(super) fn new(settle: Duration) -> Self {
        Self {
            settle,
            due: BTreeMap::new(),
        }
    }

    /// Something happened to the drop `name`.
    pub(super) fn seen(&mut self, name: OsString, sight: Sight, now: Instant) {
        match sight {
            Sight::Arrived => self.due.insert(name, (now, Trust::Complete)),
            Sight::Changed => self.due.insert(name, (now + self.settle, Trust::Quiet)),
            Sight::Gone => self.due.remove(&name),
        };
    }

    /// Looks at `name` again after `pause`.
    pub(super) fn again(&mut self, name: OsString, now: Instant, pause: Duration) {
        self.due.insert(name, (now + pause, Trust::Quiet));
    }

    /// Whether something happened to `name` since it was last taken.
    pub(super) fn is_waiting(&self, name: &OsString) -> bool {
        self.due.contains_key(name)
    }

    /// When the next drop is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.values().map(|(due, _)| *due).min()
    }

    /// Takes a drop that is due.
    pub(super) fn take(&mut self, now: Instant) -> Option<(OsString, Trust)> {
        let due = |entry: &(&OsString, &(Instant, Trust))| entry.1.0 <= now;
        let (name, (_, trust)) = self.due.iter().find(due)?;
        let taken = (name.clone(), *trust);
        self.due.remove(&taken.0);
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(5);

    fn check(sights: &[(u64, Sight)], at: u64, expected: Option<Trust>) {
        let start = Instant::now();
        let second = |seconds| start + Duration::from_secs(seconds);
        let mut drops = Drops::new(SETTLE);
        for (seconds, sight) in sights {
            drops.seen("rows".into(), *sight, second(*seconds));
        }
        let taken = drops.take(second(at)).map(|(_, trust)| trust);
        assert_eq!(taken, expected, "{sights:?} at {at}");
    }

    #[test]
    fn a_drop_is_due_when_it_is_complete() {
        use Sight::{Arrived, Changed, Gone};
        check(&[(0, Arrived)], 0, Some(Trust::Complete));
        check(&[(0, Changed)], 4, None);
        check(&[(0, Changed)], 5, Some(Trust::Quiet));
        check(&[(0, Changed), (3, Changed)], 7, None);
        check(&[(0, Changed), (3, Changed)], 8, Some(Trust::Quiet));
        check(&[(0, Changed), (1, Arrived)], 1, Some(Trust::Complete));
        check(&[(0, Arrived), (1, Changed)], 1, None);
        check(&[(0, Changed), (1, Gone)], 100, None);
    }

    #[test]
    fn what_was_taken_waits_no_more() {
        let now = Instant::now();
        let mut drops = Drops::new(SETTLE);
        drops.seen("a".into(), Sight::Arrived, now);
        drops.seen("b".into(), Sight::Changed, now);
        assert_eq!(drops.next(), Some(now));
        assert_eq!(drops.take(now), Some(("a".into(), Trust::Complete)));
        assert_eq!(drops.take(now), None);
        assert!(!drops.is_waiting(&"a".into()));
        assert_eq!(drops.next(), Some(now + SETTLE));
    }
}
