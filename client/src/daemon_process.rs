//! Starting and stopping the daemon beside this program.
//!
//! It gets a session of its own, so that closing the terminal or Ctrl-C in it does not reach it, and its log goes to
//! `begatd.log` in the data folder. It is ready when `/readyz` says so, never after a set time.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use begat_client::Client;
use rustix::process::{Pid, Signal};

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// Pauses between questions whether it is ready, or gone.
const PAUSE: Duration = Duration::from_millis(20);
/// After so long a wait something is said.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// A second daemon that was started at the same moment wins; so long the loser's client waits for it.
const OTHER_MAX: Duration = Duration::from_secs(10);
/// Lines of the log that are shown if it does not start.
const LOG_LINES: usize = 8;

/// Starts a daemon with further `arguments` and waits until it is ready.
pub async fn start(context: &Context, arguments: &[OsString]) -> Result<(), Failure> {
    let data = &context.settings.data;
    let program = program()?;
    let log = data.join("begatd.log");
    let from = std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
    let child = spawn(&program, data, &log, arguments)
        .map_err(|error| Failure::new(format!("cannot start {}: {error}", program.display())))?;
    context.terminal.say(&format!(
        "starting begatd for {} (process {}, log {})",
        data.display(),
        child.id(),
        log.display()
    ));
    let client = Client::new(context.settings.socket())?;
    wait_until_ready(context, &client, child, &log, from).await
}

/// The daemon's program: the one beside this one.
fn program() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()
        .map_err(|error| Failure::new(format!("cannot tell where this program is: {error}")))?;
    let program = own.with_file_name("begatd");
    if program.is_file() {
        return Ok(program);
    }
    Err(
        Failure::new(format!("there is no daemon program {}", program.display()))
            .hint("install `begatd` beside `begat`"),
    )
}

fn spawn(program: &Path, data: &Path, log: &Path, arguments: &[OsString]) -> io::Result<Child> {
    std::fs::create_dir_all(data)?;
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(log)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("BEGAT_DATA", data)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    // SAFETY: setsid is async-signal-safe and touches no memory of the parent.
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(io::Error::from));
    }
    command.spawn()
}

async fn wait_until_ready(
    context: &Context,
    client: &Client,
    mut child: Child,
    log: &Path,
    from: u64,
) -> Result<(), Failure> {
    let (started, mut said, mut ended) = (Instant::now(), false, None);
    loop {
        if context.settings.data.join("endpoint.json").exists()
            && client.is_ready().await.unwrap_or(false)
        {
            return Ok(());
        }
        if ended.is_none() {
            let status = child.try_wait();
            ended = status.ok().flatten().map(|status| (status, Instant::now()));
        }
        if let Some((status, at)) = ended {
            // It may have lost against another daemon that is still starting.
            let lost = log_tail(log, from)
                .iter()
                .any(|line| is_about_the_lock(line));
            if !lost || at.elapsed() > OTHER_MAX {
                return Err(did_not_start(status, log, from));
            }
        }
        if !said && started.elapsed() > SILENCE_MAX {
            context.terminal.say("waiting for begatd to be ready");
            said = true;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn is_about_the_lock(line: &str) -> bool {
    line.contains("data folder") && line.contains("is in use by")
}

fn did_not_start(status: std::process::ExitStatus, log: &Path, from: u64) -> Failure {
    let message = format!(
        "begatd did not start ({status}); the end of {}:",
        log.display()
    );
    let mut failure = Failure::new(message);
    failure.facts = log_tail(log, from);
    failure
}

/// The last lines that were logged from a byte on.
fn log_tail(log: &Path, from: u64) -> Vec<String> {
    let text = std::fs::read(log).unwrap_or_default();
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(text.len());
    let text = String::from_utf8_lossy(&text[from..]);
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(LOG_LINES);
    lines[skipped..]
        .iter()
        .map(|line| crate::text::printable(line))
        .collect()
}

/// Asks the daemon `pid` to end, and waits until it has.
pub async fn stop(context: &Context, pid: u32) -> Result<(), Failure> {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = number.ok_or_else(|| Failure::new(format!("{pid} is no process id")))?;
    if let Err(error) = rustix::process::kill_process(pid, Signal::TERM) {
        let message = format!("cannot stop process {}: {error}", pid.as_raw_nonzero());
        return Err(Failure::of(ExitCode::Failure, message));
    }
    let (started, mut said) = (Instant::now(), false);
    while is_alive(pid) {
        if !said && started.elapsed() > SILENCE_MAX {
            context.terminal.say("waiting for begatd to end");
            said = true;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// A process that has ended but was not waited for (by whoever started it) is gone for our purposes.
fn is_alive(pid: Pid) -> bool {
    if rustix::process::test_kill_process(pid).is_err() {
        return false;
    }
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.map_or(true, |stat| !is_zombie(&stat))
}

/// The state follows the program's name, which stands in brackets and may itself hold some.
fn is_zombie(stat: &str) -> bool {
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zombie_is_known_by_its_state() {
        assert!(is_zombie("12 (begatd) Z 1 12"));
        assert!(!is_zombie("12 (begatd) S 1 12"));
        assert!(!is_zombie("12 (a) Z b) R 1 12"));
    }

    #[test]
    fn a_port_in_use_is_not_waited_for() {
        assert!(is_about_the_lock(
            "begatd: data folder /d is in use by process 7"
        ));
        assert!(!is_about_the_lock(
            "begatd: cannot listen on :1: the port is in use by another program"
        ));
    }

    #[test]
    fn the_logs_end_is_that_of_this_start() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("begatd.log");
        std::fs::write(&log, "an older start\nport in use\n").unwrap();
        assert_eq!(log_tail(&log, 15), ["port in use"]);
        assert_eq!(log_tail(&log, 99), Vec::<String>::new());
    }
}
