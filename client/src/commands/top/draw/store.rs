//! The store: what it holds, what sharing and compression save, its health and its traffic.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::state::{State, Store};
use super::super::text::clock;
use super::{Theme, say};
use crate::render::{bytes, several};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let store = &state.store;
    if store.stored.is_none() {
        return say(frame, area, vec![Line::from("nothing known yet")]);
    }
    let plain = Style::new();
    let mut lines = vec![
        line("Holds", holds(store), plain, theme),
        line("Unique", unique(store), plain, theme),
        line("On disk", on_disk(store), plain, theme),
    ];
    let (text, style) = free(store, theme);
    lines.push(line("Free", text, style, theme));
    let (text, style) = health(store, theme);
    lines.push(line("Check", text, style, theme));
    lines.push(line("Put in", traffic(store.ingest), plain, theme));
    lines.push(line("Read", traffic(store.restore), plain, theme));
    frame.render_widget(Paragraph::new(lines), area);
}

fn line(name: &str, text: String, style: Style, theme: Theme) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{name:<8}"), theme.dim()),
        Span::styled(text, style),
    ])
}

fn size(number: Option<f64>) -> String {
    number.map_or("?".to_owned(), |number| bytes(number.max(0.0) as u64))
}

fn holds(store: &Store) -> String {
    let blobs = store.objects[0].unwrap_or(0.0) as u64;
    format!("{}, {}", size(store.logical), several(blobs, "blob"))
}

fn unique(store: &Store) -> String {
    let chunks = store.objects[1].unwrap_or(0.0) as u64;
    let ratio = ratio(store.deduplication, "sharing");
    format!(
        "{}, {}{ratio}",
        size(store.unique),
        several(chunks, "chunk")
    )
}

fn on_disk(store: &Store) -> String {
    let packs = store.objects[2].unwrap_or(0.0) as u64;
    let ratio = ratio(store.compression, "compression");
    format!("{}, {}{ratio}", size(store.stored), several(packs, "pack"))
}

fn ratio(ratio: Option<f64>, of: &str) -> String {
    let ratio = ratio.filter(|ratio| ratio.is_finite());
    ratio.map_or(String::new(), |ratio| format!(" · {of} {ratio:.2}×"))
}

fn free(store: &Store, theme: Theme) -> (String, Style) {
    let Some((free, all)) = store.free else {
        return ("?".to_owned(), theme.dim());
    };
    let used = 1.0 - free / all;
    let style = if used < 0.8 {
        Style::new()
    } else {
        theme.fullness(used)
    };
    (
        format!("{} of {}", size(Some(free)), size(Some(all))),
        style,
    )
}

fn health(store: &Store, theme: Theme) -> (String, Style) {
    if store.read_only {
        return (
            "READ ONLY: a disk failed, see the daemon's log".to_owned(),
            theme.bad(),
        );
    }
    match store.faults {
        None => ("none since the daemon's start".to_owned(), theme.dim()),
        Some((faults, ago)) => {
            let ago = ago.map_or(String::new(), |ago| format!(", {} ago", clock(ago)));
            let style = if faults > 0.0 {
                theme.bad()
            } else {
                theme.good()
            };
            let words = match faults as u64 {
                0 => "no faults".to_owned(),
                faults => format!("{} found: `begat fsck`", several(faults, "fault")),
            };
            (format!("{words}{ago}"), style)
        }
    }
}

fn traffic(traffic: super::super::state::Traffic) -> String {
    let rate = traffic
        .rate
        .map_or("…".to_owned(), |rate| format!("{}/s", size(Some(rate))));
    format!("{rate:<12} {} since the start", size(traffic.all))
}
