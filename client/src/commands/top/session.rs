//! The loop: keys, answers and the clock go into the state, and the state onto the screen.

use std::time::Duration;

use begat_client::Client;
use begat_schemas::Time;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::draw::Painter;
use super::fetch::{self, Update};
use super::screen::Screen;
use super::state::{Action, State};
use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// How often the screen is drawn though nothing came: ages on it grow.
const TICK: Duration = Duration::from_secs(1);
/// Answers and keys that may wait for the screen.
const WAITING: usize = 64;

/// Shows the daemon's doings until the user leaves.
pub async fn watch(client: Client, interval: Duration, color: bool) -> Result<ExitCode, Failure> {
    let mut state = State::new(&client.endpoint().place(), Time::now());
    let (sender, updates) = mpsc::channel(WAITING);
    let (wish, wishes) = watch::channel(None);
    let mut tasks = JoinSet::new();
    tasks.spawn(fetch::pictures(client.clone(), interval, sender.clone()));
    tasks.spawn(fetch::details(client, interval, wishes, sender));
    let mut signals = Signals::new()?;
    let mut screen = Screen::enter().map_err(terminal)?;
    let mut painter = Painter::new(color);
    let mut inputs = Inputs {
        keys: keys(),
        updates,
        ticks: tokio::time::interval(TICK),
    };
    loop {
        screen.draw(&mut painter, &mut state).map_err(terminal)?;
        wish.send_if_modified(|wish| std::mem::replace(wish, state.wish()) != state.wish());
        let action = tokio::select! {
            action = inputs.next(&mut state) => action,
            name = signals.next() => return Err(Failure::new(format!("ended by {name}"))),
        };
        match action {
            Action::Draw => {}
            Action::Repaint => screen.repaint().map_err(terminal)?,
            Action::Suspend => screen.suspend().map_err(terminal)?,
            Action::Quit => return Ok(ExitCode::Success),
        }
    }
}

fn terminal(error: std::io::Error) -> Failure {
    Failure::new(format!("cannot use the terminal: {error}"))
}

/// All that changes the state.
struct Inputs {
    keys: mpsc::Receiver<Event>,
    updates: mpsc::Receiver<Update>,
    ticks: tokio::time::Interval,
}

impl Inputs {
    /// Waits for something to happen and takes all that is there by then, so that the screen is drawn once for it.
    async fn next(&mut self, state: &mut State) -> Action {
        let mut action = tokio::select! {
            event = self.keys.recv() => match event {
                Some(event) => take_event(event, state),
                // The terminal is gone.
                None => Action::Quit,
            },
            Some(update) = self.updates.recv() => {
                state.update(update, Time::now());
                Action::Draw
            }
            _ = self.ticks.tick() => {
                state.now = Time::now();
                Action::Draw
            }
        };
        while action == Action::Draw {
            if let Ok(update) = self.updates.try_recv() {
                state.update(update, Time::now());
            } else if let Ok(event) = self.keys.try_recv() {
                action = take_event(event, state);
            } else {
                break;
            }
        }
        action
    }
}

fn take_event(event: Event, state: &mut State) -> Action {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => state.key(key, Time::now()),
        _ => Action::Draw,
    }
}

/// What is typed. A thread of its own reads it: reading from a terminal cannot be called off.
fn keys() -> mpsc::Receiver<Event> {
    let (sender, receiver) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The signals that end a program, waited for so that the terminal is given back first.
struct Signals {
    terminate: Signal,
    hang_up: Signal,
    quit: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let wait_for = |kind| {
            signal(kind).map_err(|error| Failure::new(format!("cannot wait for signals: {error}")))
        };
        Ok(Self {
            terminate: wait_for(SignalKind::terminate())?,
            hang_up: wait_for(SignalKind::hangup())?,
            quit: wait_for(SignalKind::quit())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hang_up.recv() => "SIGHUP",
            _ = self.quit.recv() => "SIGQUIT",
        }
    }
}
