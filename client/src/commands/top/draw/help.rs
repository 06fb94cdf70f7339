//! What the keys do, over everything else.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph};

use super::Theme;

const KEYS: [(&str, &str); 14] = [
    ("↑ ↓   j k", "another run; the choice stays with it"),
    ("PgUp PgDn", "a page of runs"),
    ("Home   g", "the first run, whichever that becomes"),
    ("End   G", "the last run"),
    ("← →   M m", "another metric"),
    ("y", "values even, by powers of ten, or as suits them"),
    ("/", "only runs with this in id, name, kind or state"),
    ("f", "all runs, live ones, failed ones"),
    ("Tab", "the next pane"),
    ("z   Enter", "that pane alone, and back"),
    ("l", "the log alone: ↑↓ scroll, End follows"),
    ("Ctrl-L", "draw everything anew"),
    ("Ctrl-Z", "back to the shell; `fg` comes here again"),
    ("q   Esc", "leave; Esc closes first what is open"),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let line = |(key, text): &(&'static str, &'static str)| {
        Line::from(vec![
            Span::styled(format!(" {key:<11}"), theme.heading()),
            Span::raw(*text),
        ])
    };
    let lines: Vec<Line<'_>> = KEYS.iter().map(line).collect();
    let height = Constraint::Length(lines.len() as u16 + 2);
    let [middle] = Layout::vertical([height])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    let width = Constraint::Length(64);
    let [middle] = Layout::horizontal([width])
        .flex(ratatui::layout::Flex::Center)
        .areas(middle);
    let block = Block::bordered()
        .border_type(BorderType::Thick)
        .title(Span::styled(" begat top only reads ", theme.heading()))
        .title_bottom(" any key closes this ");
    frame.render_widget(Clear, middle);
    frame.render_widget(Paragraph::new(lines).block(block), middle);
}
