//! Where the words go: data to standard output, talk to standard error, colours and bars only where a person looks.

use std::io::{self, IsTerminal, Write};

/// What the two outputs can do.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether results may be coloured.
    pub stdout_color: bool,
    /// Whether talk may be coloured.
    pub stderr_color: bool,
    /// Whether bars may move on standard error.
    pub bars: bool,
    /// Whether the whole screen may be drawn on: standard output is a terminal that can move its cursor.
    pub full_screen: bool,
    /// Columns of the terminal; none if results go elsewhere and need no wrapping.
    pub width: Option<u16>,
}

impl Terminal {
    /// Looks at the process's outputs and at NO_COLOR and TERM.
    pub fn detect() -> Self {
        let (stdout, stderr) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = !dumb && !no_color;
        let width = stdout.then(|| console::Term::stdout().size().1);
        Self {
            stdout_is_terminal: stdout,
            stdout_color: stdout && color,
            stderr_color: stderr && color,
            bars: stderr && !dumb,
            full_screen: stdout && !dumb,
            width,
        }
    }

    /// Writes a piece of a result.
    pub fn data(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Says a line.
    pub fn say(&self, line: &str) {
        self.say_raw(&format!("{line}\n"));
    }

    /// Says something; if nobody listens, so be it.
    pub fn say_raw(&self, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}
