//! What `/metrics` says, gathered from everything that knows something. No lock is held while it is gathered.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use begat_ledger::journal::{Decoded, Decoder, Summary};
use begat_schemas::{AttemptId, Device, LaunchId, Purpose, RecipeName, RunId, RunState, StageName};
use prometheus::proto::MetricFamily;

use super::{Engine, EngineError, Shared};
use crate::attempts::{Live, Source, source_of};
use crate::executor::{Usage, usage};
use crate::scheduler::Waiting;
use crate::telemetry::{
    Exemplars, Figures, FleetFigures, HostFigures, RunFigures, RuntimeFigures, StoreFigures,
    Telemetry,
};

const PIECE_BYTES: usize = 256 << 10;

/// In which form metrics are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsForm {
    /// Prometheus's text form.
    Text,
    /// OpenMetrics 1.0, with exemplars.
    OpenMetrics,
}

impl Engine {
    /// What is counted and shown.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.shared.telemetry
    }

    /// All metrics as they stand now.
    pub async fn metrics_text(&self, form: MetricsForm) -> Result<String, EngineError> {
        let runtime = RuntimeFigures::read(&self.shared.runtime);
        self.run_blocking(move |shared| {
            let figures = shared.figures(runtime)?;
            Ok(match form {
                MetricsForm::Text => shared.telemetry.text(&figures),
                MetricsForm::OpenMetrics => shared.telemetry.openmetrics(&figures),
            })
        })
        .await
    }

    /// All metrics as they stand now, as families with their samples.
    pub(crate) async fn metric_families(
        &self,
    ) -> Result<(Vec<MetricFamily>, Exemplars), EngineError> {
        let runtime = RuntimeFigures::read(&self.shared.runtime);
        self.run_blocking(move |shared| Ok(shared.telemetry.families(&shared.figures(runtime)?)))
            .await
    }
}

impl Shared {
    fn figures(&self, runtime: RuntimeFigures) -> Result<Figures, EngineError> {
        let scheduled = self.scheduled.lock().clone();
        Ok(Figures {
            store: self.store_figures()?,
            runs: self.run_figures(scheduled.waiting),
            fleet: FleetFigures {
                runs: self.ledger.run_counts()?,
                queue_length: scheduled.queue_length,
                slots: scheduled.slots,
            },
            host: HostFigures::read(),
            runtime,
            gpus: self.gpus.read(),
        })
    }

    fn store_figures(&self) -> Result<StoreFigures, EngineError> {
        let failed = self.failure.lock().is_some();
        let disk = rustix::fs::statvfs(&self.config.data).ok();
        let bytes = |blocks: u64, size: u64| blocks.saturating_mul(size);
        Ok(StoreFigures {
            statistics: self.store.statistics()?,
            traffic: self.store.traffic(),
            is_read_only: failed || self.store.is_read_only(),
            checked: *self.checked.lock(),
            disk: disk.map(|disk| {
                let size = disk.f_frsize;
                (bytes(disk.f_bavail, size), bytes(disk.f_blocks, size))
            }),
        })
    }

    /// Attempts that live or ended lately, runs that launches found, and what waits.
    fn run_figures(&self, waiting: Vec<Waiting>) -> Vec<RunFigures> {
        let retention = self.config.metrics_retention;
        let live = self.live.recent(retention);
        let processes = live.iter().filter(|live| live.ended().is_none());
        let processes: Vec<_> = processes
            .filter_map(|live| live.process.lock().clone())
            .collect();
        let used = usage(&processes);
        let mut figures: Vec<RunFigures> = live
            .iter()
            .map(|live| self.live_figures(live, &used))
            .collect();
        figures.extend(self.roster.found(retention));
        let shown: BTreeSet<RunId> = figures.iter().map(|one| one.attempt.run).collect();
        let waiting = waiting
            .into_iter()
            .filter(|one| one.purpose == Purpose::Launch || !shown.contains(&one.attempt.run));
        figures.extend(waiting.map(waiting_figures));
        share_launches(&mut figures);
        figures
    }

    fn live_figures(&self, live: &Live, used: &BTreeMap<u32, Usage>) -> RunFigures {
        self.count_device(live);
        let ended = live.ended().is_some();
        let process = live.process.lock().clone();
        let used = process.and_then(|process| used.get(&process.pid).copied());
        let used = used.filter(|_| !ended).unwrap_or_default();
        let (cpu_seconds, peak, joules) = {
            let meter = live.meter.lock();
            (
                meter.cpu_seconds(),
                meter.peak_memory_bytes(),
                meter.joules(),
            )
        };
        let memory = Some(used.memory_bytes).filter(|bytes| *bytes > 0);
        let summary = live.summary.lock().clone();
        RunFigures {
            state: live.state(),
            launches: live.launches.lock().iter().cloned().collect(),
            started: Some(live.started),
            cpu_seconds: Some(cpu_seconds + used.cpu_seconds),
            memory_bytes: memory.or(peak.filter(|_| ended)),
            energy_joules: joules,
            journal_lag_bytes: (!ended).then(|| journal_lag(live)),
            ..of_summary(
                live.attempt,
                live.task.reason.purpose(),
                live.task.stage.clone(),
                live.task.derivation.kind,
                summary,
            )
        }
    }

