//! From a state to cells: one part of the screen a file. Nothing here decides; a state of any kind can be drawn at any size.

mod curves;
mod devices;
mod footer;
mod header;
mod help;
mod layout;
mod log;
mod runs;
mod store;
mod theme;

#[cfg(test)]
mod tests;

use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph, TableState, Tabs};

use super::state::{Pane, State};
use super::text::cut;
use layout::Places;
pub use theme::Theme;

/// What drawing needs to remember from one time to the next.
#[derive(Debug, Default)]
pub struct Painter {
    theme: Theme,
    table: TableState,
}

impl Painter {
    /// A painter that may use colours, or may not.
    pub fn new(color: bool) -> Self {
        Self {
            theme: Theme { color },
            table: TableState::default(),
        }
    }

    /// Draws everything. Gives the rows of a page, which the keys go by.
    pub fn draw(&mut self, frame: &mut Frame<'_>, state: &State) -> usize {
        let area = frame.area();
        let Some(places) = Places::of(area, state) else {
            too_small(frame, area);
            return 1;
        };
        header::draw(frame, places.header, state, self.theme);
        if let Some(table) = places.runs {
            runs::draw(frame, table, state, self.theme, &mut self.table);
        }
        if let Some(chosen) = places.chosen {
            runs::draw_chosen(frame, chosen, state, self.theme);
        }
        if let Some(tabs) = places.tabs {
            draw_tabs(frame, tabs, state, self.theme);
        }
        for (pane, area) in &places.panes {
            self.pane(frame, *pane, *area, state, places.framed);
        }
        footer::draw(frame, places.footer, state, self.theme);
        if state.help {
            help::draw(frame, area, self.theme);
        }
        let page = places.runs.or(places.panes.first().map(|(_, area)| *area));
        page.map_or(1, |area| usize::from(area.height.saturating_sub(3)).max(1))
    }

    fn pane(&self, frame: &mut Frame<'_>, pane: Pane, area: Rect, state: &State, framed: bool) {
        let inner = match framed {
            false => area,
            true => {
                let title = pane_title(pane, state);
                let title = format!(
                    " {} ",
                    cut(&title, usize::from(area.width.saturating_sub(4)))
                );
                let focused = state.pane == pane;
                let block = self.block(title, focused);
                let inner = block.inner(area);
                frame.render_widget(block, area);
                inner
            }
        };
        match pane {
            Pane::Curves => curves::draw(frame, inner, state, self.theme),
            Pane::Devices => devices::draw(frame, inner, state, self.theme),
            Pane::Store => store::draw(frame, inner, state, self.theme),
            Pane::Log => log::draw(frame, inner, state, self.theme),
        }
    }

    /// A frame; that of the pane with the keys is thick, so that it needs no colour.
    fn block(&self, title: String, focused: bool) -> Block<'static> {
        let (kind, style) = match focused {
            true => (BorderType::Thick, self.theme.busy()),
            false => (BorderType::Rounded, self.theme.dim()),
        };
        let title = Span::styled(title, self.theme.heading());
        Block::bordered()
            .border_type(kind)
            .border_style(style)
            .title(title)
    }
}

fn pane_title(pane: Pane, state: &State) -> String {
    match (pane, state.chosen()) {
        (Pane::Curves | Pane::Log, Some(run)) => {
            let follows = match pane {
                Pane::Log => log::position(state),
                _ => curves::position(state),
            };
            format!("{} of {}{follows}", pane.name(), super::state::name(run))
        }
        _ => pane.name().to_owned(),
    }
}

fn draw_tabs(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let at = Pane::ALL.iter().position(|pane| *pane == state.pane);
    let tabs = Tabs::new(Pane::ALL.map(Pane::name))
        .select(at)
        .style(theme.dim())
        .highlight_style(theme.chosen())
        .divider("│");
    frame.render_widget(tabs, area);
}

fn too_small(frame: &mut Frame<'_>, area: Rect) {
    let text = format!(
        "begat top needs {}×{} characters; here are {}×{}",
        layout::WIDTH_MIN,
        layout::HEIGHT_MIN,
        area.width,
        area.height
    );
    let wrap = ratatui::widgets::Wrap { trim: true };
    frame.render_widget(Paragraph::new(text).wrap(wrap), area);
}

/// A few lines in the middle of an area that has nothing else to show.
fn say(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'_>>) {
    let height = u16::try_from(lines.len())
        .unwrap_or(u16::MAX)
        .min(area.height);
    let top = area.y + (area.height - height) / 2;
    let middle = Rect {
        y: top,
        height,
        ..area
    };
    frame.render_widget(Paragraph::new(lines).alignment(Alignment::Center), middle);
}
