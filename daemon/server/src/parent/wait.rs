//! Signals and `wait4`, for which the standard library has no words.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::Pid;

/// How the stage ended, and what it used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub status: Option<i32>,
    pub signal: Option<i32>,
    pub peak_memory_bytes: u64,
    pub cpu_milliseconds: u64,
}

/// The signals that are taken one by one instead of ending this process.
pub(super) struct Signals(libc::sigset_t);

impl Signals {
    pub(super) fn block() -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the set; the other calls get a set that is initialised.
        let (set, failed) = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            let mut set = set.assume_init();
            for signal in [
                libc::SIGTERM,
                libc::SIGINT,
                libc::SIGHUP,
                libc::SIGUSR1,
                libc::SIGCHLD,
            ] {
                libc::sigaddset(&mut set, signal);
            }
            let failed = libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            (set, failed)
        };
        match failed {
            0 => Ok(Self(set)),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// The next signal, waited for.
    pub(super) fn next(&self) -> io::Result<i32> {
        let mut signal = 0;
        // SAFETY: both pointers lead to initialised values of the right types.
        match unsafe { libc::sigwait(&self.0, &mut signal) } {
            0 => Ok(signal),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// How the child `pid` ended, if it did; does not wait.
pub(super) fn ended(pid: Pid) -> io::Result<Option<Ended>> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers lead to memory of the right types; zeroes are a valid rusage.
    let (found, usage) = unsafe {
        let found = libc::wait4(
            pid.as_raw_nonzero().get(),
            &mut status,
            libc::WNOHANG,
            usage.as_mut_ptr(),
        );
        (found, usage.assume_init())
    };
    match found {
        0 => Ok(None),
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            error => Err(error),
        },
        _ => Ok(Some(describe(ExitStatus::from_raw(status), &usage))),
    }
}

fn describe(status: ExitStatus, usage: &libc::rusage) -> Ended {
    let milliseconds = |time: libc::timeval| time.tv_sec as u64 * 1000 + time.tv_usec as u64 / 1000;
    Ended {
        status: status.code(),
        signal: status.signal(),
        // Linux counts it in units of 1024 bytes.
        peak_memory_bytes: usage.ru_maxrss as u64 * 1024,
        cpu_milliseconds: milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime),
    }
}