    /// Counts what an attempt has used of its device since it was last counted.
    fn count_device(&self, live: &Live) {
        let energy = self.energy_joules(&live.task.execution.device);
        let time = live.meter.lock().count(energy);
        let kind = live.task.derivation.kind;
        self.telemetry.work().device_time(kind, time);
    }

    /// An attempt has its device from now on.
    pub(crate) fn meter_start(&self, live: &Live) {
        let energy = self.energy_joules(&live.task.execution.device);
        live.meter.lock().start(energy);
    }

    /// An attempt has its device no more, and its process has ended.
    pub(crate) fn meter_stop(&self, live: &Live) {
        let energy = self.energy_joules(&live.task.execution.device);
        let exit = live.folder.exit();
        let time = {
            let mut meter = live.meter.lock();
            exit.iter().for_each(|exit| meter.add_exit(exit));
            meter.stop(energy)
        };
        let kind = live.task.derivation.kind;
        self.telemetry.work().device_time(kind, time);
    }

    /// Where the meter of a device stands. Ordinals of CUDA and of NVML are taken to be the same, as they are in the order of
    /// the bus.
    fn energy_joules(&self, device: &Device) -> Option<f64> {
        let ordinal = device.as_str().strip_prefix("cuda:")?.parse().ok()?;
        self.gpus.energy_joules(ordinal)
    }

    /// What is known for good of an attempt that succeeded. Reads its journal.
    pub(super) fn final_figures(
        &self,
        attempt: AttemptId,
        stage: &StageName,
    ) -> Result<Option<RunFigures>, EngineError> {
        let (Some(run), Some(entry)) =
            (self.ledger.run(attempt.run)?, self.ledger.attempt(attempt)?)
        else {
            return Ok(None);
        };
        let Some(end) = entry.end else {
            return Ok(None);
        };
        let summary = self.sealed_summary(attempt)?;
        let exit = end.exit.as_ref();
        let kind = run.derivation.kind;
        Ok(Some(RunFigures {
            state: end.state,
            started: Some(entry.started),
            progress: end.progress,
            cpu_seconds: exit.map(|exit| exit.cpu_milliseconds as f64 / 1000.0),
            memory_bytes: exit.map(|exit| exit.peak_memory_bytes),
            metrics: end.metrics.clone(),
            ..of_summary(attempt, entry.purpose, stage.clone(), kind, summary)
        }))
    }

    fn sealed_summary(&self, attempt: AttemptId) -> Result<Summary, EngineError> {
        let mut summary = Summary::new();
        let Source::Sealed(mut journal) = source_of(self, attempt)? else {
            return Ok(summary);
        };
        let mut decoder = Decoder::new();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = journal.read(&mut piece).map_err(EngineError::internal)?;
            if read == 0 {
                return Ok(summary);
            }
            let lines = decoder.push(&piece[..read]).into_iter();
            for event in lines.filter_map(Decoded::into_event) {
                summary.apply(&event);
            }
        }
    }
}

fn of_summary(
    attempt: AttemptId,
    purpose: Purpose,
    stage: StageName,
    kind: begat_schemas::StageKind,
    summary: Summary,
) -> RunFigures {
    let reached = summary.reached;
    RunFigures {
        attempt,
        purpose,
        stage,
        kind,
        launches: BTreeSet::new(),
        state: RunState::Running,
        started: None,
        progress: reached.progress,
        step_seconds: summary.pace.last().map(|lap| lap.seconds_per_step),
        consumed: Some((reached.tokens, reached.samples)),
        phase_seconds: summary.phase_seconds,
        last_event: summary.last_time,
        cpu_seconds: None,
        memory_bytes: None,
        energy_joules: None,
        journal_lag_bytes: None,
        metrics: reached.metrics,
    }
}

fn waiting_figures(waiting: Waiting) -> RunFigures {
    let Waiting {
        attempt,
        stage,
        kind,
        purpose,
        launches,
    } = waiting;
    RunFigures {
        launches,
        state: RunState::Queued,
        consumed: None,
        ..of_summary(attempt, purpose, stage, kind, Summary::new())
    }
}

fn journal_lag(live: &Live) -> u64 {
    let length = std::fs::metadata(live.folder.journal()).map_or(0, |file| file.len());
    length.saturating_sub(live.status.borrow().position)
}

/// A run belongs to every launch that any of its figures names.
fn share_launches(figures: &mut [RunFigures]) {
    let mut launches: BTreeMap<RunId, BTreeSet<(LaunchId, RecipeName)>> = BTreeMap::new();
    for one in figures.iter() {
        let of_run = launches.entry(one.attempt.run).or_default();
        of_run.extend(one.launches.iter().cloned());
    }
    for one in figures {
        one.launches = launches.get(&one.attempt.run).cloned().unwrap_or_default();
    }
}
