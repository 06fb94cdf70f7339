//! The end of a run's log, and what is added to it.

use std::time::Duration;

use begat_client::{ApiError, Client};
use begat_schemas::api::LogChunk;
use tokio::sync::mpsc;

use super::{LogPiece, Update, Wish};

/// So much of the end of a log is fetched; the rest is for `begat logs`.
const TAIL_BYTES: u64 = 256 << 10;

/// Gives the end of the log, then what is added, until the attempt has ended.
pub(super) async fn follow(
    client: &Client,
    wish: Wish,
    interval: Duration,
    updates: &mpsc::Sender<Update>,
) {
    let mut reading = Reading {
        client,
        run: wish.run.to_string(),
        at: None,
    };
    loop {
        let piece = reading.next().await;
        let goes_on = match piece {
            Ok((piece, goes_on)) => {
                if piece.anew || !piece.text.is_empty() {
                    let _ = updates.send(Update::Log(wish.run, piece)).await;
                }
                goes_on
            }
            Err(error) if wish.state.is_final() && !error.is_transient() => GoesOn::Never,
            Err(_) => GoesOn::Later,
        };
        match goes_on {
            GoesOn::Now => {}
            GoesOn::Later => tokio::time::sleep(interval).await,
            GoesOn::Never => return,
        }
    }
}

/// When there is more to read.
enum GoesOn {
    Now,
    Later,
    Never,
}

/// Where reading stands.
struct Reading<'a> {
    client: &'a Client,
    run: String,
    /// The attempt that is read, and the next byte.
    at: Option<(u32, u64)>,
}

impl Reading<'_> {
    /// What was added since, or much of it, and when there will be more.
    async fn next(&mut self) -> Result<(LogPiece, GoesOn), ApiError> {
        let mut piece = LogPiece::default();
        let mut offset = match self.at {
            Some((_, offset)) => offset,
            None => {
                let end = self.end().await?;
                piece.anew = true;
                end.saturating_sub(TAIL_BYTES)
            }
        };
        piece.is_tail = piece.anew && offset > 0;
        loop {
            let chunk = self.client.log(&self.run, None, offset).await?;
            let number = chunk.attempt.number;
            if self.at.is_some_and(|(known, _)| known != number) {
                // Another attempt has begun: its log is another one.
                self.at = None;
                return Ok((LogPiece::default(), GoesOn::Now));
            }
            self.at = Some((number, chunk.next_offset));
            piece.text.push_str(&chunk.text);
            match (chunk.next_offset == offset, chunk.ended) {
                (true, true) => return Ok((piece, GoesOn::Never)),
                (true, false) => return Ok((piece, GoesOn::Later)),
                _ if piece.text.len() as u64 > TAIL_BYTES => return Ok((piece, GoesOn::Now)),
                _ => offset = chunk.next_offset,
            }
        }
    }

    /// An offset that the log reaches, and that `TAIL_BYTES` more would not; found without reading what lies before it.
    async fn end(&self) -> Result<u64, ApiError> {
        let (mut within, mut beyond) = (0, TAIL_BYTES);
        while self.reaches(beyond).await? {
            (within, beyond) = (beyond, beyond.saturating_mul(2));
        }
        while beyond - within > TAIL_BYTES {
            let middle = within + (beyond - within) / 2;
            match self.reaches(middle).await? {
                true => within = middle,
                false => beyond = middle,
            }
        }
        Ok(within)
    }

    async fn reaches(&self, offset: u64) -> Result<bool, ApiError> {
        let chunk: LogChunk = self
            .client
            .log_part(&self.run, None, offset, Some(1))
            .await?;
        Ok(chunk.next_offset > offset)
    }
}
