//! Runs: lists, details, curves, events, logs.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use begat_ledger::journal::{Decoded, Decoder, Series};
use begat_ledger::{LineageRoot, Record, RunFilter};
use begat_schemas::api::{CandidateKind, Lineage, LogChunk, MetricsView, RunDetail, RunView};
use begat_schemas::{AttemptId, RunId, Time, TreeDigest};

use super::{Engine, EngineError, EventCursor, EventStream, Shared};
use crate::attempts::{Source, follow, source_of};
use crate::scheduler::Event;
use crate::work::WorkFolder;

/// The most of a log that one request gives, in bytes.
const LOG_BYTES_MAX: usize = 1 << 20;
const PIECE_BYTES: usize = 256 << 10;

/// Which points of which curves.
#[derive(Debug, Clone, Default)]
pub struct MetricsQuery {
    /// The attempt's number; the newest if absent.
    pub attempt: Option<u32>,
    /// The first step.
    pub from: Option<u64>,
    /// The last step.
    pub to: Option<u64>,
    /// The most points of a curve.
    pub points: Option<usize>,
    /// The metrics; all if absent.
    pub keys: Option<Vec<String>>,
}

/// Which piece of a log.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// The attempt's number; the newest if absent.
    pub attempt: Option<u32>,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its length, in bytes.
    pub limit: Option<usize>,
}

impl Engine {
    /// Runs, newest first.
    pub async fn runs(&self, filter: RunFilter) -> Result<Vec<RunView>, EngineError> {
        self.run_blocking(move |shared| {
            let mut runs = shared.ledger.runs(&filter)?;
            runs.iter_mut().for_each(|run| shared.fill_in(run));
            Ok(runs)
        })
        .await
    }

    /// All that is known of a run.
    pub async fn run(&self, name: &str) -> Result<RunDetail, EngineError> {
        let run = self.run_of(name).await?;
        self.detail(run).await
    }

    async fn detail(&self, run: RunId) -> Result<RunDetail, EngineError> {
        self.run_blocking(move |shared| {
            let detail = shared.ledger.run_detail(run)?;
            let mut detail =
                detail.ok_or_else(|| EngineError::not_found(&run.to_string(), "run"))?;
            shared.fill_in(&mut detail.view);
            Ok(detail)
        })
        .await
    }

    /// Cancels a run for all launches that wait for it.
    pub async fn cancel_run(&self, name: &str) -> Result<RunDetail, EngineError> {
        let run = self.run_of(name).await?;
        let state = self.detail(run).await?.view.state;
        self.handle(Event::CancelRun(run)).await?;
        let detail = self.detail(run).await?;
        if state.is_final() && detail.view.state == state && !self.has_live(run) {
            return Err(EngineError::Conflict {
                problem: format!("run {} is over: it is {state}", run.short()),
            });
        }
        Ok(detail)
    }

    fn has_live(&self, run: RunId) -> bool {
        self.shared.live.of_run(run).is_some()
    }

    /// Goes on with the newest launch that uses the run, and so with the run.
    pub async fn resume_run(&self, name: &str) -> Result<RunDetail, EngineError> {
        let run = self.run_of(name).await?;
        let launch = self
            .run_blocking(move |shared| {
                let newest = shared.ledger.launches_of(run)?.into_iter().next();
                newest.ok_or_else(|| EngineError::Conflict {
                    problem: format!("run {} belongs to no launch", run.short()),
                })
            })
            .await?;
        self.resume(launch.launch).await?;
        self.detail(run).await
    }

    /// Forgets a finished run that no other needs.
    pub async fn remove_run(&self, name: &str) -> Result<(), EngineError> {
        let run = self.run_of(name).await?;
        self.run_blocking(move |shared| {
            let attempts = shared.ledger.attempts(run)?;
            shared.record(vec![Record::RunRemoved { run }])?;
            for entry in attempts {
                WorkFolder::of(&shared.config.work_folder(), entry.attempt).remove()?;
            }
            Ok(())
        })
        .await
    }

    /// A run's curves.
    pub async fn metrics(
        &self,
        name: &str,
        query: MetricsQuery,
    ) -> Result<MetricsView, EngineError> {
        let name = name.to_owned();
        self.run_blocking(move |shared| {
            let attempt = shared.attempt_named(&name, query.attempt)?;
            let series = shared.curves(attempt)?;
            let range = query.from.unwrap_or(0)..=query.to.unwrap_or(u64::MAX);
            let (curves, thinned) = series.select(range, query.keys.as_deref(), query.points);
            Ok(MetricsView {
                attempt,
                steps: series.steps(),
                series: curves,
                thinned,
            })
        })
        .await
    }

    /// A run's events after `after`: replayed, then followed.
    pub async fn events(
        &self,
        name: &str,
        attempt: Option<u32>,
        after: Option<EventCursor>,
    ) -> Result<EventStream, EngineError> {
        let name = name.to_owned();
        let (run, only) = self
            .run_blocking(move |shared| {
                let run = shared.run_named(&name)?;
                let only = attempt.or_else(|| shared.attempt_number(&name));
                if only.is_some() {
                    shared.attempt_named(&name, only)?;
                }
                Ok((run, only))
            })
            .await?;
        Ok(follow(self.shared.clone(), run, only, after))
    }

    /// A piece of what a run's stage wrote to its standard error.
    pub async fn log(&self, name: &str, query: LogQuery) -> Result<LogChunk, EngineError> {
        let name = name.to_owned();
        self.run_blocking(move |shared| shared.log(&name, &query))
            .await
    }

