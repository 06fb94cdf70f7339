//! A run's live events, followed through broken connections and restarts of the daemon.

use std::time::{Duration, Instant};

use begat_schemas::api::StreamEvent;
use reqwest::Method;

use super::error::ApiError;
use super::sse::{Decoder, Message};
use super::transport::{Answer, Client};

/// How long a daemon may be away before following it is given up.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// The pauses between attempts to connect again.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The events of a run: those that were, then those that come, until the run's state is final.
pub struct EventStream {
    client: Client,
    run: String,
    attempt: Option<u32>,
    last_id: Option<String>,
    connection: Option<(Answer, Decoder)>,
    waiting: std::collections::VecDeque<Message>,
    away_since: Option<Instant>,
    pause: Duration,
    finished: bool,
}

impl Client {
    /// Follows a run's events; those of one attempt if `attempt` names it.
    pub fn events(&self, run: &str, attempt: Option<u32>) -> EventStream {
        EventStream {
            client: self.clone(),
            run: run.to_owned(),
            attempt,
            last_id: None,
            connection: None,
            waiting: std::collections::VecDeque::new(),
            away_since: None,
            pause: PAUSE_MIN,
            finished: false,
        }
    }
}

impl EventStream {
    /// The next event; none after the run's final state. A broken connection is mended: the stream goes on after the
    /// last event that was given.
    pub async fn next(&mut self) -> Option<Result<StreamEvent, ApiError>> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Some(self.event(message));
            }
            if self.finished {
                return None;
            }
            match self.fill().await {
                Ok(()) => {}
                Err(error) if error.is_transient() && self.still_patient() => self.rest().await,
                Err(error) => {
                    self.finished = true;
                    return Some(Err(error));
                }
            }
        }
    }

    /// Reads one piece of the stream into `waiting`, connecting first if need be.
    async fn fill(&mut self) -> Result<(), ApiError> {
        let (mut answer, mut decoder) = match self.connection.take() {
            Some(connection) => connection,
            None => (self.connect().await?, Decoder::default()),
        };
        match answer.chunk().await? {
            Some(bytes) => {
                let messages = decoder.push(bytes.as_ref());
                let messages = messages.map_err(|error| answer.bad(error.to_string()))?;
                if !messages.is_empty() {
                    (self.away_since, self.pause) = (None, PAUSE_MIN);
                }
                self.waiting.extend(messages);
                self.connection = Some((answer, decoder));
                Ok(())
            }
            // The daemon ends the stream after a final state; any other end is a stop of the daemon.
            None => Err(ApiError::Broken {
                action: format!("GET /runs/{}/events", self.run),
                place: self.client.endpoint().place(),
                reason: "the stream ended early".to_owned(),
            }),
        }
    }

    async fn connect(&self) -> Result<Answer, ApiError> {
        let path = ["runs", self.run.as_str(), "events"];
        let mut request = self
            .client
            .request(Method::GET, &path)
            .query("attempt", self.attempt);
        if let Some(id) = &self.last_id {
            request = request.header("Last-Event-ID", id);
        }
        request.stream("text/event-stream").await
    }

    fn still_patient(&mut self) -> bool {
        self.away_since.get_or_insert_with(Instant::now).elapsed() < AWAY_MAX
    }

    async fn rest(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    fn event(&mut self, message: Message) -> Result<StreamEvent, ApiError> {
        if message.id.is_some() {
            self.last_id = message.id;
        }
        let event: StreamEvent =
            serde_json::from_str(&message.data).map_err(|error| ApiError::BadAnswer {
                action: format!("GET /runs/{}/events", self.run),
                place: self.client.endpoint().place(),
                reason: error.to_string(),
            })?;
        if let StreamEvent::State { state, .. } = &event {
            self.finished |= state.is_final();
        }
        Ok(event)
    }
}
