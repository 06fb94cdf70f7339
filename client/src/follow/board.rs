//! What a watcher sees: a bar for each stage at work on a terminal, plain lines otherwise.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use begat_schemas::{Event, EventBody};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::pace::Pace;
use crate::render::count;
use crate::terminal::Terminal;
use crate::text::printable;

/// Without bars, a stage's progress is said when it has gone so far, or so long has passed.
const SAY_PERCENT: u64 = 10;
const SAY_AFTER: Duration = Duration::from_secs(15);

/// What is shown of the stages at work.
pub struct Board {
    terminal: Terminal,
    bars: MultiProgress,
    rows: BTreeMap<String, Row>,
}

#[derive(Default)]
struct Row {
    state: String,
    pace: Pace,
    bar: Option<ProgressBar>,
    said: Option<(u64, Instant)>,
}

impl Board {
    /// An empty board.
    pub fn new(terminal: Terminal) -> Self {
        Self {
            terminal,
            bars: MultiProgress::new(),
            rows: BTreeMap::new(),
        }
    }

    /// Notes how a stage stands; a change is said. A stage that is not `active` has no bar.
    pub fn state(&mut self, name: &str, state: &str, active: bool) {
        let row = self.rows.entry(name.to_owned()).or_default();
        if row.state == state {
            return;
        }
        state.clone_into(&mut row.state);
        if let (false, Some(bar)) = (active, row.bar.take()) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        self.say(&format!("{name}: {state}"));
    }

    /// Notes an event of a stage.
    pub fn event(&mut self, name: &str, event: &Event) {
        if let EventBody::Log { level, message } = &event.body
            && level != "info"
        {
            self.say(&format!(
                "{name}: {}: {}",
                printable(level),
                printable(message)
            ));
        }
        let row = self.rows.entry(name.to_owned()).or_default();
        row.pace.observe(event);
        let Some((step, of)) = row.pace.steps() else {
            return;
        };
        if self.terminal.bars {
            let bar = row.bar.get_or_insert_with(|| {
                let bar = self.bars.add(ProgressBar::new(of));
                bar.set_style(style());
                bar.set_prefix(name.to_owned());
                bar
            });
            bar.set_length(of);
            bar.set_position(step);
            bar.set_message(row.pace.facts());
        } else if let Some(line) = row.line(name, step, of) {
            self.say(&line);
        }
    }

    /// Says a line above the bars.
    pub fn say(&self, line: &str) {
        if self.terminal.bars {
            let _ = self.bars.println(line);
        } else {
            self.terminal.say(line);
        }
    }

    /// Removes what is left of the bars.
    pub fn clear(&self) {
        let _ = self.bars.clear();
    }
}

impl Row {
    fn line(&mut self, name: &str, step: u64, of: u64) -> Option<String> {
        let percent = (step * 100).checked_div(of).unwrap_or(0);
        let due = self.said.is_none_or(|(said, at)| {
            percent >= said + SAY_PERCENT || percent < said || at.elapsed() >= SAY_AFTER
        });
        if !due {
            return None;
        }
        self.said = Some((percent, Instant::now()));
        let facts = self.pace.facts();
        let facts = if facts.is_empty() {
            facts
        } else {
            format!(", {facts}")
        };
        Some(format!(
            "{name}: step {} of {}{facts}",
            count(step),
            count(of)
        ))
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:<20} {wide_bar} {pos}/{len}  {msg}")
        .expect("the template is well-formed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_every_tenth_and_after_a_fall_back() {
        let mut row = Row::default();
        let mut said = Vec::new();
        for step in [1, 5, 11, 12, 30, 31, 20, 21] {
            said.extend(row.line("sft", step, 100));
        }
        let steps = [1, 11, 30, 20].map(|step| format!("sft: step {step} of 100"));
        assert_eq!(said, steps);
    }

    #[test]
    fn a_bar_can_be_drawn() {
        let bar = ProgressBar::hidden();
        bar.set_style(style());
        bar.set_prefix("sft");
    }
}
