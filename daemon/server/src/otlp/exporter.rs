//! Sends metrics and spans at every turn, and once more at the end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use begat_schemas::Time;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::resource::Resource;
use super::sending::{Sender, Sent};
use super::{metrics, value};
use crate::config::OtlpConfig;
use crate::engine::Engine;

/// Spans that wait for a collector; beyond these the oldest are dropped.
const QUEUE_MAX: usize = 4096;
/// How long the last telling may take when the daemon stops.
const LAST_TURN: Duration = Duration::from_secs(2);
/// Spans in one request.
const BATCH_MAX: usize = 512;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The figures of `/metrics`.
    Metrics,
    /// Spans of launches and stages.
    Traces,
}

impl Signal {
    /// Its name in URLs and series.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Traces => "traces",
        }
    }
}

/// Spans that wait to be sent; nobody waits for them.
#[derive(Debug, Clone, Default)]
pub struct Spans(Option<Arc<Mutex<Queue>>>);

#[derive(Debug, Default)]
struct Queue {
    spans: VecDeque<Span>,
    /// How many left before the first of these, sent or dropped.
    gone: u64,
}

impl Queue {
    fn drop_first(&mut self, count: usize) {
        self.gone += self.spans.drain(..count).count() as u64;
    }
}

impl Spans {
    /// A queue if spans are wanted, else one that holds nothing.
    pub fn new(wanted: bool) -> Self {
        Self(wanted.then(Arc::default))
    }

    /// Whether spans are wanted; making them costs something.
    pub fn are_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Adds spans, and says how many old ones had to make room.
    pub fn push(&self, spans: impl IntoIterator<Item = Span>) -> usize {
        let Some(queue) = &self.0 else {
            return 0;
        };
        let mut queue = queue.lock();
        queue.spans.extend(spans);
        let dropped = queue.spans.len().saturating_sub(QUEUE_MAX);
        queue.drop_first(dropped);
        dropped
    }

    /// How many wait.
    fn waiting(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.lock().spans.len())
    }

    /// The first of them, and how many will have left once these did.
    fn batch(&self) -> (Vec<Span>, u64) {
        let Some(queue) = &self.0 else {
            return (Vec::new(), 0);
        };
        let queue = queue.lock();
        let batch: Vec<Span> = queue.spans.iter().take(BATCH_MAX).cloned().collect();
        let end = queue.gone + batch.len() as u64;
        (batch, end)
    }

    /// A batch is done with; some of it may have made room meanwhile.
    fn done(&self, end: u64) {
        if let Some(queue) = &self.0 {
            let mut queue = queue.lock();
            let left = usize::try_from(end.saturating_sub(queue.gone)).unwrap_or(usize::MAX);
            let left = left.min(queue.spans.len());
            queue.drop_first(left);
        }
    }
}

/// Sends until `stop`, and once more then.
pub async fn export(engine: Engine, config: OtlpConfig, stop: CancellationToken) {
    let sender = match Sender::new(&config) {
        Ok(sender) => sender,
        Err(error) => {
            tracing::error!("nothing is sent to {}: {error}", config.endpoint);
            return;
        }
    };
    tracing::info!("metrics and traces are sent to {}", config.endpoint);
    let mut exporter = Exporter {
        resource: Resource::new(&config.resource, &engine.config().data),
        began: Time::now(),
        not_before: [Instant::now(); 2],
        troubles: [None, None],
        engine,
        sender,
    };
    let mut turns = tokio::time::interval(config.interval);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = turns.tick() => {}
            () = stop.cancelled() => break,
        }
        tokio::select! {
            () = exporter.turn() => {}
            () = stop.cancelled() => break,
        }
    }
    exporter.last_turn().await;
}

struct Exporter {
    engine: Engine,
    sender: Sender,
    resource: Resource,
    began: Time,
    /// When the collector wants to hear of each signal again.
    not_before: [Instant; 2],
    /// What last became of each signal, if it did not go through: said once, not at every turn.
    troubles: [Option<String>; 2],
}

impl Exporter {
    async fn turn(&mut self) {
        let now = Instant::now();
        if now >= self.not_before[Signal::Metrics as usize] {
            self.tell_metrics().await;
        }
        if now >= self.not_before[Signal::Traces as usize] {
            self.tell_spans().await;
        }
    }

