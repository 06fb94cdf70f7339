//! What is asked of the daemon: readings only, on tasks that the screen never waits for.

mod log;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use begat_client::{ApiError, Client, MetricsQuery, RunQuery};
use begat_schemas::api::{MetricsView, RunView, Version};
use begat_schemas::{Device, RunId, RunState};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::samples::Samples;
use super::state::sort_key;

/// The newest runs that are listed; live ones come besides.
const LISTED: usize = 500;
/// Points of a curve: a chart has two columns of dots for each of the terminal's.
const POINTS: u64 = 400;
/// After so long a daemon that says nothing counts as away.
const ANSWER_SECONDS_MAX: u64 = 10;
/// The daemon reads a journal whole for its curves, so the pause between two questions is a multiple of what one took.
const PAUSES_PER_ANSWER: u32 = 20;
/// While someone runs through the list, nothing is asked about the runs passed by.
const SETTLED: Duration = Duration::from_millis(60);

/// What the daemon said of everything at one moment.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Which daemon it is.
    pub version: Version,
    /// Runs, the newest first.
    pub runs: Vec<RunView>,
    /// What `/metrics` said.
    pub samples: Samples,
    /// Which device a live run is on.
    pub devices: Devices,
}

/// The devices of live runs' attempts.
pub type Devices = BTreeMap<RunId, Device>;

/// What came from the daemon.
#[derive(Debug, Clone)]
pub enum Update {
    /// How everything stands.
    Picture(Box<Picture>),
    /// It did not answer, and why.
    Away(String),
    /// A run's curves.
    Curves(RunId, Box<MetricsView>),
    /// A piece of a run's log.
    Log(RunId, LogPiece),
    /// The daemon has no curves or no log of a run.
    Nothing(RunId),
}

/// A piece of a log.
#[derive(Debug, Clone, Default)]
pub struct LogPiece {
    /// Whether it begins anew: what was there before is not what this goes on from.
    pub anew: bool,
    /// Whether more stands before it that was not asked for.
    pub is_tail: bool,
    /// The text.
    pub text: String,
}

/// The run that details are asked of, and what about it makes it worth asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// The run.
    pub run: RunId,
    /// How it stands.
    pub state: RunState,
    /// How many attempts it has.
    pub attempts: u32,
}

/// Asks how everything stands, again and again.
pub async fn pictures(client: Client, interval: Duration, updates: mpsc::Sender<Update>) {
    let mut devices = BTreeMap::new();
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let bound = Duration::from_secs(ANSWER_SECONDS_MAX);
    loop {
        ticks.tick().await;
        let update = match tokio::time::timeout(bound, picture(&client, &mut devices)).await {
            Ok(Ok(picture)) => Update::Picture(Box::new(picture)),
            Ok(Err(error)) => Update::Away(error.to_string()),
            Err(_) => Update::Away(format!("no answer in {ANSWER_SECONDS_MAX} s")),
        };
        if updates.send(update).await.is_err() {
            return;
        }
    }
}

/// How everything stands now. `known` keeps what never changes between two pictures.
pub async fn picture(
    client: &Client,
    known: &mut BTreeMap<(RunId, u32), Device>,
) -> Result<Picture, ApiError> {
    let newest = RunQuery {
        limit: Some(LISTED),
        ..RunQuery::default()
    };
    let (version, mut runs, text) = tokio::try_join!(
        client.version(),
        client.runs(&newest),
        client.metrics_text()
    )?;
    let samples = Samples::parse(&text);
    add_older_live_runs(client, &samples, &mut runs).await?;
    let devices = devices(client, &runs, known).await;
    Ok(Picture {
        version,
        runs,
        samples,
        devices,
    })
}

/// A live run may be older than all that are listed.
async fn add_older_live_runs(
    client: &Client,
    samples: &Samples,
    runs: &mut Vec<RunView>,
) -> Result<(), ApiError> {
    if runs.len() < LISTED {
        return Ok(());
    }
    for state in RunState::ALL.into_iter().filter(|state| !state.is_final()) {
        let listed = runs.iter().filter(|run| run.state == state).count();
        let there = samples.of("begat_runs", "state", state.name());
        if there.is_none_or(|there| there <= listed as f64) {
            continue;
        }
        let query = RunQuery {
            state: Some(state),
            ..RunQuery::default()
        };
        for run in client.runs(&query).await? {
            if !runs.iter().any(|known| known.run == run.run) {
                runs.push(run);
            }
        }
    }
    Ok(())
}

/// Which device each run at work has. An attempt never changes it, so each is asked for once; one that cannot be had is
/// left out.
async fn devices(
    client: &Client,
    runs: &[RunView],
    known: &mut BTreeMap<(RunId, u32), Device>,
) -> Devices {
    let working = runs.iter().filter(|run| sort_key(run.state) == 0);
    let working: Vec<(RunId, u32)> = working.map(|run| (run.run, run.attempts)).collect();
    known.retain(|attempt, _| working.contains(attempt));
    for attempt in working {
        if known.contains_key(&attempt) {
            continue;
        }
        if let Ok(detail) = client.run(&attempt.0.to_string()).await
            && let Some(newest) = detail.attempt_list.last()
        {
            known.insert(attempt, newest.execution.device.clone());
        }
    }
    let devices = known.iter();
    devices
        .map(|((run, _), device)| (*run, device.clone()))
        .collect()
}

/// Asks for the curves and the log of the run that is wished for, until another one is.
pub async fn details(
    client: Client,
    interval: Duration,
    mut wishes: watch::Receiver<Option<Wish>>,
    updates: mpsc::Sender<Update>,
) {
    loop {
        let wish = *wishes.borrow_and_update();
        tokio::select! {
            changed = wishes.changed() => if changed.is_err() { return },
            () = follow(&client, wish, interval, &updates) => {}
        }
    }
}

/// Never ends by itself: what a run that is over came to is asked for once.
async fn follow(
    client: &Client,
    wish: Option<Wish>,
    interval: Duration,
    updates: &mpsc::Sender<Update>,
) {
    if let Some(wish) = wish {
        tokio::time::sleep(SETTLED).await;
        tokio::join!(
            curves(client, wish, interval, updates),
            log::follow(client, wish, interval, updates),
        );
    }
    std::future::pending().await
}

async fn curves(client: &Client, wish: Wish, interval: Duration, updates: &mpsc::Sender<Update>) {
    let run = wish.run.to_string();
    let query = MetricsQuery {
        points: Some(POINTS),
        ..MetricsQuery::default()
    };
    loop {
        let asked = Instant::now();
        let answer = client.metrics(&run, &query).await;
        let took = asked.elapsed();
        let settled = settles(&answer, wish);
        let update = match answer {
            Ok(view) => Some(Update::Curves(wish.run, Box::new(view))),
            Err(error) if error.is_transient() => None,
            Err(_) => Some(Update::Nothing(wish.run)),
        };
        if let Some(update) = update {
            let _ = updates.send(update).await;
        }
        if settled {
            return;
        }
        tokio::time::sleep(interval.max(took * PAUSES_PER_ANSWER)).await;
    }
}

/// Whether asking again would give nothing else: the run is over, and what came is no broken connection.
fn settles<T>(answer: &Result<T, ApiError>, wish: Wish) -> bool {
    let broken = matches!(answer, Err(error) if error.is_transient());
    wish.state.is_final() && !broken
}
