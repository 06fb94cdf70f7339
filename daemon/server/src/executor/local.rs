//! Stages as processes of this machine.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::config::SECRET_VARIABLE;

use super::process::{identify, is_alive, members};
use super::{Executor, ExecutorError, Held, Process, Stop, Waiting};

/// How often a process is looked at where no pidfd can be had.
const POLL: Duration = Duration::from_millis(200);
/// How long to wait for killed processes to be gone.
const SWEEP_ROUNDS: u32 = 500;

/// Runs stages as processes of this machine.
#[derive(Debug)]
pub struct LocalExecutor {
    program: PathBuf,
    /// The parents that are this process's own children, so that they do not stay as zombies.
    children: Arc<Mutex<HashMap<u32, Child>>>,
}

impl LocalExecutor {
    /// Starts parents as `program stage-parent WORK`.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            children: Arc::default(),
        }
    }
}

impl Executor for LocalExecutor {
    fn spawn(&self, work: &Path) -> Result<Held, ExecutorError> {
        let error = |source| ExecutorError::Spawn {
            program: self.program.clone(),
            source,
        };
        let mut child = Command::new(&self.program)
            // A secret of the daemon's, which no stage needs.
            .env_remove(SECRET_VARIABLE)
            .arg("stage-parent")
            .arg(work)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(error)?;
        let gate = child.stdin.take();
        let process = identify(child.id());
        let pid = child.id();
        self.children.lock().insert(pid, child);
        match (gate, process) {
            (Some(gate), Some(process)) => Ok(Held { process, gate }),
            _ => Err(error(io::Error::other("it was gone at once"))),
        }
    }

    fn ended(&self, process: &Process) -> Waiting {
        let (process, children) = (process.clone(), Arc::clone(&self.children));
        Box::pin(async move {
            match open(&process) {
                Opened::Gone => {}
                Opened::Readable(descriptor) => wait_readable(descriptor, &process).await,
                Opened::Unsupported => poll(&process).await,
            }
            let child = children.lock().remove(&process.pid);
            if let Some(mut child) = child {
                // It has ended, so this does not wait.
                let _ = child.wait();
            }
        })
    }

    fn stop(&self, process: &Process, how: Stop) -> Result<(), ExecutorError> {
        let signal = match how {
            Stop::Ask => Signal::TERM,
            Stop::Kill => Signal::USR1,
        };
        match open(process) {
            Opened::Readable(descriptor) => match pidfd_send_signal(&descriptor, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
                Err(source) => Err(ExecutorError::Signal {
                    pid: process.pid,
                    source: source.into(),
                }),
            },
            Opened::Gone => Ok(()),
            Opened::Unsupported => Err(ExecutorError::Signal {
                pid: process.pid,
                source: io::ErrorKind::Unsupported.into(),
            }),
        }
    }

    fn sweep(&self, process: &Process) {
        if process.boot_id != super::boot_id() {
            return;
        }
        for _ in 0..SWEEP_ROUNDS {
            let left = members(process.pid, process.start_ticks);
            if left.is_empty() {
                return;
            }
            for pid in left.into_iter().filter_map(|pid| Pid::from_raw(pid as i32)) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        tracing::warn!(
            session = process.pid,
            "processes of an ended stage do not go away"
        );
    }
}

enum Opened {
    Gone,
    Readable(OwnedFd),
    Unsupported,
}

/// The identity is looked at after the descriptor is open: from then on the number cannot be given anew unnoticed.
fn open(process: &Process) -> Opened {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
        return Opened::Gone;
    };
    match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Ok(descriptor) if is_alive(process) => Opened::Readable(descriptor),
        Ok(_) | Err(rustix::io::Errno::SRCH) => Opened::Gone,
        Err(_) => Opened::Unsupported,
    }
}

async fn wait_readable(descriptor: OwnedFd, process: &Process) {
    // SAFETY: an OwnedFd is the same open descriptor for as long as the AsyncFd owns it.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    match registered {
        Ok(descriptor) => {
            if descriptor.readable().await.is_err() {
                poll(process).await;
            }
        }
        Err(_) => poll(process).await,
    }
}

async fn poll(process: &Process) {
    while is_alive(process) {
        tokio::time::sleep(POLL).await;
    }
}