    /// A pause that the collector asked for would be for ever, and one that does not answer must not keep a stopped daemon.
    async fn last_turn(&mut self) {
        self.not_before = [Instant::now(); 2];
        let _ = tokio::time::timeout(LAST_TURN, self.turn()).await;
        let left = self.engine.spans().waiting();
        if left > 0 {
            tracing::warn!("{left} spans were never taken, and are lost");
        }
    }

    async fn tell_metrics(&mut self) {
        let (families, exemplars) = match self.engine.metric_families().await {
            Ok(gathered) => gathered,
            Err(error) => {
                tracing::warn!("no metrics to send: {error}");
                return;
            }
        };
        let request = metrics::request(
            &self.resource,
            &families,
            &exemplars,
            self.began,
            Time::now(),
        );
        let sent = self.sender.send(Signal::Metrics, &request).await;
        self.heard(Signal::Metrics, &sent);
    }

    async fn tell_spans(&mut self) {
        let spans = self.engine.spans().clone();
        loop {
            let (batch, end) = spans.batch();
            if batch.is_empty() {
                return;
            }
            let length = batch.len();
            let request = self.spans_request(batch);
            let sent = self.sender.send(Signal::Traces, &request).await;
            self.heard(Signal::Traces, &sent);
            match sent {
                Sent::Later(..) => return,
                Sent::Refused(_) => self.engine.telemetry().otlp().dropped(length),
                Sent::Accepted { .. } => {}
            }
            spans.done(end);
        }
    }

    fn spans_request(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.message()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(value::scope()),
                    spans,
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        }
    }

    /// Counts and says what became of a request.
    fn heard(&mut self, signal: Signal, sent: &Sent) {
        let (outcome, problem) = match sent {
            Sent::Accepted { complaint } => {
                let in_part = complaint
                    .as_ref()
                    .map(|complaint| format!("sent, but {complaint}"));
                ("accepted", in_part)
            }
            Sent::Refused(problem) => ("refused", Some(format!("refused: {problem}"))),
            Sent::Later(problem, None) => ("unreachable", Some(format!("not sent: {problem}"))),
            Sent::Later(problem, Some(pause)) => {
                let waiting = format!(
                    "not sent: {problem}, and asked for {} s of silence",
                    pause.as_secs()
                );
                self.not_before[signal as usize] = Instant::now() + *pause;
                ("unreachable", Some(waiting))
            }
        };
        self.engine.telemetry().otlp().sent(signal, outcome);
        let before = &mut self.troubles[signal as usize];
        match &problem {
            Some(problem) if before.as_ref() != Some(problem) => {
                tracing::warn!("{} {problem}", signal.name());
            }
            None if before.is_some() => tracing::info!("{} are sent again", signal.name()),
            _ => {}
        }
        *before = problem;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(numbers: std::ops::Range<usize>) -> impl Iterator<Item = Span> {
        numbers.map(|number| Span {
            name: number.to_string(),
            ..Span::default()
        })
    }

    fn names(batch: &[Span]) -> (&str, &str) {
        (&batch[0].name, &batch[batch.len() - 1].name)
    }

    #[test]
    fn nothing_is_kept_where_no_spans_are_wanted() {
        let spans = Spans::new(false);
        assert_eq!(spans.push(numbered(0..3)), 0);
        assert!(spans.batch().0.is_empty());
    }

    #[test]
    fn batches_follow_one_another_and_what_was_not_sent_comes_again() {
        let spans = Spans::new(true);
        spans.push(numbered(0..BATCH_MAX + 2));
        let (first, end) = spans.batch();
        assert_eq!(first.len(), BATCH_MAX);
        assert_eq!(spans.batch().0, first);
        spans.done(end);
        let (rest, end) = spans.batch();
        assert_eq!(names(&rest), ("512", "513"));
        spans.done(end);
        assert!(spans.batch().0.is_empty());
    }

    #[test]
    fn the_oldest_make_room_even_while_they_are_being_sent() {
        let spans = Spans::new(true);
        assert_eq!(spans.push(numbered(0..QUEUE_MAX)), 0);
        let (_, end) = spans.batch();
        assert_eq!(spans.push(numbered(QUEUE_MAX..QUEUE_MAX + 100)), 100);
        spans.done(end);
        let (next, _) = spans.batch();
        assert_eq!(next[0].name, BATCH_MAX.to_string());
        assert_eq!(
            spans.push(numbered(0..2 * QUEUE_MAX)),
            2 * QUEUE_MAX - BATCH_MAX + 100
        );
    }
}
