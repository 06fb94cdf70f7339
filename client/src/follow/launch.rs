//! Watching a launch.

use std::collections::{BTreeMap, BTreeSet};

use begat_client::Client;
use begat_schemas::api::{LaunchState, LaunchView, StageState, StageView, StreamEvent};
use begat_schemas::{Metric, RunId};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::board::Board;
use super::{PAUSE, forward, patiently};
use crate::context::Context;
use crate::failure::Failure;

/// The last values of some runs' metrics.
pub type LastValues = BTreeMap<RunId, BTreeMap<String, Metric>>;

struct Watch<'a> {
    client: &'a Client,
    board: Board,
    followed: BTreeSet<RunId>,
    tasks: JoinSet<()>,
    sender: UnboundedSender<(String, StreamEvent)>,
    events: UnboundedReceiver<(String, StreamEvent)>,
}

/// Watches a launch until none of its stages can go on, and says so.
pub async fn launch(
    context: &Context,
    client: &Client,
    mut view: LaunchView,
) -> Result<LaunchView, Failure> {
    context.goes_on_without_me(format!(
        "the launch goes on; `begat show {0}` shows it, `begat cancel {0}` ends it",
        view.launch
    ));
    let (sender, events) = unbounded_channel();
    let mut watch = Watch {
        client,
        board: Board::new(context.terminal),
        followed: BTreeSet::new(),
        tasks: JoinSet::new(),
        sender,
        events,
    };
    let id = view.launch.to_string();
    let mut ticks = tokio::time::interval(PAUSE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some((stage, event)) = watch.events.recv() => watch.event(&stage, event),
            _ = ticks.tick() => {
                watch.update(&view);
                if view.state != LaunchState::Running {
                    break;
                }
                view = patiently(|| client.launch_view(&id)).await?;
            }
        }
    }
    watch.board.clear();
    Ok(view)
}

impl Watch<'_> {
    fn update(&mut self, view: &LaunchView) {
        for stage in &view.stages {
            let active = matches!(
                stage.state,
                StageState::Running | StageState::Interrupted | StageState::Storing
            );
            if stage.state != StageState::Waiting {
                self.board
                    .state(stage.stage.as_str(), &describe(stage), active);
            }
            if let (true, Some(run)) = (active, stage.run)
                && self.followed.insert(run)
            {
                let (client, sender) = (self.client.clone(), self.sender.clone());
                let name = stage.stage.to_string();
                self.tasks
                    .spawn(forward(client, run.to_string(), None, name, sender));
            }
        }
    }

    fn event(&mut self, stage: &str, event: StreamEvent) {
        if let StreamEvent::Journal { event, .. } = event {
            self.board.event(stage, &event);
        }
    }
}

fn describe(stage: &StageView) -> String {
    let run = stage
        .run
        .map_or(String::new(), |run| format!(" (run {})", run.short()));
    let reason = stage.reason.as_ref().map_or(String::new(), |reason| {
        format!(": {}", crate::text::printable(reason))
    });
    match stage.state {
        StageState::Waiting => "waiting".to_owned(),
        StageState::Blocked => format!("blocked{reason}"),
        StageState::Queued => format!("queued{run}"),
        StageState::Running => format!("running{run}"),
        StageState::Storing => "storing its outputs".to_owned(),
        StageState::Interrupted => format!("interrupted{reason}"),
        StageState::Succeeded if stage.found => format!("found{run}"),
        StageState::Succeeded => format!("succeeded{run}"),
        StageState::Failed => format!("failed{reason}"),
        StageState::Cancelled => "cancelled".to_owned(),
    }
}
