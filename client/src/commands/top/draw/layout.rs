//! Where the parts of the screen are.
//!
//! A large terminal shows everything at once. A small one shows the list and below it the pane that has the keys; a zoomed
//! pane has all the room that header and footer leave.

use ratatui::layout::{Constraint, Layout, Rect};

use super::super::state::{Pane, State};

/// Below this nothing of use can be shown.
pub const WIDTH_MIN: u16 = 40;
pub const HEIGHT_MIN: u16 = 10;
/// From this on there is room for everything.
const WIDTH_LARGE: u16 = 110;
const HEIGHT_LARGE: u16 = 34;

/// The rows that the store's figures need, with their frame.
const STORE_ROWS: u16 = 7 + FRAME_ROWS;
const FRAME_ROWS: u16 = 2;

/// Where the parts are.
#[derive(Debug, Clone)]
pub struct Places {
    /// The line about the daemon.
    pub header: Rect,
    /// The list of runs.
    pub runs: Option<Rect>,
    /// The line about the chosen run.
    pub chosen: Option<Rect>,
    /// The panes' names, where only one is to be seen.
    pub tabs: Option<Rect>,
    /// The panes that are to be seen.
    pub panes: Vec<(Pane, Rect)>,
    /// Whether they have frames.
    pub framed: bool,
    /// The line about the keys.
    pub footer: Rect,
}

impl Places {
    /// None if the area is too small.
    pub fn of(area: Rect, state: &State) -> Option<Self> {
        if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
            return None;
        }
        let rows = [
            Constraint::Length(1),
            Constraint::Fill(1),
            Constraint::Length(1),
        ];
        let [header, body, footer] = Layout::vertical(rows).areas(area);
        let places = Self {
            header,
            runs: None,
            chosen: None,
            tabs: None,
            panes: Vec::new(),
            framed: true,
            footer,
        };
        Some(if state.zoomed {
            Self {
                panes: vec![(state.pane, body)],
                ..places
            }
        } else if area.width >= WIDTH_LARGE && area.height >= HEIGHT_LARGE {
            places.large(body, state)
        } else {
            places.small(body, state)
        })
    }

    fn small(self, body: Rect, state: &State) -> Self {
        let rows = [
            Constraint::Percentage(45),
            Constraint::Length(super::runs::rows_of_chosen(state, body.width)),
            Constraint::Length(1),
            Constraint::Fill(1),
        ];
        let [runs, chosen, tabs, pane] = Layout::vertical(rows).areas(body);
        Self {
            runs: Some(runs),
            chosen: Some(chosen),
            tabs: Some(tabs),
            panes: vec![(state.pane, pane)],
            framed: false,
            ..self
        }
    }

    fn large(self, body: Rect, state: &State) -> Self {
        let rows = [
            Constraint::Percentage(32),
            Constraint::Length(super::runs::rows_of_chosen(state, body.width)),
            Constraint::Fill(1),
        ];
        let [runs, chosen, rest] = Layout::vertical(rows).areas(body);
        let devices = super::devices::rows(state) + FRAME_ROWS;
        let right_rows = devices + STORE_ROWS;
        let rows = [Constraint::Min(right_rows), Constraint::Percentage(28)];
        let [upper, log] = Layout::vertical(rows).areas(rest);
        let columns = [
            Constraint::Fill(1),
            Constraint::Length(right_width(body.width)),
        ];
        let [curves, right] = Layout::horizontal(columns).areas(upper);
        let rows = [Constraint::Fill(1), Constraint::Length(STORE_ROWS)];
        let [devices, store] = Layout::vertical(rows).areas(right);
        Self {
            runs: Some(runs),
            chosen: Some(chosen),
            panes: vec![
                (Pane::Curves, curves),
                (Pane::Devices, devices),
                (Pane::Store, store),
                (Pane::Log, log),
            ],
            ..self
        }
    }
}

/// The column of devices and store: as wide as its lines, and no wider.
fn right_width(width: u16) -> u16 {
    (width * 2 / 5).clamp(50, 64)
}
