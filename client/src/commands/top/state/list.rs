//! Which runs are listed in which order, and which is chosen.

use begat_schemas::api::RunView;
use begat_schemas::{RunId, RunState};

/// Which runs the list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shown {
    /// All.
    #[default]
    All,
    /// Those that are not over.
    Live,
    /// Those that failed.
    Failed,
}

impl Shown {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Live => "live",
            Self::Failed => "failed",
        }
    }

    /// The next choice.
    pub const fn next(self) -> Self {
        match self {
            Self::All => Self::Live,
            Self::Live => Self::Failed,
            Self::Failed => Self::All,
        }
    }

    fn lets_through(self, state: RunState) -> bool {
        match self {
            Self::All => true,
            Self::Live => !state.is_final(),
            Self::Failed => state == RunState::Failed,
        }
    }
}

/// What comes first: runs at work, then those that wait, then those that are over.
pub const fn sort_key(state: RunState) -> u8 {
    match state {
        RunState::Running | RunState::Storing | RunState::Interrupted => 0,
        RunState::Queued => 1,
        RunState::Succeeded | RunState::Failed | RunState::Cancelled => 2,
    }
}

/// Sorts runs as the list shows them. Those at work keep the order in which they began, so that none jumps about; those
/// that are over come by their end, the newest first.
pub fn sort(runs: &mut [RunView]) {
    runs.sort_by_key(|run| {
        let started = run.started.map_or(i64::MAX, |time| time.as_milliseconds());
        let took = (run.seconds.unwrap_or(0.0) * 1000.0) as i64;
        let key = sort_key(run.state);
        let place = if key == 2 {
            -started.saturating_add(took)
        } else {
            started
        };
        (key, place)
    });
}

/// The filter and the choice.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// Which runs by their state.
    pub shown: Shown,
    /// What a run's line must have in it; all if empty.
    pub filter: String,
    /// The chosen run.
    chosen: Choice,
}

/// A run and the row it was last in; none is the first row, whichever run that is.
pub(super) type Choice = Option<(RunId, usize)>;

impl List {
    /// The runs that are shown.
    pub fn rows<'a>(&self, runs: &'a [RunView]) -> Vec<&'a RunView> {
        let wanted = self.filter.to_lowercase();
        let shown = runs.iter().filter(|run| self.shown.lets_through(run.state));
        shown
            .filter(|run| wanted.is_empty() || words(run).contains(&wanted))
            .collect()
    }

    /// The chosen run's row.
    pub fn row(&self, rows: &[&RunView]) -> usize {
        let found = self
            .chosen
            .and_then(|(chosen, _)| rows.iter().position(|run| run.run == chosen));
        found.unwrap_or(0)
    }

    /// The chosen run.
    pub fn chosen<'a>(&self, rows: &[&'a RunView]) -> Option<&'a RunView> {
        rows.get(self.row(rows)).copied()
    }

    /// The choice, to go back to.
    pub(super) fn choice(&self) -> Choice {
        self.chosen
    }

    /// Goes back to a choice.
    pub(super) fn go_back(&mut self, choice: Choice) {
        self.chosen = choice;
    }

    /// Chooses the first row, whichever run that is from now on.
    pub fn choose_first(&mut self) {
        self.chosen = None;
    }

    /// Chooses the run in a row.
    pub fn choose(&mut self, rows: &[RunId], row: usize) {
        let row = row.min(rows.len().saturating_sub(1));
        self.chosen = rows.get(row).map(|run| (*run, row));
    }

    /// After the rows changed: the choice stays with its run; if that has left, it goes to the one in its place.
    pub fn keep(&mut self, rows: &[RunId]) {
        let Some((chosen, row)) = self.chosen else {
            return;
        };
        if rows.is_empty() {
            // What left comes back when the filter goes.
            return;
        }
        let at = rows.iter().position(|run| *run == chosen).unwrap_or(row);
        self.choose(rows, at);
    }
}

/// What a filter looks at.
fn words(run: &RunView) -> String {
    format!("{} {} {} {}", run.run, name(run), run.kind, run.state).to_lowercase()
}

/// A run's name: that of its stage in its newest launch.
pub fn name(run: &RunView) -> String {
    match (&run.recipe, &run.stage) {
        (Some(recipe), Some(stage)) => format!("{recipe}/{stage}"),
        _ => run.kind.to_string(),
    }
}
