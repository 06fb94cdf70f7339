//! Colours, and what stands for them where there are none. No meaning is by colour alone.

use begat_schemas::RunState;
use ratatui::style::{Color, Modifier, Style};

/// How things look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Theme {
    /// Whether colours may be used.
    pub color: bool,
}

impl Theme {
    fn paint(self, color: Color) -> Style {
        match self.color {
            true => Style::new().fg(color),
            false => Style::new(),
        }
    }

    /// What is as it should be.
    pub fn good(self) -> Style {
        self.paint(Color::Green)
    }

    /// What went wrong.
    pub fn bad(self) -> Style {
        self.paint(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// What is at work.
    pub fn busy(self) -> Style {
        self.paint(Color::Cyan)
    }

    /// What waits.
    pub fn waits(self) -> Style {
        self.paint(Color::Yellow)
    }

    /// What matters less.
    pub fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// A name of what follows.
    pub fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is chosen.
    pub fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// A run's state.
    pub fn state(self, state: RunState) -> Style {
        match state {
            RunState::Succeeded => self.good(),
            RunState::Failed => self.bad(),
            RunState::Running | RunState::Storing => self.busy(),
            RunState::Queued | RunState::Interrupted | RunState::Cancelled => self.waits(),
        }
    }

    /// How full something is, 0 to 1: from four fifths on it deserves a look, from nineteen twentieths on it is bad.
    pub fn fullness(self, part: f64) -> Style {
        match part {
            0.95.. => self.bad(),
            0.8.. => self.waits(),
            _ => self.good(),
        }
    }
}
