//! The line about the keys; while a filter is typed, the line it is typed in.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::state::{Pane, State};
use super::super::text::cut_left;
use super::Theme;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let line = match state.typing {
        Some(_) => typing(state, theme, usize::from(area.width)),
        None => keys(state, theme),
    };
    frame.render_widget(line, area);
}

fn typing(state: &State, theme: Theme, width: usize) -> Line<'static> {
    let help = "   Enter keeps it, Esc does not";
    let room = width.saturating_sub(help.len() + 9);
    Line::from(vec![
        Span::styled("filter: ", theme.heading()),
        Span::raw(cut_left(&state.list.filter, room)),
        Span::styled(" ", theme.chosen()),
        Span::styled(help, theme.dim()),
    ])
}

fn keys(state: &State, theme: Theme) -> Line<'static> {
    let mut spans = Vec::new();
    let log = state.zoomed && state.pane == Pane::Log;
    let shown = state.list.shown.name();
    let zoom = if state.zoomed { "back" } else { "zoom" };
    let keys: &[(&str, &str)] = match log {
        true => &[
            ("↑↓", "line"),
            ("PgUp PgDn", "page"),
            ("End", "follow"),
            ("l", "back"),
            ("Tab", "pane"),
            ("?", "help"),
            ("q", "quit"),
        ],
        false => &[
            ("↑↓", "run"),
            ("←→", "metric"),
            ("/", "filter"),
            ("f", shown),
            ("Tab", "pane"),
            ("z", zoom),
            ("l", "log"),
            ("?", "help"),
            ("q", "quit"),
        ],
    };
    if !state.list.filter.is_empty() {
        let filter = super::super::text::cut(&state.list.filter, 20);
        spans.push(Span::styled(
            format!(" filter: {filter} "),
            theme.waits().patch(theme.chosen()),
        ));
        spans.push(Span::raw(" "));
    }
    for (key, word) in keys {
        spans.push(Span::styled((*key).to_owned(), theme.heading()));
        spans.push(Span::styled(format!(" {word}  "), theme.dim()));
    }
    Line::from(spans)
}
