//! Watching the daemon work until it is done.

mod board;
mod launch;
mod pace;
mod reproduce;

use std::time::{Duration, Instant};

use begat_client::{ApiError, Client};
use begat_schemas::api::StreamEvent;
use tokio::sync::mpsc::UnboundedSender;

pub use launch::{LastValues, launch};
pub use reproduce::reproduction;

/// Pauses between questions how it stands.
const PAUSE: Duration = Duration::from_millis(250);
/// How long the daemon may be away before watching is given up.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// Asks until there is an answer: a daemon that is being restarted does not end the watching.
async fn patiently<T, F: Future<Output = Result<T, ApiError>>>(
    mut ask: impl FnMut() -> F,
) -> Result<T, ApiError> {
    let started = Instant::now();
    loop {
        match ask().await {
            Err(error) if error.is_transient() && started.elapsed() < AWAY_MAX => {
                tokio::time::sleep(PAUSE).await;
            }
            result => return result,
        }
    }
}

/// Passes a run's events on under `name`, until they end or nobody wants them. That its stream fails is no failure:
/// how the run stands is asked for besides.
async fn forward(
    client: Client,
    run: String,
    attempt: Option<u32>,
    name: String,
    events: UnboundedSender<(String, StreamEvent)>,
) {
    let mut stream = client.events(&run, attempt);
    while let Some(Ok(event)) = stream.next().await {
        if events.send((name.clone(), event)).is_err() {
            break;
        }
    }
}
