//! A run's events, replayed and then followed.
//!
//! A follower reads the journal itself, from the file while the attempt lives and from the sealed blob afterwards, up to
//! where the watch says that whole lines go. The two hold the same bytes, so changing over loses and doubles nothing.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::str::FromStr;
use std::sync::Arc;

use begat_ledger::journal::Decoder;
use begat_schemas::api::StreamEvent;
use begat_schemas::{AttemptId, Event, RunId, RunState};
use begat_store::BlobReader;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::{Live, Status};
use crate::engine::{EngineError, Shared};

const PIECE_BYTES: usize = 64 << 10;
/// Messages that wait for a slow reader.
const WAITING_MAX: usize = 256;

/// An event's place: the id of a server-sent event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventCursor {
    /// The attempt's number.
    pub attempt: u32,
    /// The event's number.
    pub seq: u64,
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.attempt, self.seq)
    }
}

/// A text that is no place of an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the place of an event: expected ATTEMPT.SEQ")]
pub struct BadCursor(String);

impl FromStr for EventCursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let parts = text.split_once('.');
        let cursor = parts.and_then(|(attempt, seq)| {
            Some(Self {
                attempt: attempt.parse().ok()?,
                seq: seq.parse().ok()?,
            })
        });
        cursor.ok_or_else(|| BadCursor(text.to_owned()))
    }
}

/// One message of an [`EventStream`].
#[derive(Debug, Clone, PartialEq)]
pub struct StreamItem {
    /// Where it stands, if it is a line of a journal.
    pub id: Option<EventCursor>,
    /// The message.
    pub event: StreamEvent,
}

/// A run's events: replayed, then followed, ended by a final state.
pub type EventStream = ReceiverStream<StreamItem>;

/// Where an attempt's journal can be read.
#[derive(Debug)]
pub(crate) enum Source {
    /// In its work folder.
    Live(Arc<Live>),
    /// In the store.
    Sealed(Box<BlobReader>),
    /// Nowhere: it wrote none.
    Nothing,
}

/// Where the journal of `attempt` can be read now. Blocks.
pub(crate) fn source_of(shared: &Shared, attempt: AttemptId) -> Result<Source, EngineError> {
    if let Some(live) = shared.live.get(attempt) {
        return Ok(Source::Live(live));
    }
    let entry = shared.ledger.attempt(attempt)?;
    let sealed = entry
        .and_then(|entry| entry.end)
        .and_then(|end| end.journal);
    match sealed {
        Some(blob) => Ok(Source::Sealed(Box::new(shared.store.get_blob(blob)?))),
        None => Ok(Source::Nothing),
    }
}

/// Follows `run`: its attempt `only`, or the present one and those that come after it.
pub(crate) fn follow(
    shared: Arc<Shared>,
    run: RunId,
    only: Option<u32>,
    after: Option<EventCursor>,
) -> EventStream {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let follower = Follower {
        changes: shared.changes.subscribe(),
        shared,
        run,
        only,
        sender,
        told: None,
    };
    tokio::spawn(follower.run(after));
    ReceiverStream::new(receiver)
}

struct Follower {
    shared: Arc<Shared>,
    run: RunId,
    only: Option<u32>,
    changes: watch::Receiver<u64>,
    sender: mpsc::Sender<StreamItem>,
    told: Option<RunState>,
}

/// How the run, or the one attempt that is followed, stands.
struct Stands {
    state: RunState,
    reason: Option<String>,
    attempt: Option<u32>,
}

