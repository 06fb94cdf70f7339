//! The terminal: taken when the watching begins, and given back however it ends.

use std::io;

use ratatui::DefaultTerminal;
use ratatui::crossterm::{execute, terminal};

use super::draw::Painter;
use super::state::State;

/// The whole screen of the terminal; dropped, it is as it was before. A panic gives it back too, before it says why.
pub struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the screen.
    pub fn enter() -> io::Result<Self> {
        let terminal = ratatui::try_init()?;
        Ok(Self { terminal })
    }

    /// Draws a state.
    pub fn draw(&mut self, painter: &mut Painter, state: &mut State) -> io::Result<()> {
        let mut page = state.page;
        self.terminal
            .draw(|frame| page = painter.draw(frame, state))?;
        state.page = page;
        Ok(())
    }

    /// Makes the next drawing a whole one. Clearing asks the terminal where its cursor is, and the thread that reads keys
    /// would get the answer; taking a size, be it the same, clears without a question.
    pub fn repaint(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    /// Gives the terminal back to the shell, and takes it again when the shell lets this process go on.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.terminal.show_cursor()?;
        ratatui::try_restore()?;
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::TSTP)?;
        terminal::enable_raw_mode()?;
        execute!(io::stdout(), terminal::EnterAlternateScreen)?;
        self.repaint()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nobody is left to tell if it fails.
        let _ = self.terminal.show_cursor();
        let _ = ratatui::try_restore();
    }
}
