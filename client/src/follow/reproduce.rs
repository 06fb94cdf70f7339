//! Watching a reproduction.

use std::collections::BTreeSet;

use begat_client::Client;
use begat_schemas::AttemptId;
use begat_schemas::api::{ReproduceState, ReproduceView, RunVerdict, StreamEvent};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::board::Board;
use super::{PAUSE, forward, patiently};
use crate::context::Context;
use crate::failure::Failure;

/// Watches a reproduction until its verdict.
pub async fn reproduction(
    context: &Context,
    client: &Client,
    mut view: ReproduceView,
) -> Result<ReproduceView, Failure> {
    context.goes_on_without_me(format!(
        "the daemon goes on with the reproduction {}",
        view.id
    ));
    let mut board = Board::new(context.terminal);
    let mut followed = BTreeSet::new();
    let mut tasks = JoinSet::new();
    let (sender, mut events) = unbounded_channel::<(String, StreamEvent)>();
    let mut ticks = tokio::time::interval(PAUSE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some((name, event)) = events.recv() => {
                if let StreamEvent::Journal { event, .. } = event {
                    board.event(&name, &event);
                }
            }
            _ = ticks.tick() => {
                for verdict in &view.verdicts {
                    update(&mut board, verdict);
                    follow(client, verdict, &mut followed, &mut tasks, &sender);
                }
                if view.state != ReproduceState::Running {
                    break;
                }
                view = patiently(|| client.reproduction(view.id)).await?;
            }
        }
    }
    board.clear();
    Ok(view)
}

fn update(board: &mut Board, verdict: &RunVerdict) {
    let state = match (verdict.state, verdict.attempt) {
        (ReproduceState::Running, None) => "waits to be made again".to_owned(),
        (ReproduceState::Running, Some(attempt)) => {
            format!("is being made again (attempt {})", attempt.number)
        }
        (ReproduceState::Identical, _) => "identical".to_owned(),
        (ReproduceState::Different, _) => "different".to_owned(),
        (ReproduceState::Corrupt, _) => "corrupt".to_owned(),
        (ReproduceState::Failed, _) => "failed".to_owned(),
    };
    let active = verdict.state == ReproduceState::Running;
    board.state(&name_of(verdict), &state, active);
}

fn follow(
    client: &Client,
    verdict: &RunVerdict,
    followed: &mut BTreeSet<AttemptId>,
    tasks: &mut JoinSet<()>,
    sender: &UnboundedSender<(String, StreamEvent)>,
) {
    let Some(attempt) = verdict.attempt else {
        return;
    };
    if verdict.state == ReproduceState::Running && followed.insert(attempt) {
        tasks.spawn(forward(
            client.clone(),
            verdict.run.to_string(),
            Some(attempt.number),
            name_of(verdict),
            sender.clone(),
        ));
    }
}

fn name_of(verdict: &RunVerdict) -> String {
    verdict.label.clone().unwrap_or_else(|| verdict.run.short())
}