impl Follower {
    /// Ends when the run has, when the reader has gone, or when the daemon stops.
    async fn run(mut self, after: Option<EventCursor>) {
        let mut done = None;
        let mut after = after;
        while let Some(stands) = self.stands().await {
            let newest = self.only.or(stands.attempt);
            let next = match (after, done) {
                (Some(cursor), None) => Some(cursor.attempt),
                _ => newest,
            };
            if !stands.state.is_final() && self.tell(&stands).await.is_none() {
                return;
            }
            match next.filter(|&next| done.is_none_or(|done| next > done)) {
                Some(number) => {
                    let seq = after.take().map_or(0, |cursor| cursor.seq);
                    if self.replay(number, seq).await.is_none() {
                        return;
                    }
                    done = Some(number);
                }
                None if stands.state.is_final() => {
                    self.tell(&stands).await;
                    return;
                }
                None => {
                    if self.wait().await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    async fn wait(&mut self) -> Option<()> {
        let stopping = self.shared.stopping.clone();
        tokio::select! {
            changed = self.changes.changed() => changed.ok(),
            () = stopping.cancelled() => None,
            () = self.sender.closed() => None,
        }
    }

    async fn stands(&mut self) -> Option<Stands> {
        self.changes.borrow_and_update();
        let (shared, run, only) = (Arc::clone(&self.shared), self.run, self.only);
        let found = self
            .shared
            .blocking(move || stands(&shared, run, only))
            .await?;
        found
            .inspect_err(|error| tracing::warn!("a follower ends: {error}"))
            .ok()
            .flatten()
    }

    async fn tell(&mut self, stands: &Stands) -> Option<()> {
        if self.told == Some(stands.state) {
            return Some(());
        }
        self.told = Some(stands.state);
        let event = StreamEvent::State {
            state: stands.state,
            reason: stands.reason.clone(),
        };
        self.send(StreamItem { id: None, event }).await
    }

    async fn send(&self, item: StreamItem) -> Option<()> {
        self.sender.send(item).await.ok()
    }

    /// Sends the attempt's events after `seq` until it is over.
    async fn replay(&mut self, number: u32, seq: u64) -> Option<()> {
        let attempt = AttemptId {
            run: self.run,
            number,
        };
        let mut reader = JournalReader::new(attempt, seq);
        loop {
            let (shared, mut taken) = (Arc::clone(&self.shared), reader);
            let read = self.shared.blocking(move || {
                let read = taken.read(&shared);
                (taken, read)
            });
            let (taken, read) = read.await?;
            reader = taken;
            let Piece { events, rest } = read
                .inspect_err(|error| tracing::warn!("a follower ends: {error}"))
                .ok()?;
            for event in events {
                let id = EventCursor {
                    attempt: number,
                    seq: event.seq,
                };
                let event = StreamEvent::Journal {
                    attempt: number,
                    event,
                };
                self.send(StreamItem {
                    id: Some(id),
                    event,
                })
                .await?;
            }
            match rest {
                Rest::More => {}
                Rest::Over => return Some(()),
                Rest::Later(mut status) => self.wait_for_more(&mut status).await?,
            }
        }
    }

    async fn wait_for_more(&mut self, status: &mut watch::Receiver<Status>) -> Option<()> {
        let stopping = self.shared.stopping.clone();
        tokio::select! {
            _ = status.changed() => {}
            _ = self.changes.changed() => {
                let stands = self.stands().await?;
                if !stands.state.is_final() {
                    self.tell(&stands).await?;
                }
            }
            () = stopping.cancelled() => return None,
            () = self.sender.closed() => return None,
        }
        Some(())
    }
}

fn stands(shared: &Shared, run: RunId, only: Option<u32>) -> Result<Option<Stands>, EngineError> {
    if let Some(number) = only {
        let entry = shared.ledger.attempt(AttemptId { run, number })?;
        return Ok(entry.map(|entry| Stands {
            state: entry.state,
            reason: entry.reason,
            attempt: Some(number),
        }));
    }
    let entry = shared.ledger.run(run)?;
    Ok(entry.map(|entry| Stands {
        state: entry.state,
        reason: entry.reason,
        attempt: entry.current_attempt,
    }))
}

struct Piece {
    events: Vec<Event>,
    rest: Rest,
}

enum Rest {
    More,
    Later(watch::Receiver<Status>),
    Over,
}

/// A journal's reader that changes over from the file to the blob.
struct JournalReader {
    attempt: AttemptId,
    after: u64,
    decoder: Decoder,
    file: Option<(File, Arc<Live>)>,
    sealed: Option<Box<BlobReader>>,
}

impl JournalReader {
    fn new(attempt: AttemptId, after: u64) -> Self {
        Self {
            attempt,
            after,
            decoder: Decoder::new(),
            file: None,
            sealed: None,
        }
    }

    fn read(&mut self, shared: &Shared) -> Result<Piece, EngineError> {
        if self.file.is_none() && self.sealed.is_none() {
            match source_of(shared, self.attempt)? {
                Source::Live(live) => match File::open(live.folder.journal()) {
                    Ok(file) => self.file = Some((file, live)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return Ok(absent(&live));
                    }
                    Err(error) => return Err(EngineError::internal(error)),
                },
                Source::Sealed(blob) => self.sealed = Some(blob),
                Source::Nothing => {
                    return Ok(Piece {
                        events: Vec::new(),
                        rest: Rest::Over,
                    });
                }
            }
        }
        let (piece, rest) = self.piece().map_err(EngineError::internal)?;
        let events = self.decoder.push(&piece).into_iter();
        let events = events
            .filter_map(begat_ledger::journal::Decoded::into_event)
            .filter(|event| event.seq > self.after)
            .collect();
        Ok(Piece { events, rest })
    }

    /// The next bytes up to where whole lines go, and what comes after them.
    fn piece(&mut self) -> io::Result<(Vec<u8>, Rest)> {
        let mut piece = vec![0; PIECE_BYTES];
        if let Some(blob) = &mut self.sealed {
            let read = blob.read(&mut piece)?;
            piece.truncate(read);
            let rest = if read == 0 { Rest::Over } else { Rest::More };
            return Ok((piece, rest));
        }
        let Some((file, live)) = &mut self.file else {
            return Ok((Vec::new(), Rest::Over));
        };
        let mut receiver = live.status.subscribe();
        let status = *receiver.borrow_and_update();
        // What the decoder keeps of an unfinished line was read already.
        let read_to = self.decoder.position() + self.decoder.unfinished();
        let left = status.position.saturating_sub(read_to);
        let wanted = usize::try_from(left)
            .unwrap_or(PIECE_BYTES)
            .min(PIECE_BYTES);
        let read = file.read(&mut piece[..wanted])?;
        piece.truncate(read);
        let rest = match (read, status.over) {
            (0, true) => Rest::Over,
            (0, false) => Rest::Later(receiver),
            _ => Rest::More,
        };
        Ok((piece, rest))
    }
}

/// A live attempt whose journal is not there: not yet, or no longer.
fn absent(live: &Live) -> Piece {
    let mut receiver = live.status.subscribe();
    let over = receiver.borrow_and_update().over;
    Piece {
        events: Vec::new(),
        rest: if over {
            Rest::More
        } else {
            Rest::Later(receiver)
        },
    }
}
