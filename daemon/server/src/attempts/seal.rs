//! Sealing an attempt that has ended: outputs, journal and log into the store.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use begat_ledger::AttemptEnd;
use begat_ledger::journal::Summary;
use begat_schemas::{
    AttemptId, BlobDigest, Metric, OutputName, REPORT_METRICS, Report, RunState, Time, TreeDigest,
    layout,
};
use begat_store::PutBlob;

use super::Live;
use super::watch::Tail;
use crate::engine::{EngineError, Shared};
use crate::scheduler::{Event, JobId, SealAs, Task};
use crate::work::{WorkError, WorkFolder, kept_checkpoints, store_outputs};

/// Stores what is to be kept; reports [`Event::Sealed`]. When nothing can be stored at all the attempt stays as it is, and
/// the next start tries again.
pub(crate) async fn seal(
    shared: Arc<Shared>,
    job: JobId,
    attempt: AttemptId,
    task: Task,
    seal: SealAs,
) {
    let inner = Arc::clone(&shared);
    let sealed = shared
        .blocking(move || Sealing::new(&inner, attempt, task).run(seal))
        .await;
    match sealed {
        Some(Ok((end, checkpoints))) => shared.post(Event::Sealed {
            job,
            end: Box::new(end),
            checkpoints,
        }),
        Some(Err(error)) => shared.fail(&error),
        None => {}
    }
}

struct Sealing<'a> {
    shared: &'a Shared,
    attempt: AttemptId,
    task: Task,
    folder: WorkFolder,
}

type Checkpoints = Vec<(u64, TreeDigest)>;

impl<'a> Sealing<'a> {
    fn new(shared: &'a Shared, attempt: AttemptId, task: Task) -> Self {
        Self {
            shared,
            attempt,
            task,
            folder: WorkFolder::of(&shared.config.work_folder(), attempt),
        }
    }

    fn run(&self, seal: SealAs) -> Result<(AttemptEnd, Checkpoints), EngineError> {
        let _nothing_is_collected_meanwhile = self.shared.gate.read();
        let (state, reason, outputs) = self.store_outputs(seal);
        let (checkpoints, journal, log) = self.store_rest()?;
        self.shared.store.commit()?;
        let summary = self.summary();
        let mut metrics = summary.reached.metrics.clone();
        if state == RunState::Succeeded {
            metrics.extend(self.reported());
        }
        let end = AttemptEnd {
            state,
            outputs,
            exit: self.folder.exit(),
            reason,
            journal,
            log,
            execution_class: summary.execution_class.clone(),
            metrics,
            progress: summary.reached.progress,
            seconds: (self.seconds() - summary.idle_seconds).max(0.0),
        };
        Ok((end, checkpoints))
    }

    /// Outputs that cannot be stored make the attempt a failure.
    fn store_outputs(
        &self,
        seal: SealAs,
    ) -> (RunState, Option<String>, BTreeMap<OutputName, TreeDigest>) {
        match seal {
            SealAs::Cancelled => (RunState::Cancelled, None, BTreeMap::new()),
            SealAs::Failure(reason) => (RunState::Failed, Some(reason), BTreeMap::new()),
            SealAs::Success => match store_outputs(&self.shared.store, &self.folder, &self.task) {
                Ok(outputs) => (RunState::Succeeded, None, outputs),
                Err(error) => (RunState::Failed, Some(error.to_string()), BTreeMap::new()),
            },
        }
    }

    #[allow(
        clippy::type_complexity,
        reason = "three things that are stored together"
    )]
    fn store_rest(
        &self,
    ) -> Result<(Checkpoints, Option<BlobDigest>, Option<BlobDigest>), EngineError> {
        let keep = &self.task.execution.keep;
        let checkpoints = kept_checkpoints(&self.shared.store, &self.folder, keep);
        let checkpoints = checkpoints.or_else(|error| match error {
            WorkError::Store(error) => Err(error),
            // A checkpoint that went away is not worth the attempt.
            error => {
                tracing::warn!(attempt = ?self.attempt, "checkpoints are not kept: {error}");
                Ok(Checkpoints::new())
            }
        })?;
        let whole = self.folder.journal_length().unwrap_or(0);
        let journal = self.put_file(&self.folder.journal(), layout::JOURNAL, whole)?;
        let log = self.put_file(&self.folder.log(), layout::STDERR, u64::MAX)?;
        Ok((checkpoints, journal, log))
    }

    fn put_file(
        &self,
        path: &Path,
        name: &str,
        limit: u64,
    ) -> Result<Option<BlobDigest>, EngineError> {
        let Ok(file) = File::open(path) else {
            return Ok(None);
        };
        let put = PutBlob {
            name: Some(name),
            ..PutBlob::default()
        };
        let stored = self.shared.store.put_blob(&mut file.take(limit), &put)?;
        Ok(Some(stored.digest))
    }

    /// By the live attempt, if its whole journal was read; else read now.
    fn summary(&self) -> Summary {
        let live = Live::new(
            self.attempt,
            self.task.clone(),
            self.folder.clone(),
            Time::now(),
        );
        if let Err(error) = Tail::new().read_more(&live) {
            tracing::warn!(attempt = ?self.attempt, "cannot read the journal: {error}");
        }
        live.summary.into_inner()
    }

    fn reported(&self) -> BTreeMap<String, Metric> {
        let outputs = self.task.derivation.stage_params();
        let outputs = outputs.map(|params| params.outputs()).unwrap_or_default();
        let mut metrics = BTreeMap::new();
        for (name, _) in outputs {
            let folder = self.folder.root().join(layout::OUTPUTS).join(name.as_str());
            let text = std::fs::read(folder.join(REPORT_METRICS)).unwrap_or_default();
            if let Ok(report) = serde_json::from_slice::<Report>(&text) {
                metrics.extend(report.metrics);
            }
        }
        metrics
    }

    /// From its beginning to its end, what lay between its processes included.
    fn seconds(&self) -> f64 {
        let entry = self.shared.ledger.attempt(self.attempt).ok().flatten();
        let ended = self.folder.exit().map_or_else(Time::now, |exit| exit.ended);
        entry.map_or(0.0, |entry| ended.seconds_since(entry.started).max(0.0))
    }
}
