//! The log of the chosen run: its last lines, or those that were scrolled to.

use begat_schemas::RunState;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::state::{Pane, State};
use super::super::text::{cut, rows};
use super::{Theme, say};
use crate::render::count;

/// What of the log is looked at.
pub(super) fn position(state: &State) -> String {
    match state.detail().map(|detail| &detail.log) {
        Some(log) if !log.follows() => format!(
            " · up to line {} of {}, End follows",
            count(log.end() as u64),
            count(log.len() as u64)
        ),
        Some(log) if log.len() > 0 => " · followed".to_owned(),
        _ => String::new(),
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let Some(run) = state.chosen() else {
        return;
    };
    let log = state
        .detail()
        .map(|detail| &detail.log)
        .filter(|log| log.has_come);
    let Some(log) = log.filter(|log| log.len() > 0) else {
        let nothing = match (run.state, log) {
            (RunState::Queued, _) => "not begun yet",
            (_, Some(_)) => "it has written nothing",
            (_, None) => "asking for its log",
        };
        return say(frame, area, vec![Line::from(nothing)]);
    };
    let (height, width) = (usize::from(area.height), usize::from(area.width));
    let whole = state.zoomed && state.pane == Pane::Log;
    let mut lines: Vec<Line<'static>> = Vec::new();
    for text in log.upwards() {
        let style = style(text, theme);
        let pieces = match whole {
            true => rows(text, width).into_iter().map(str::to_owned).collect(),
            false => vec![cut(text, width)],
        };
        let pieces = pieces.into_iter().rev();
        lines.extend(pieces.map(|piece| Line::from(Span::styled(piece, style))));
        if lines.len() >= height {
            break;
        }
    }
    if lines.len() < height && log.is_tail {
        let text = "the beginning is left away; `begat logs` has all of it";
        lines.push(Line::from(Span::styled(cut(text, width), theme.dim())));
    }
    lines.truncate(height);
    lines.reverse();
    frame.render_widget(Paragraph::new(lines), area);
}

/// Warnings and errors stand out; that they are such, their words say.
fn style(text: &str, theme: Theme) -> Style {
    let start: String = text.chars().take(60).collect::<String>().to_lowercase();
    match start {
        start if start.contains("error") || start.contains("panicked") => theme.bad(),
        start if start.contains("warn") => theme.waits(),
        _ => Style::new(),
    }
}
