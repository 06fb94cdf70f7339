//! A terminal to type into and to look at: tmux, with a server of the test's own.

use std::path::PathBuf;
use std::process::Command;

use crate::{debian_tool, root, wait_for};

/// A tmux server with one window; dropped, it is killed.
pub struct Tmux {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Tmux {
    /// Starts `command` of the shell in a terminal of this size. `None` where tmux is not installed, which the test command
    /// then lists for `test`.
    pub fn start((columns, rows): (u16, u16), command: &str, test: &str) -> Option<Self> {
        let tmux = Self {
            program: debian_tool("tmux", test)?,
            folder: tempfile::tempdir().unwrap(),
        };
        let size = [columns, rows].map(|number| number.to_string());
        let [columns, rows] = &size;
        tmux.ask(&["new-session", "-d", "-x", columns, "-y", rows, command]);
        Some(tmux)
    }

    /// Asks the server for something; its answer.
    #[track_caller]
    fn ask(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let libraries = root().join(".tools");
        let libraries = ["usr/lib", "lib"].map(|folder| {
            let folder = libraries.join(folder).join("x86_64-linux-gnu");
            folder.display().to_string()
        });
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LD_LIBRARY_PATH", libraries.join(":"))
            .env("TMUX_TMPDIR", self.folder.path())
            .args(["-u", "-L", "test", "-f", "/dev/null"])
            .args(arguments);
        command
    }

    /// Types keys by tmux's names: `Down`, `Enter`, `C-c`, or characters.
    pub fn press(&self, keys: &[&str]) {
        self.ask(&[&["send-keys", "-t", "0", "--"], keys].concat());
    }

    /// Types a text as it is.
    pub fn write(&self, text: &str) {
        self.ask(&["send-keys", "-t", "0", "-l", "--", text]);
    }

    /// What is to be seen.
    pub fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p", "-t", "0"])
    }

    /// Waits until the screen is as `probe` wants it, and gives what that found.
    #[track_caller]
    pub fn see<T>(&self, what: &str, probe: impl Fn(&str) -> Option<T>) -> T {
        let mut last = String::new();
        let guard = Shown(&mut last);
        wait_for(what, || {
            *guard.0 = self.screen();
            probe(guard.0)
        })
    }

    /// Waits until a text is on the screen.
    #[track_caller]
    pub fn see_text(&self, text: &str) {
        self.see(text, |screen| screen.contains(text).then_some(()));
    }

    /// Waits until a text has left the screen.
    #[track_caller]
    pub fn see_no(&self, text: &str) {
        self.see(&format!("no {text}"), |screen| {
            (!screen.contains(text)).then_some(())
        });
    }

    /// Makes the terminal larger or smaller.
    pub fn resize(&self, columns: u16, rows: u16) {
        let size = [columns, rows].map(|number| number.to_string());
        self.ask(&["resize-window", "-t", "0", "-x", &size[0], "-y", &size[1]]);
    }

    /// Whether a program has the alternate screen, and whether the cursor is shown.
    pub fn modes(&self) -> (bool, bool) {
        let answer = self.ask(&[
            "display-message",
            "-p",
            "-t",
            "0",
            "#{alternate_on} #{cursor_flag}",
        ]);
        let (alternate, cursor) = answer.trim().split_once(' ').unwrap();
        (alternate == "1", cursor == "1")
    }

    /// The processes that the terminal's shell started.
    pub fn children(&self) -> Vec<u32> {
        let shell = self.ask(&["display-message", "-p", "-t", "0", "#{pane_pid}"]);
        let path = format!("/proc/{0}/task/{0}/children", shell.trim());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.command(&["kill-server"]).output();
    }
}

/// The last screen, which a failed test prints.
struct Shown<'a>(&'a mut String);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the screen\n{}", self.0);
        }
    }
}
