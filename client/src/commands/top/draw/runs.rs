//! The list of runs, and a line about the one that is chosen.

use begat_schemas::RunState;
use begat_schemas::api::RunView;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::symbols::line::{HORIZONTAL, THICK_HORIZONTAL};
use ratatui::text::{Line, Span};
use ratatui::widgets::{HighlightSpacing, Paragraph, Row, Table, TableState, Wrap};

use super::super::state::{Connection, Shown, State, figures, name, sort_key};
use super::super::text::{clean, clock, cut, cut_left, rows, width};
use super::{Theme, say};
use crate::render::{count, duration, value};

/// A column of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Run,
    Name,
    Kind,
    State,
    Progress,
    Steps,
    Left,
    Took,
    Speed,
    Figure,
    SecondFigure,
    ThirdFigure,
}

impl Column {
    const ALL: [Self; 12] = [
        Self::Run,
        Self::Name,
        Self::Kind,
        Self::State,
        Self::Progress,
        Self::Steps,
        Self::Left,
        Self::Took,
        Self::Speed,
        Self::Figure,
        Self::SecondFigure,
        Self::ThirdFigure,
    ];

    /// The narrowest list that has room for it.
    const fn least_width(self) -> u16 {
        match self {
            Self::Run | Self::Name | Self::State => 0,
            Self::Progress => 56,
            Self::Left | Self::Figure => 74,
            Self::Speed => 90,
            Self::Kind => 104,
            Self::Took => 116,
            Self::Steps => 134,
            Self::SecondFigure => 150,
            Self::ThirdFigure => 170,
        }
    }

    /// None takes what the others leave.
    const fn width(self) -> Option<u16> {
        Some(match self {
            Self::Run => 12,
            Self::Name => return None,
            Self::Kind => 13,
            Self::State => 11,
            Self::Progress => 11,
            Self::Steps => 17,
            Self::Left | Self::Took | Self::Speed => 8,
            Self::Figure => 15,
            Self::SecondFigure | Self::ThirdFigure => 17,
        })
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Run => "RUN",
            Self::Name => "RECIPE/STAGE",
            Self::Kind => "KIND",
            Self::State => "STATE",
            Self::Progress => "PROGRESS",
            Self::Steps => "STEP",
            Self::Left => "LEFT",
            Self::Took => "TOOK",
            Self::Speed => "TOKENS/S",
            Self::Figure => "FIGURE",
            Self::SecondFigure | Self::ThirdFigure => "",
        }
    }

    const fn is_number(self) -> bool {
        matches!(self, Self::Steps | Self::Left | Self::Took | Self::Speed)
    }
}

/// The width of the name's column from which on its title has room for how many runs there are.
const MORE_WIDTH: u16 = 30;

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &State,
    theme: Theme,
    memory: &mut TableState,
) {
    let rows = state.rows();
    let columns = Column::ALL.into_iter();
    let columns: Vec<Column> = columns
        .filter(|column| area.width >= column.least_width())
        .collect();
    let fixed: u16 = columns
        .iter()
        .map(|column| column.width().unwrap_or(0) + 1)
        .sum();
    let rest = area.width.saturating_sub(fixed);
    let header = columns.iter().map(|column| {
        let more = match column {
            Column::Name if rest >= MORE_WIDTH => more(state),
            _ => String::new(),
        };
        aligned(*column, format!("{}{more}", column.title()), theme.dim())
    });
    let lines = rows.iter().map(|run| {
        let cells = columns
            .iter()
            .map(|column| cell(*column, run, state, theme, rest));
        Row::new(cells.collect::<Vec<_>>())
    });
    let table = Table::new(
        lines.collect::<Vec<_>>(),
        columns
            .iter()
            .map(|column| Constraint::Length(column.width().unwrap_or(rest))),
    )
    .header(Row::new(header.collect::<Vec<_>>()))
    .highlight_symbol(">")
    .highlight_spacing(HighlightSpacing::Always)
    .row_highlight_style(theme.chosen());
    memory.select((!rows.is_empty()).then(|| state.list.row(&rows)));
    frame.render_stateful_widget(table, area, memory);
    if rows.is_empty() {
        say(frame, area, nothing(state, theme));
    }
}

/// How many runs there are besides those that are listed.
fn more(state: &State) -> String {
    let listed = state.runs().len() as u64;
    let all = state.count_all();
    match all > listed {
        true => format!(", {} of {}", count(listed), count(all)),
        false => String::new(),
    }
}

/// Why the list is empty, and what to do about it.
fn nothing(state: &State, theme: Theme) -> Vec<Line<'static>> {
    let line = |text: &str| Line::from(text.to_owned());
    let hint = |text: &str| Line::from(Span::styled(text.to_owned(), theme.heading()));
    if state.picture.is_none() {
        return match state.connection {
            Connection::Away { .. } => vec![
                line("no daemon answers; it is looked for again and again"),
                hint("begat daemon start"),
            ],
            _ => vec![line("asking the daemon")],
        };
    }
    if state.runs().is_empty() {
        return vec![
            line("no runs yet; this launches some"),
            hint("begat launch configs/recipes/gpt.toml"),
        ];
    }
    let shown = match state.list.shown {
        Shown::All => String::new(),
        other => format!("{} ", other.name()),
    };
    let filter = match state.list.filter.as_str() {
        "" => String::new(),
        filter => format!(" with `{filter}`"),
    };
    vec![line(&format!(
        "no {shown}run{filter}; f and / change what is shown"
    ))]
}

