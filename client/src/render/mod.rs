//! What results look like to a person: pure functions from API values to text.

mod data;
mod launch;
mod lineage;
mod metrics;
mod numbers;
mod plan;
mod reproduce;
mod run;
mod store;
mod table;

#[cfg(test)]
mod samples;

use begat_schemas::api::{Candidate, CandidateKind, StageState};
use begat_schemas::{RunState, SHORT_DIGITS};
use console::Style;

pub use data::data_report;
pub use launch::{launch, stage_table};
pub use lineage::{dot, mermaid, tree};
pub use metrics::{csv, curves, key_metrics};
pub use numbers::{bytes, count, duration, several, value};
pub use plan::plan;
pub use reproduce::reproduction;
pub use run::{run, runs};
pub use store::{disk_usage, fsck, gc, ref_history, refs, report, tree_listing};

/// How a result may look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look {
    /// Whether it may be coloured.
    pub color: bool,
    /// Columns to keep to; none means lines may have any length.
    pub width: Option<u16>,
}

impl Look {
    fn paint(self, style: Style, text: &str) -> String {
        style.force_styling(self.color).apply_to(text).to_string()
    }

    fn good(self, text: &str) -> String {
        self.paint(Style::new().green(), text)
    }

    fn bad(self, text: &str) -> String {
        self.paint(Style::new().red().bold(), text)
    }

    fn dim(self, text: &str) -> String {
        self.paint(Style::new().dim(), text)
    }

    fn heading(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    /// A state in its colour; the word alone says it all.
    fn state(self, state: RunState) -> String {
        match state {
            RunState::Succeeded => self.good(state.name()),
            RunState::Failed => self.bad(state.name()),
            RunState::Running | RunState::Storing => self.paint(Style::new().cyan(), state.name()),
            RunState::Queued | RunState::Interrupted | RunState::Cancelled => {
                self.paint(Style::new().yellow(), state.name())
            }
        }
    }

    fn stage_state(self, state: StageState) -> String {
        match state {
            StageState::Waiting => self.dim("waiting"),
            StageState::Blocked => self.paint(Style::new().yellow(), "blocked"),
            StageState::Queued => self.state(RunState::Queued),
            StageState::Running => self.state(RunState::Running),
            StageState::Storing => self.state(RunState::Storing),
            StageState::Interrupted => self.state(RunState::Interrupted),
            StageState::Succeeded => self.state(RunState::Succeeded),
            StageState::Failed => self.state(RunState::Failed),
            StageState::Cancelled => self.state(RunState::Cancelled),
        }
    }
}

/// The first digits of a digest; other names stay as they are.
pub fn short(id: &str) -> &str {
    let is_digest = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest { &id[..SHORT_DIGITS] } else { id }
}

/// One line for an object that a name may mean.
pub fn candidate_line(candidate: &Candidate) -> String {
    let kind = match candidate.kind {
        CandidateKind::Run => "run",
        CandidateKind::Attempt => "attempt",
        CandidateKind::Launch => "launch",
        CandidateKind::Recipe => "recipe",
        CandidateKind::Ref => "ref",
        CandidateKind::Tree => "tree",
        CandidateKind::Blob => "blob",
    };
    let label = candidate.label.as_deref().unwrap_or_default();
    format!("{kind:<8}{}  {label}", short(&candidate.id))
        .trim_end()
        .to_owned()
}