    /// Who begat the run or tree that `name` means.
    pub async fn lineage(&self, name: &str) -> Result<Lineage, EngineError> {
        let name = name.to_owned();
        self.run_blocking(move |shared| {
            let root = shared.lineage_root(&name)?;
            let found = shared.ledger.lineage(root)?;
            found.ok_or_else(|| EngineError::not_found(&name, "run or tree with a lineage"))
        })
        .await
    }
}

impl Shared {
    /// What only memory knows of a live run.
    fn fill_in(&self, view: &mut RunView) {
        if view.state.is_final() {
            return;
        }
        if let Some(live) = self.live.of_run(view.run) {
            let summary = live.summary.lock();
            view.metrics = summary.reached.metrics.clone();
            view.progress = summary.reached.progress;
            let elapsed = Time::now().seconds_since(live.started);
            view.seconds = Some((elapsed - summary.idle_seconds).max(0.0));
        }
    }

    /// The attempt `number` of the run that `name` means; the newest if none is given.
    fn attempt_named(&self, name: &str, number: Option<u32>) -> Result<AttemptId, EngineError> {
        let run = self.run_named(name)?;
        let entry = self.ledger.run(run)?;
        let number = number
            .or_else(|| self.attempt_number(name))
            .or_else(|| entry.and_then(|entry| entry.current_attempt.or(entry.output_attempt)));
        let Some(number) = number else {
            return Err(EngineError::Conflict {
                problem: format!("run {} has not begun yet", run.short()),
            });
        };
        let attempt = AttemptId { run, number };
        match self.ledger.attempt(attempt)? {
            Some(_) => Ok(attempt),
            None => Err(EngineError::not_found(
                &format!("{}.{number}", run.short()),
                "attempt",
            )),
        }
    }

    fn curves(&self, attempt: AttemptId) -> Result<Series, EngineError> {
        let mut reader: Box<dyn Read> = match source_of(self, attempt)? {
            Source::Live(live) => {
                let whole = live.status.borrow().position;
                match File::open(live.folder.journal()) {
                    Ok(file) => Box::new(file.take(whole)),
                    Err(_) => return Ok(Series::new()),
                }
            }
            Source::Sealed(blob) => blob,
            Source::Nothing => return Ok(Series::new()),
        };
        let (mut series, mut decoder) = (Series::new(), Decoder::new());
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = reader.read(&mut piece).map_err(EngineError::internal)?;
            if read == 0 {
                return Ok(series);
            }
            let lines = decoder.push(&piece[..read]).into_iter();
            lines
                .filter_map(Decoded::into_event)
                .for_each(|event| series.apply(&event));
        }
    }

    fn log(&self, name: &str, query: &LogQuery) -> Result<LogChunk, EngineError> {
        let attempt = self.attempt_named(name, query.attempt)?;
        let limit = query.limit.unwrap_or(LOG_BYTES_MAX).min(LOG_BYTES_MAX);
        let entry = self.ledger.attempt(attempt)?;
        let sealed = entry.as_ref().and_then(|entry| entry.end.as_ref()?.log);
        let over = entry.is_some_and(|entry| entry.state.is_final());
        let bytes = match sealed.filter(|_| over) {
            Some(blob) => {
                let end = query.offset.saturating_add(limit as u64);
                self.store.read_blob_range(blob, query.offset..end)?
            }
            None => self.log_of_folder(attempt, query.offset, limit)?,
        };
        let whole = whole_characters(&bytes);
        Ok(LogChunk {
            attempt,
            offset: query.offset,
            text: String::from_utf8_lossy(&bytes[..whole]).into_owned(),
            next_offset: query.offset + whole as u64,
            ended: over,
        })
    }

    fn log_of_folder(
        &self,
        attempt: AttemptId,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<u8>, EngineError> {
        let path = WorkFolder::of(&self.config.work_folder(), attempt).log();
        let Ok(mut file) = File::open(path) else {
            return Ok(Vec::new());
        };
        file.seek(SeekFrom::Start(offset))
            .map_err(EngineError::internal)?;
        let mut bytes = Vec::new();
        let read = file.take(limit as u64).read_to_end(&mut bytes);
        read.map_err(EngineError::internal)?;
        Ok(bytes)
    }

    fn lineage_root(&self, name: &str) -> Result<LineageRoot, EngineError> {
        let all = self.candidates(name)?;
        let tree = |one: &&begat_schemas::api::Candidate| {
            matches!(one.kind, CandidateKind::Ref | CandidateKind::Tree)
        };
        match all.iter().find(tree) {
            Some(_) => self.tree_named(name).map(LineageRoot::Tree),
            None => self.run_named(name).map(LineageRoot::Run),
        }
    }
}

/// How many of the bytes make whole characters: a piece must not end within one, unless it is no text anyway.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => bytes.len(),
    }
}

impl Engine {
    /// The manifest of a tree.
    pub async fn tree(&self, digest: TreeDigest) -> Result<begat_schemas::Tree, EngineError> {
        self.with_store(move |store| store.get_tree(digest)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_a_log_ends_with_a_whole_character() {
        let check = |bytes: &[u8], expected| assert_eq!(whole_characters(bytes), expected);
        check("aé".as_bytes(), 3);
        check(&"aé".as_bytes()[..2], 1);
        check(b"a\xff", 2);
        check(b"\xc3", 1);
        check(b"", 0);
    }
}
