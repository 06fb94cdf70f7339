//! The curves of the chosen run: one where room is scarce, else the chosen one large and others small below it.

use begat_schemas::RunState;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Padding, Paragraph};

use super::super::state::{Curve, Detail, Scale, State, bounds};
use super::super::text::{cut, width};
use super::{Theme, say};
use crate::render::{count, value};

/// A chart that is smaller says nothing.
const SMALL_WIDTH: u16 = 38;
const SMALL_HEIGHT: u16 = 8;
/// From this height on the chosen curve has others below it.
const SEVERAL_HEIGHT: u16 = 15;

/// Which of the curves is chosen.
pub(super) fn position(state: &State) -> String {
    match state.detail().map_or(0, |detail| detail.curves().len()) {
        0 | 1 => String::new(),
        all => format!(" · metric {} of {all}", state.metric() + 1),
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let Some(run) = state.chosen() else {
        return;
    };
    let detail = state.detail().filter(|detail| detail.has_curves());
    let Some(detail) = detail.filter(|_| run.state != RunState::Queued) else {
        let nothing = match run.state {
            RunState::Queued => "not begun yet",
            _ => "asking for its curves",
        };
        return say(frame, area, vec![Line::from(nothing)]);
    };
    let curves = detail.curves();
    if curves.is_empty() {
        return draw_single(frame, area, detail, theme);
    }
    let chosen = state.metric();
    for (at, place) in places(area, curves.len()).into_iter().enumerate() {
        let curve = &curves[(chosen + at) % curves.len()];
        draw_curve(frame, place, curve, (state.scale, at == 0), theme);
    }
}

/// Where the chosen curve and those after it are drawn, never more than there are.
fn places(area: Rect, curves: usize) -> Vec<Rect> {
    let columns = (area.width / SMALL_WIDTH).clamp(1, 4);
    let beside = |area: Rect, count: u16| {
        let columns = vec![Constraint::Fill(1); usize::from(count)];
        Layout::horizontal(columns).spacing(1).split(area).to_vec()
    };
    if area.height < SEVERAL_HEIGHT || curves == 1 {
        // Wide charts read better than many.
        let count = (area.width / (SMALL_WIDTH + 16)).clamp(1, 4);
        return beside(area, count.min(u16::try_from(curves).unwrap_or(u16::MAX)));
    }
    let others = u16::try_from(curves - 1).unwrap_or(u16::MAX);
    let rows = (area.height / 2 / SMALL_HEIGHT).clamp(1, others.div_ceil(columns));
    let heights =
        std::iter::once(Constraint::Fill(3)).chain((0..rows).map(|_| Constraint::Fill(2)));
    let bands = Layout::vertical(heights).split(area);
    let mut places = vec![bands[0]];
    for band in bands.iter().skip(1) {
        places.extend(beside(*band, columns));
    }
    places.truncate(curves);
    places
}

fn draw_curve(
    frame: &mut Frame<'_>,
    area: Rect,
    curve: &Curve,
    (scale, chosen): (Scale, bool),
    theme: Theme,
) {
    let by_powers = curve.is_by_powers(scale);
    let height = |value: f64| if by_powers { value.log10() } else { value };
    let placed = |piece: &Vec<(f64, f64)>| -> Vec<(f64, f64)> {
        piece
            .iter()
            .map(|(step, value)| (*step, height(*value)))
            .collect()
    };
    let pieces: Vec<Vec<(f64, f64)>> = curve.pieces.iter().map(placed).collect();
    let style = if chosen { theme.busy() } else { theme.good() };
    let datasets = pieces.iter().map(|piece| {
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(style)
            .data(piece)
    });
    let (low, high) = curve.range.unwrap_or((0.0, 1.0));
    let middle = match by_powers {
        true => (low * high).sqrt(),
        false => low / 2.0 + high / 2.0,
    };
    let values: Vec<String> = match area.height {
        0..8 => [low, high].map(value).to_vec(),
        _ => [low, middle, high].map(value).to_vec(),
    };
    let (first, last) = (curve.steps.0 as f64, curve.steps.1 as f64);
    let steps = [
        format!("step {}", count(curve.steps.0)),
        count(curve.steps.1),
    ];
    let axis = || Axis::default().style(theme.dim());
    let title = title(curve, by_powers, chosen, theme, usize::from(area.width));
    let chart = Chart::new(datasets.collect())
        .block(Block::new().title(title))
        .x_axis(axis().bounds([first, last.max(first + 1.0)]).labels(steps))
        .y_axis(
            axis()
                .bounds(bounds((height(low), height(high))))
                .labels(values),
        );
    frame.render_widget(chart, area);
}

/// Name, last value with its unit, and between what it lay.
fn title(curve: &Curve, by_powers: bool, chosen: bool, theme: Theme, room: usize) -> Line<'static> {
    let emphasis = if chosen {
        theme.heading()
    } else {
        Style::new()
    };
    let last = match curve.unit {
        "" => format!(" {}", value(curve.last)),
        unit => format!(" {} {unit}", value(curve.last)),
    };
    let range = curve.range.map_or(String::new(), |(low, high)| {
        format!("  {} to {}", value(low), value(high))
    });
    let scale = if by_powers { ", powers of ten" } else { "" };
    let rest = room.saturating_sub(width(&curve.name) + width(&last));
    Line::from(vec![
        Span::styled(curve.name.clone(), emphasis),
        Span::styled(
            last,
            if curve.last.is_finite() {
                emphasis
            } else {
                theme.bad()
            },
        ),
        Span::styled(cut(&format!("{range}{scale}"), rest), theme.dim()),
    ])
}

/// What was measured once only: names and values, in as many columns as there is room for.
fn draw_single(frame: &mut Frame<'_>, area: Rect, detail: &Detail, theme: Theme) {
    let single = detail.single();
    if single.is_empty() {
        return say(frame, area, vec![Line::from("no metrics yet")]);
    }
    const COLUMN: usize = 38;
    let columns = usize::from(area.width / COLUMN as u16).max(1);
    let room = usize::from(area.height);
    let rows = single.len().div_ceil(columns).clamp(1, room.max(1));
    let mut shown = columns * rows;
    let hidden = single.len().saturating_sub(shown);
    if hidden > 0 {
        shown -= 1;
    }
    let mut lines = vec![Line::default(); rows];
    for (at, (name, number)) in single.iter().take(shown).enumerate() {
        let value = value(*number);
        let room = COLUMN
            .min(usize::from(area.width))
            .saturating_sub(value.len() + 3);
        let name = cut(name, room);
        let padding = room.saturating_sub(width(&name));
        lines[at % rows].push_span(Span::styled(name, theme.dim()));
        lines[at % rows].push_span(format!("{} {value}  ", " ".repeat(padding)));
    }
    if hidden > 0 {
        lines[rows - 1].push_span(Span::styled(
            format!("and {} more", hidden + 1),
            theme.dim(),
        ));
    }
    let block = Block::new().padding(Padding::horizontal(u16::from(area.width > 60)));
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
