//! The machine and its GPUs, and which run is on which.

use std::collections::VecDeque;

use begat_schemas::RunId;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::symbols::line::{HORIZONTAL, THICK_HORIZONTAL};
use ratatui::text::{Line, Span};
use ratatui::widgets::{LineGauge, Sparkline};

use super::super::state::{Gpu, Slots, State};
use super::super::text::cut;
use super::{Theme, say};
use crate::render::{bytes, count};

/// A line: a name, how full it is if that makes sense, and words.
struct Figure {
    name: String,
    part: Option<f64>,
    text: String,
}

const NAME_WIDTH: u16 = 10;
const GAUGE_WIDTH: u16 = 12;

/// How many rows everything takes.
pub(super) fn rows(state: &State) -> u16 {
    u16::try_from(figures(state).len())
        .unwrap_or(u16::MAX)
        .saturating_add(3)
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let figures = figures(state);
    if figures.is_empty() {
        return say(frame, area, vec![Line::from("nothing known yet")]);
    }
    let room = usize::from(area.height);
    let hidden = figures.len().saturating_sub(room);
    let shown = if hidden > 0 {
        room.saturating_sub(1)
    } else {
        figures.len()
    };
    let rows = area.rows().zip(&figures);
    rows.take(shown)
        .for_each(|(row, figure)| draw_figure(frame, row, figure, theme));
    if hidden > 0
        && let Some(row) = area.rows().nth(shown)
    {
        let text = format!("and {} more lines: z zooms", hidden + 1);
        frame.render_widget(Line::from(Span::styled(text, theme.dim())), row);
    }
    let used = u16::try_from(shown).unwrap_or(u16::MAX);
    if hidden == 0 && area.height >= used + 3 {
        let rest = Rect {
            y: area.y + used,
            height: area.height - used,
            ..area
        };
        draw_past(frame, rest, state, theme);
    }
}

fn draw_figure(frame: &mut Frame<'_>, area: Rect, figure: &Figure, theme: Theme) {
    let gauge = if figure.part.is_some() {
        GAUGE_WIDTH
    } else {
        0
    };
    let columns = [
        Constraint::Length(NAME_WIDTH),
        Constraint::Length(gauge),
        Constraint::Fill(1),
    ];
    let [name, bar, text] = Layout::horizontal(columns).areas(area);
    frame.render_widget(
        Line::from(Span::styled(figure.name.clone(), theme.dim())),
        name,
    );
    if let Some(part) = figure.part {
        let part = if part.is_finite() {
            part.clamp(0.0, 1.0)
        } else {
            0.0
        };
        let gauge = LineGauge::default()
            .ratio(part)
            .label(format!("{:>3.0} %", part * 100.0))
            .filled_symbol(THICK_HORIZONTAL)
            .unfilled_symbol(HORIZONTAL)
            .filled_style(theme.fullness(part))
            .unfilled_style(theme.dim());
        frame.render_widget(gauge, bar);
    }
    let gap = if figure.part.is_some() { " " } else { "" };
    let words = format!("{gap}{}", figure.text);
    frame.render_widget(Line::from(cut(&words, usize::from(text.width))), text);
}

/// How busy the machine was and what came of it, side by side.
fn draw_past(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let devices = &state.devices;
    let columns = [Constraint::Fill(1), Constraint::Fill(1)];
    let [left, right] = Layout::horizontal(columns).spacing(2).areas(area);
    sparkline(
        frame,
        left,
        "CPU so far",
        &devices.processor_past,
        Some(100),
        theme,
    );
    let tokens = devices.tokens_past.back().map_or(0, |tokens| *tokens);
    let title = format!("{} tokens/s in all", count(tokens));
    sparkline(frame, right, &title, &devices.tokens_past, None, theme);
}

/// A title, and below it values of the past, the newest at the right.
fn sparkline(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    past: &VecDeque<u64>,
    highest: Option<u64>,
    theme: Theme,
) {
    const HEIGHT_MAX: u16 = 6;
    let rows = [
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Max(HEIGHT_MAX),
    ];
    let [_, head, chart] = Layout::vertical(rows).areas(area);
    let width = usize::from(chart.width);
    let values: Vec<u64> = past.iter().copied().collect();
    let mut shown = vec![0; width.saturating_sub(values.len())];
    shown.extend(&values[values.len().saturating_sub(width)..]);
    let highest = highest
        .unwrap_or_else(|| shown.iter().copied().max().unwrap_or(0))
        .max(1);
    frame.render_widget(
        Line::from(Span::styled(title.to_owned(), theme.dim())),
        head,
    );
    let sparkline = Sparkline::default()
        .data(&shown)
        .max(highest)
        .style(theme.good());
    frame.render_widget(sparkline, chart);
}

fn figures(state: &State) -> Vec<Figure> {
    let devices = &state.devices;
    let mut figures = Vec::new();
    if devices.load.is_some() || devices.processor.is_some() {
        figures.push(Figure {
            name: "CPU".to_owned(),
            part: devices.processor,
            text: devices
                .load
                .map_or(String::new(), |load| format!("load {load:.2}")),
        });
    }
    if let Some((used, all)) = devices.memory {
        figures.push(Figure {
            name: "Memory".to_owned(),
            part: Some(used / all),
            text: format!("{} of {}", size(used), size(all)),
        });
    }
    figures.extend(devices.disks.iter().map(|(folder, free, all)| Figure {
        name: format!("Disk {folder}"),
        part: Some(1.0 - free / all),
        text: format!("{} free of {}", size(*free), size(*all)),
    }));
    figures.extend(devices.slots.iter().map(|slots| Figure {
        name: "Slots".to_owned(),
        part: None,
        text: slots_in_words(slots),
    }));
    devices
        .gpus
        .iter()
        .for_each(|gpu| figures.extend(of_gpu(gpu)));
    figures
}

fn slots_in_words(slots: &Slots) -> String {
    let runs = runs(&slots.runs);
    format!("{} {} of {}{runs}", slots.device, slots.busy, slots.all)
}

fn of_gpu(gpu: &Gpu) -> [Figure; 2] {
    let power = gpu.power.map(|(watts, limit)| match limit {
        Some(limit) => format!("{watts:.0} of {limit:.0} W"),
        None => format!("{watts:.0} W"),
    });
    let temperature = gpu.temperature.map(|degrees| format!("{degrees:.0} °C"));
    let words = [temperature, power, Some(gpu.name.clone())]
        .into_iter()
        .flatten();
    let memory = gpu
        .memory
        .map(|(used, all)| format!("{} of {}", size(used), size(all)));
    [
        Figure {
            name: format!("GPU {}", gpu.number),
            part: gpu.utilization,
            text: words.collect::<Vec<_>>().join(" · "),
        },
        Figure {
            name: "  memory".to_owned(),
            part: gpu.memory.map(|(used, all)| used / all),
            text: format!("{}{}", memory.unwrap_or_default(), runs(&gpu.runs)),
        },
    ]
}

fn runs(runs: &[(RunId, String)]) -> String {
    let runs = runs
        .iter()
        .map(|(run, name)| format!(" · {name} {}", run.short()));
    runs.collect()
}

fn size(number: f64) -> String {
    bytes(number.max(0.0) as u64)
}
