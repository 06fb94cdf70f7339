//! Figures with something of everything in them.

use std::collections::BTreeMap;
use std::time::Duration;

use begat_ledger::journal::Lap;
use begat_schemas::api::ReproduceState;
use begat_schemas::{
    AttemptId, LaunchId, Metric, PHASES, Purpose, RecipeName, RunId, RunState, StageKind,
    StageName, Time,
};

use super::*;

pub(super) fn run() -> RunId {
    RunId::of(b"run")
}

pub(super) fn launch(recipe: &str) -> (LaunchId, RecipeName) {
    (LaunchId::now(), RecipeName::new(recipe).unwrap())
}

/// A run that shows every series that there is: all metrics that have a gauge, and one that has none.
pub(super) fn figures() -> RunFigures {
    let named = journal_metrics::gauges();
    let names = named.iter().map(|(_, names)| names[0]);
    let metrics = names.chain(["objective/entropy", "seconds/data"]);
    RunFigures {
        attempt: AttemptId {
            run: run(),
            number: 1,
        },
        purpose: Purpose::Launch,
        stage: StageName::new("pretrain").unwrap(),
        kind: StageKind::Pretrain,
        launches: [launch("gpt")].into(),
        state: RunState::Running,
        started: Some(Time::from_milliseconds(1_700_000_000_000)),
        progress: Some((3, 100)),
        step_seconds: Some(0.25),
        consumed: Some((300, 3)),
        phase_seconds: PHASES.into_iter().map(|phase| (phase, 1.5)).collect(),
        last_event: Some(Time::from_milliseconds(1_700_000_000_500)),
        cpu_seconds: Some(12.5),
        memory_bytes: Some(1 << 30),
        energy_joules: Some(900.0),
        journal_lag_bytes: Some(7),
        metrics: metrics.map(|name| (name.to_owned(), Metric(0.5))).collect(),
    }
}

/// A reading as an H100 could give it.
pub(super) fn gpu() -> GpuReading {
    GpuReading {
        gpu: 0,
        uuid: "GPU-5f4ac7a0".to_owned(),
        name: "NVIDIA H100 80GB HBM3".to_owned(),
        driver: "570.124.06".to_owned(),
        utilization: Some(0.97),
        memory: Some((60 << 30, 80 << 30)),
        power_watts: Some(684.2),
        power_limit_watts: Some(700.0),
        temperature: Some(61.0),
        energy_joules: Some(1_234_567.8),
        clocks: vec![("sm", 1.98e9), ("memory", 2.619e9)],
        ecc_errors: vec![("corrected", 2), ("uncorrected", 0)],
        xid_errors: BTreeMap::from([(79, 1)]),
        throttled: vec![("power_cap", true), ("thermal", false)],
    }
}

pub(super) fn all(runs: Vec<RunFigures>) -> Figures {
    Figures {
        store: StoreFigures {
            statistics: begat_store::Statistics {
                logical_bytes: 1000,
                unique_bytes: 400,
                stored_bytes: 200,
                ..Default::default()
            },
            checked: Some((Time::from_milliseconds(1_700_000_000_000), 2)),
            disk: Some((10, 100)),
            ..StoreFigures::default()
        },
        fleet: FleetFigures {
            runs: BTreeMap::from([(RunState::Running, 2)]),
            queue_length: 4,
            slots: vec![("cpu".to_owned(), 2, 1)],
        },
        runs,
        host: HostFigures::read(),
        runtime: RuntimeFigures::default(),
        gpus: vec![gpu()],
    }
}

/// Telemetry that has counted something of everything.
pub(super) fn busy() -> Telemetry {
    let telemetry = Telemetry::new();
    let request = ("/api/v1/runs/{id}", "GET", 200);
    let took = Duration::from_millis(3);
    telemetry
        .http()
        .answered(request.0, request.1, request.2, took);
    telemetry.inbox().watched("inbox");
    telemetry.inbox().dropped("inbox", DropOutcome::Stored);
    let (work, kind) = (telemetry.work(), StageKind::Sft);
    work.ended(kind, Outcome::Failed);
    work.resumed(kind);
    work.waited(kind, Duration::from_secs(2));
    work.memoised(kind, 100.5);
    work.device_time(kind, Duration::from_millis(1500));
    work.reproduced(ReproduceState::Identical);
    work.journal_read(7, 1);
    let lap = Lap {
        step: 12,
        steps: 1,
        seconds_per_step: 0.7,
    };
    let time = Time::from_milliseconds(1_700_000_000_000);
    let stage = StageName::new("pretrain").unwrap();
    telemetry.steps().done(&stage, run(), &lap, time);
    telemetry
}
