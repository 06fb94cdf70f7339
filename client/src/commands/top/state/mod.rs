//! What is to be seen, and how it changes: what was typed, what came from the daemon and the time go in. No I/O.

mod curves;
mod details;
mod figures;
mod keys;
mod list;
mod log;
mod pace;
mod telling;

#[cfg(test)]
pub mod examples;
#[cfg(test)]
mod tests;

use begat_schemas::api::RunView;
use begat_schemas::{RunState, Time};

use super::fetch::{Picture, Update, Wish};
use super::text::clean;

pub use curves::{Curve, Curves, Scale, bounds};
pub use details::Detail;
pub use figures::{Devices, Gpu, Slots, Store, Traffic};
pub use keys::Typed;
pub use list::{Shown, name, sort, sort_key};
pub use telling::figures;

/// What the session has to do about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing but to draw.
    Draw,
    /// To leave.
    Quit,
    /// To give the terminal back until the shell calls again.
    Suspend,
    /// To draw everything anew: something else may have written on the screen.
    Repaint,
}

/// A part of the screen below the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    /// The curves of the chosen run.
    Curves,
    /// The machine and its GPUs.
    Devices,
    /// The store.
    Store,
    /// The log of the chosen run.
    Log,
}

impl Pane {
    /// Every pane, in the order that Tab goes.
    pub const ALL: [Self; 4] = [Self::Curves, Self::Devices, Self::Store, Self::Log];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Curves => "Curves",
            Self::Devices => "Devices",
            Self::Store => "Store",
            Self::Log => "Log",
        }
    }

    fn moved(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|pane| *pane == self).unwrap_or(0);
        Self::ALL[(at + by) % Self::ALL.len()]
    }
}

/// How the daemon answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Connection {
    /// It was asked and has not answered yet.
    Waiting,
    /// It answers.
    Up,
    /// It does not.
    Away {
        /// Since when.
        since: Time,
        /// What went wrong.
        reason: String,
    },
}

/// What stands on the screen.
#[derive(Debug)]
pub struct State {
    /// Where the daemon is.
    pub place: String,
    /// The time of the last event.
    pub now: Time,
    /// How the daemon answers.
    pub connection: Connection,
    /// What it said last, and when.
    pub picture: Option<(Time, Picture)>,
    /// What can be said of the machine.
    pub devices: Devices,
    /// What can be said of the store.
    pub store: Store,
    /// Which runs are listed, and which is chosen.
    pub list: list::List,
    /// The pane that has the keys.
    pub pane: Pane,
    /// Whether it has the whole screen.
    pub zoomed: bool,
    /// Whether the keys are explained.
    pub help: bool,
    /// What is being typed as a filter.
    pub typing: Option<Typed>,
    /// Rows that a page of the list has, as last drawn.
    pub page: usize,
    details: details::Details,
    paces: pace::Paces,
    metric: Option<String>,
    /// How values are spaced in charts.
    pub scale: Scale,
}

impl State {
    /// Before the first answer.
    pub fn new(place: &str, now: Time) -> Self {
        Self {
            place: clean(place),
            now,
            connection: Connection::Waiting,
            picture: None,
            devices: Devices::default(),
            store: Store::default(),
            list: list::List::default(),
            pane: Pane::Curves,
            zoomed: false,
            help: false,
            typing: None,
            page: 1,
            details: details::Details::default(),
            paces: pace::Paces::default(),
            metric: None,
            scale: Scale::default(),
        }
    }

    /// Takes what came from the daemon.
    pub fn update(&mut self, update: Update, now: Time) {
        self.now = now;
        match update {
            Update::Picture(picture) => self.take_picture(*picture),
            Update::Away(reason) => self.take_silence(&reason),
            Update::Curves(run, view) => {
                let kind = self.run(run).map(|run| run.kind);
                self.details.curves(run, Curves::new(kind, &view));
            }
            Update::Log(run, piece) => self.details.log(run, &piece),
            Update::Nothing(run) => self.details.nothing(run),
        }
        if let Some(chosen) = self.chosen().map(|run| run.run) {
            self.details.forget_all_but(chosen);
        }
    }