fn aligned(column: Column, text: String, style: Style) -> Line<'static> {
    let line = Line::from(Span::styled(text, style));
    if column.is_number() {
        line.right_aligned()
    } else {
        line
    }
}

fn cell(column: Column, run: &RunView, state: &State, theme: Theme, rest: u16) -> Line<'static> {
    let plain = |text: String| aligned(column, text, Style::new());
    match column {
        Column::Run => plain(run.run.short()),
        // The stage says more than the recipe.
        Column::Name => plain(cut_left(&name(run), usize::from(rest))),
        Column::Kind => plain(cut(&run.kind.to_string(), 13)),
        Column::State => aligned(column, run.state.to_string(), theme.state(run.state)),
        Column::Progress => progress(run, theme),
        Column::Steps => plain(steps(run, "/").unwrap_or_default()),
        Column::Left => plain(state.seconds_left(run).map_or(String::new(), clock)),
        Column::Took => plain(run.seconds.map_or(String::new(), clock)),
        Column::Speed => plain(speed(run).unwrap_or_default()),
        Column::Figure => plain(figure(run, 0)),
        Column::SecondFigure => plain(figure(run, 1)),
        Column::ThirdFigure => plain(figure(run, 2)),
    }
}

fn steps(run: &RunView, between: &str) -> Option<String> {
    let (step, of) = run.progress?;
    Some(format!("{}{between}{}", count(step), count(of)))
}

fn speed(run: &RunView) -> Option<String> {
    let speed = run.metrics.get("tokens_per_second")?.0;
    speed
        .is_finite()
        .then(|| count(speed.round().max(0.0) as u64))
}

fn figure(run: &RunView, at: usize) -> String {
    let figures = figures(run);
    figures.get(at).map_or(String::new(), |figure| {
        format!("{} {}", figure.word, value(figure.value))
    })
}

/// A bar and the part in percent; of a run that is over well, there is nothing to say.
fn progress(run: &RunView, theme: Theme) -> Line<'static> {
    const BAR: usize = 6;
    let Some((step, of)) = run.progress.filter(|(_, of)| *of > 0) else {
        return Line::default();
    };
    let part = (step as f64 / of as f64).clamp(0.0, 1.0);
    let full = (part * BAR as f64).floor() as usize;
    Line::from(vec![
        Span::styled(THICK_HORIZONTAL.repeat(full), theme.state(run.state)),
        Span::styled(HORIZONTAL.repeat(BAR - full), theme.dim()),
        Span::raw(format!("{:>4}%", (part * 100.0).floor())),
    ])
}

/// Rows that the chosen run's facts may take; more than one is for why it failed.
const CHOSEN_ROWS_MAX: usize = 3;
/// What a row may lose because lines are broken between words.
const WORD: u16 = 8;

/// How many rows the facts about the chosen run take.
pub(super) fn rows_of_chosen(state: &State, width: u16) -> u16 {
    let Some(run) = state.chosen().filter(|run| run.reason.is_some()) else {
        return 1;
    };
    let (text, _) = about(run, state, Theme::default());
    let text = format!("{} {text}", name(run));
    rows(&text, usize::from(width.saturating_sub(WORD).max(1)))
        .len()
        .min(CHOSEN_ROWS_MAX) as u16
}

/// What the list has no room for about the chosen run, above all why it failed.
pub(super) fn draw_chosen(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let Some(run) = state.chosen() else {
        return;
    };
    let (text, style) = about(run, state, theme);
    let head = format!("{} ", name(run));
    let lost = if area.height > 1 { WORD } else { 0 };
    let room = usize::from(area.width.saturating_sub(lost)) * usize::from(area.height);
    let text = cut(&text, room.saturating_sub(width(&head)));
    let line = Line::from(vec![
        Span::styled(head, theme.heading()),
        Span::styled(text, style),
    ]);
    frame.render_widget(Paragraph::new(line).wrap(Wrap { trim: true }), area);
}

fn about(run: &RunView, state: &State, theme: Theme) -> (String, Style) {
    match (&run.reason, run.state) {
        (Some(reason), RunState::Failed) => (format!("failed: {}", clean(reason)), theme.bad()),
        (Some(reason), _) => (format!("{}: {}", run.state, clean(reason)), theme.waits()),
        (None, _) => (facts(run, state).join(" · "), Style::new()),
    }
}

/// A stage that wrote nothing for longer than this is said to be silent: it may have stalled.
const SILENT_SECONDS: f64 = 60.0;

fn facts(run: &RunView, state: &State) -> Vec<String> {
    let working = sort_key(run.state) == 0;
    let device = state.picture.as_ref();
    let device = device.and_then(|(_, picture)| picture.devices.get(&run.run));
    let silence = state
        .silent_seconds(run)
        .filter(|seconds| *seconds > SILENT_SECONDS);
    let facts = [
        silence.map(|seconds| format!("SILENT for {}", duration(seconds))),
        steps(run, " of ").map(|steps| format!("step {steps}")),
        run.seconds
            .map(|seconds| format!("took {}", duration(seconds)))
            .filter(|_| !working),
        run.seconds
            .map(|seconds| format!("for {}", duration(seconds)))
            .filter(|_| working),
        device.map(|device| format!("on {}", device.as_str())),
        speed(run).map(|speed| format!("{speed} tokens/s")),
        (run.attempts > 1).then(|| format!("attempt {}", run.attempts)),
        (run.state == RunState::Queued).then(|| "waits for a device slot".to_owned()),
    ];
    let figures = figures(run).into_iter().take(4);
    let figures = figures.map(|figure| format!("{} {}", figure.word, value(figure.value)));
    facts.into_iter().flatten().chain(figures).collect()
}
