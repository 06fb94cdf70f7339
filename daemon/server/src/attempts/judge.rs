//! What is to be thought of how a process ended: pure.

use begat_schemas::{Exit, StageKind};

use crate::scheduler::Verdict;

/// By which a stage says that it was asked to stop and left a checkpoint (`EX_TEMPFAIL`).
const EXIT_STOPPED: i32 = 75;
/// What a shell makes of a signal that ended its child.
const SHELL_SIGNAL: i32 = 128;

/// All that is known of how a stage ended.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What its parent wrote down.
    pub exit: Option<Exit>,
    /// Whether its parent let it begin.
    pub begun: bool,
    /// Whether its journal says that its outputs are complete.
    pub finished: bool,
    /// Why it gave up, by its journal.
    pub failed: Option<String>,
    /// The last line of its log.
    pub last_line: Option<String>,
    /// Whether the machine was booted since it began.
    pub rebooted: bool,
}

/// How a stage of `kind` ended.
pub fn judge(kind: StageKind, evidence: &Evidence) -> Verdict {
    let Some(exit) = &evidence.exit else {
        if !evidence.begun {
            return Verdict::NeverBegan;
        }
        return interrupted(if evidence.rebooted {
            "the machine was started anew"
        } else {
            "its parent process was killed"
        });
    };
    if let Some(error) = &exit.spawn_error {
        return Verdict::Failed {
            reason: error.clone(),
        };
    }
    if exit.oom_killed {
        return interrupted(&format!(
            "the kernel killed it for its memory: it had used {}",
            bytes(exit.peak_memory_bytes)
        ));
    }
    match (exit.status, exit.signal) {
        (Some(0), _) => ended_well(kind, evidence),
        (Some(status), _) => ended_badly(status, evidence),
        (None, Some(signal)) => by_signal(signal),
        (None, None) => interrupted("it ended in an unknown way"),
    }
}

/// A program of any kind may keep no journal, so its exit status must do; a built-in stage says when it is finished.
fn ended_well(kind: StageKind, evidence: &Evidence) -> Verdict {
    match &evidence.failed {
        Some(reason) => Verdict::Failed {
            reason: reason.clone(),
        },
        None if evidence.finished || kind == StageKind::Command => Verdict::Succeeded,
        None => interrupted("it stopped before it was finished"),
    }
}

fn ended_badly(status: i32, evidence: &Evidence) -> Verdict {
    if let Some(reason) = &evidence.failed {
        return Verdict::Failed {
            reason: reason.clone(),
        };
    }
    match status {
        EXIT_STOPPED => interrupted("it was asked to stop"),
        status if ends_from_outside(status - SHELL_SIGNAL) => by_signal(status - SHELL_SIGNAL),
        status => Verdict::Failed {
            reason: match &evidence.last_line {
                Some(line) => format!("it exited with status {status}: {line}"),
                None => format!("it exited with status {status}"),
            },
        },
    }
}

fn ends_from_outside(signal: i32) -> bool {
    matches!(
        signal,
        libc::SIGKILL | libc::SIGTERM | libc::SIGINT | libc::SIGHUP
    )
}

/// Someone's signal interrupts; a crash of its own would only come again.
fn by_signal(signal: i32) -> Verdict {
    if ends_from_outside(signal) {
        interrupted(&format!("signal {signal} ended it"))
    } else {
        Verdict::Failed {
            reason: format!("it crashed with signal {signal}"),
        }
    }
}

fn interrupted(reason: &str) -> Verdict {
    Verdict::Interrupted {
        reason: reason.to_owned(),
    }
}

fn bytes(count: u64) -> String {
    format!("{:.2} GiB", count as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;
    use begat_schemas::{CONTRACT, Time};

    fn exit(status: Option<i32>, signal: Option<i32>) -> Exit {
        Exit {
            contract: CONTRACT,
            status,
            signal,
            peak_memory_bytes: 3 << 30,
            oom_killed: false,
            spawn_error: None,
            cpu_milliseconds: 1,
            started: Time::from_milliseconds(0),
            ended: Time::from_milliseconds(1),
        }
    }

    fn check(kind: StageKind, evidence: Evidence, expected: &str) {
        let found = match judge(kind, &evidence) {
            Verdict::Succeeded => "succeeded".to_owned(),
            Verdict::NeverBegan => "never began".to_owned(),
            Verdict::Failed { reason } => format!("failed: {reason}"),
            Verdict::Interrupted { reason } => format!("interrupted: {reason}"),
        };
        assert_eq!(found, expected);
    }

    fn ended(status: Option<i32>, signal: Option<i32>) -> Evidence {
        Evidence {
            exit: Some(exit(status, signal)),
            ..Evidence::default()
        }
    }

    #[test]
    fn success_needs_the_stages_word_unless_it_is_any_program() {
        use StageKind::{Command, Sft};
        let said = Evidence {
            finished: true,
            ..ended(Some(0), None)
        };
        check(Sft, said, "succeeded");
        check(Command, ended(Some(0), None), "succeeded");
        check(
            Sft,
            ended(Some(0), None),
            "interrupted: it stopped before it was finished",
        );
        let doubt = Evidence {
            failed: Some("loss is NaN".into()),
            ..ended(Some(0), None)
        };
        check(Command, doubt, "failed: loss is NaN");
    }

    #[test]
    fn what_came_from_outside_interrupts_and_what_came_from_itself_fails() {
        use StageKind::Pretrain;
        check(
            Pretrain,
            ended(None, Some(9)),
            "interrupted: signal 9 ended it",
        );
        check(
            Pretrain,
            ended(Some(143), None),
            "interrupted: signal 15 ended it",
        );
        check(
            Pretrain,
            ended(Some(75), None),
            "interrupted: it was asked to stop",
        );
        check(
            Pretrain,
            ended(None, Some(11)),
            "failed: it crashed with signal 11",
        );
        check(Pretrain, Evidence::default(), "never began");
        let begun = Evidence {
            begun: true,
            ..Evidence::default()
        };
        check(
            Pretrain,
            begun.clone(),
            "interrupted: its parent process was killed",
        );
        let rebooted = Evidence {
            rebooted: true,
            ..begun
        };
        check(
            Pretrain,
            rebooted,
            "interrupted: the machine was started anew",
        );
        let status = Evidence {
            last_line: Some("no such file".into()),
            ..ended(Some(2), None)
        };
        check(
            Pretrain,
            status,
            "failed: it exited with status 2: no such file",
        );
    }

    #[test]
    fn the_kernels_killer_is_named_with_the_memory() {
        let mut exit = exit(None, Some(9));
        exit.oom_killed = true;
        let evidence = Evidence {
            exit: Some(exit),
            ..Evidence::default()
        };
        let told = "interrupted: the kernel killed it for its memory: it had used 3.00 GiB";
        check(StageKind::Sft, evidence, told);
    }
}