    fn take_picture(&mut self, mut picture: Picture) {
        sort(&mut picture.runs);
        let before = self.picture.as_ref();
        let before = before.map(|(time, picture)| (*time, &picture.samples));
        self.devices.take(before, &picture);
        self.paces.take(&picture.runs);
        self.store.take(before, self.now, &picture.samples);
        self.picture = Some((self.now, picture));
        self.connection = Connection::Up;
        self.keep_choice();
    }

    fn take_silence(&mut self, reason: &str) {
        let since = match self.connection {
            Connection::Away { since, .. } => since,
            _ => self.now,
        };
        let reason = clean(reason);
        self.connection = Connection::Away { since, reason };
    }

    /// The runs that the list may show, in its order.
    pub fn runs(&self) -> &[RunView] {
        let picture = self.picture.as_ref();
        picture.map_or(&[], |(_, picture)| picture.runs.as_slice())
    }

    /// The runs that the filter lets through.
    pub fn rows(&self) -> Vec<&RunView> {
        self.list.rows(self.runs())
    }

    /// The run that is chosen.
    pub fn chosen(&self) -> Option<&RunView> {
        self.list.chosen(&self.rows())
    }

    fn run(&self, id: begat_schemas::RunId) -> Option<&RunView> {
        self.runs().iter().find(|run| run.run == id)
    }

    fn keep_choice(&mut self) {
        let rows: Vec<_> = self.rows().iter().map(|run| run.run).collect();
        self.list.keep(&rows);
    }

    /// What is known of the chosen run besides.
    pub fn detail(&self) -> Option<&Detail> {
        self.details.get(self.chosen()?.run)
    }

    /// The place of the chosen metric among the chosen run's curves.
    pub fn metric(&self) -> usize {
        let curves = self.detail().map_or(&[][..], Detail::curves);
        let found = self.metric.as_ref();
        let found = found.and_then(|name| curves.iter().position(|curve| curve.name == *name));
        found.unwrap_or(0)
    }

    /// What to ask for about the chosen run.
    pub fn wish(&self) -> Option<Wish> {
        let run = self.chosen()?;
        Some(Wish {
            run: run.run,
            state: run.state,
            attempts: run.attempts,
        })
    }

    /// How many runs there are, those that are not listed included.
    pub fn count_all(&self) -> u64 {
        self.count(&RunState::ALL)
    }

    /// How many runs are in a state, those that are not listed included.
    pub fn count(&self, states: &[RunState]) -> u64 {
        let Some((_, picture)) = &self.picture else {
            return 0;
        };
        let of = |state: &RunState| picture.samples.of("begat_runs", "state", state.name());
        states.iter().filter_map(of).sum::<f64>() as u64
    }

    /// Seconds since the daemon started, at the time of the picture.
    pub fn up_seconds(&self) -> Option<f64> {
        let (_, picture) = self.picture.as_ref()?;
        let started = picture.samples.value("process_start_time_seconds")?;
        Some(self.now.as_milliseconds() as f64 / 1000.0 - started)
    }

    /// Seconds since the picture was taken.
    pub fn age_seconds(&self) -> Option<f64> {
        let (time, _) = self.picture.as_ref()?;
        Some(self.now.seconds_since(*time))
    }

    /// Seconds since the stage of a run at work last wrote into its journal.
    pub fn silent_seconds(&self, run: &RunView) -> Option<f64> {
        let (time, picture) = self
            .picture
            .as_ref()
            .filter(|_| run.state == RunState::Running)?;
        let name = "begat_stage_last_event_timestamp_seconds";
        let wrote = picture.samples.of(name, "run", &run.run.short())?;
        Some(time.as_milliseconds() as f64 / 1000.0 - wrote)
    }

    /// Seconds that a run still needs if it goes on as it did: as was seen, else as in its last interval, else in the mean.
    pub fn seconds_left(&self, run: &RunView) -> Option<f64> {
        let (step, of) = run.progress.filter(|_| run.state == RunState::Running)?;
        let (_, picture) = self.picture.as_ref()?;
        let now = picture
            .samples
            .of("begat_stage_step_seconds", "run", &run.run.short());
        let mean = || Some(run.seconds? / step as f64).filter(|_| step > 0);
        let seen = self.paces.seconds_of_a_step(run.run);
        let of_a_step = seen
            .or(now.filter(|seconds| *seconds > 0.0))
            .or_else(mean)?;
        Some(of.saturating_sub(step) as f64 * of_a_step)
    }
}
