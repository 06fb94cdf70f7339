//! The line about the daemon: which, since when, and how many runs it has.

use begat_schemas::RunState;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::super::state::{Connection, State};
use super::super::text::{clean, clock, cut, cut_left, width};
use super::Theme;
use crate::render::count;

/// An answer that is older than this many seconds has its age said.
const OLD_SECONDS: f64 = 5.0;

/// From this width on there is room for why the daemon is away and for the runs that it had.
const WIDTH_FOR_BOTH: u16 = 150;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let is_away = matches!(state.connection, Connection::Away { .. });
    let runs = match is_away && area.width < WIDTH_FOR_BOTH {
        true => Line::default(),
        false => runs(state, theme),
    };
    let columns = [
        Constraint::Fill(1),
        Constraint::Length(u16::try_from(runs.width()).unwrap_or(u16::MAX)),
    ];
    let [left, right] = Layout::horizontal(columns).areas(area);
    let room = usize::from(left.width.saturating_sub(2));
    frame.render_widget(daemon(state, theme, room), left);
    frame.render_widget(runs, right);
}

fn daemon(state: &State, theme: Theme, room: usize) -> Line<'static> {
    let age = state.age_seconds();
    match &state.connection {
        Connection::Waiting => Line::from(cut(&format!("asking begatd at {}", state.place), room)),
        Connection::Away { since, reason } => {
            let away = clock(state.now.seconds_since(*since));
            let seen = match age {
                Some(age) => format!("what you see is {} old", clock(age)),
                None => "waiting for it".to_owned(),
            };
            let text = format!(" AWAY {away} · {seen} · {reason} ");
            Line::from(Span::styled(
                cut(&text, room),
                theme.bad().patch(theme.chosen()),
            ))
        }
        Connection::Up => up(state, theme, room, age.filter(|age| *age > OLD_SECONDS)),
    }
}

fn up(state: &State, theme: Theme, room: usize, age: Option<f64>) -> Line<'static> {
    let version = state
        .picture
        .as_ref()
        .map(|(_, picture)| clean(&picture.version.version));
    let name = format!("begatd {}", version.unwrap_or_default());
    let up = state
        .up_seconds()
        .map_or(String::new(), |up| format!("  up {}", clock(up)));
    let old = age.map_or(String::new(), |age| format!("  no news for {}", clock(age)));
    let rest = room.saturating_sub(width(&name) + width(&up) + width(&old) + 4);
    Line::from(vec![
        Span::styled(name, theme.heading()),
        Span::styled(format!(" at {}", cut_left(&state.place, rest)), theme.dim()),
        Span::raw(up),
        Span::styled(old, theme.waits()),
    ])
}

fn runs(state: &State, theme: Theme) -> Line<'static> {
    use RunState::{Failed, Interrupted, Queued, Running, Storing, Succeeded};
    let parts = [
        (
            &[Running, Storing, Interrupted][..],
            "running",
            theme.busy(),
        ),
        (&[Queued], "queued", theme.waits()),
        (&[Failed], "failed", theme.bad()),
        (&[Succeeded], "done", theme.good()),
    ];
    let mut spans = Vec::new();
    for (states, word, style) in parts {
        let number = state.count(states);
        let style = if number == 0 { theme.dim() } else { style };
        spans.push(Span::styled(format!("{} {word}  ", count(number)), style));
    }
    Line::from(spans)
}
