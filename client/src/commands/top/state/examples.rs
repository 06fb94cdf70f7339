//! Daemons that tests look at: fixed answers, of the kinds that there are.

use begat_schemas::api::{MetricsView, RunView, Version};
use begat_schemas::{AttemptId, Device, Metric, RunId, RunState, StageKind, Time};
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::super::fetch::{LogPiece, Picture, Update};
use super::super::samples::Samples;
use super::State;

/// The moment of the first answer.
const START: i64 = 1_790_000_000;

/// Seconds after the first answer.
pub fn time(seconds: i64) -> Time {
    Time::from_milliseconds((START + seconds) * 1000)
}

/// The run of a stage.
pub fn run_id(stage: &str) -> RunId {
    RunId::of(stage.as_bytes())
}

/// A run as a list gives it.
pub fn run(stage: &str, kind: StageKind, state: RunState, began: i64) -> RunView {
    RunView {
        run: run_id(stage),
        recipe: Some("gpt".parse().unwrap()),
        stage: Some(stage.parse().unwrap()),
        kind,
        launches: Vec::new(),
        state,
        outputs: Default::default(),
        metrics: Default::default(),
        started: (state != RunState::Queued).then(|| time(began)),
        seconds: (state != RunState::Queued).then_some(93.4),
        progress: (state != RunState::Queued).then_some((1953, 1953)),
        reason: None,
        attempts: u32::from(state != RunState::Queued),
    }
}

fn with_metrics(mut run: RunView, metrics: &[(&str, f64)]) -> RunView {
    let metrics = metrics
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Metric(*value)));
    run.metrics = metrics.collect();
    run
}

/// A pretraining at work, one stage that waits, one that failed and one that is done.
pub fn mixture() -> Vec<RunView> {
    let mut pretrain = run("pretrain", StageKind::Pretrain, RunState::Running, -400);
    pretrain.progress = Some((1200, 1953));
    let pretrain = with_metrics(
        pretrain,
        &[
            ("loss", 3.217),
            ("learning_rate", 0.004),
            ("tokens_per_second", 29_334.3),
        ],
    );
    let mut failed = run("sft", StageKind::Sft, RunState::Failed, -900);
    failed.progress = Some((40, 60));
    failed.reason = Some("train.jsonl:2: the row has no completion \u{1b}[2J\nand more".to_owned());
    let ppo = run("ppo", StageKind::Ppo, RunState::Succeeded, -2000);
    let ppo = with_metrics(ppo, &[("objective/scores", 0.249), ("objective/kl", 2.493)]);
    let queued = run(
        "evaluate_pretrain",
        StageKind::Evaluate,
        RunState::Queued,
        0,
    );
    vec![queued, failed, ppo, pretrain]
}

/// What `/metrics` says, some seconds after the first answer.
pub fn samples(seconds: i64) -> Samples {
    let busy = 100.0 + 1.3 * seconds as f64;
    let idle = 100.0 + 0.7 * seconds as f64;
    let ingested = 1_434_607 + 2_000_000 * seconds;
    let pretrain = run_id("pretrain").short();
    Samples::parse(&format!(
        "begat_runs{{state=\"running\"}} 1\nbegat_runs{{state=\"queued\"}} 1\nbegat_runs{{state=\"failed\"}} 1\n\
         begat_runs{{state=\"succeeded\"}} 1234\nprocess_start_time_seconds {}\n\
         begat_host_cpu_seconds_total{{mode=\"user\"}} {busy}\nbegat_host_cpu_seconds_total{{mode=\"idle\"}} {idle}\n\
         begat_host_load1 2.79\nbegat_host_memory_total_bytes 25276510208\nbegat_host_memory_available_bytes 4302542848\n\
         begat_filesystem_free_bytes{{folder=\"data\"}} 63526973440\nbegat_filesystem_size_bytes{{folder=\"data\"}} 270553174016\n\
         begat_device_slots{{device=\"cpu\"}} 2\nbegat_device_slots_busy{{device=\"cpu\"}} 0\n\
         begat_device_slots{{device=\"cuda:0\"}} 1\nbegat_device_slots_busy{{device=\"cuda:0\"}} 1\n\
         begat_gpu_info{{gpu=\"0\",uuid=\"GPU-1\",name=\"NVIDIA H100 80GB HBM3\",driver=\"570\"}} 1\n\
         begat_gpu_utilization_ratio{{gpu=\"0\"}} 0.87\nbegat_gpu_memory_used_bytes{{gpu=\"0\"}} 34100000000\n\
         begat_gpu_memory_total_bytes{{gpu=\"0\"}} 85520809984\nbegat_gpu_power_watts{{gpu=\"0\"}} 512.4\n\
         begat_gpu_power_limit_watts{{gpu=\"0\"}} 700\nbegat_gpu_temperature_celsius{{gpu=\"0\"}} 61\n\
         begat_stage_last_event_timestamp_seconds{{run=\"{pretrain}\",stage=\"pretrain\"}} {START}\n\
         begat_stage_step_seconds{{run=\"{pretrain}\",stage=\"pretrain\"}} 0.25\n\
         begat_store_logical_bytes 18400000\nbegat_store_unique_bytes 17000000\nbegat_store_stored_bytes 11000000\n\
         begat_store_deduplication_ratio 1.08\nbegat_store_compression_ratio 1.55\nbegat_store_blobs 83\n\
         begat_store_chunks 1276\nbegat_store_packs 1\nbegat_store_read_only 0\nbegat_store_fsck_errors 2\n\
         begat_store_fsck_last_run_timestamp_seconds {}\nbegat_store_ingested_bytes_total {ingested}\n\
         begat_store_restored_bytes_total 1066735\n",
        START - 3600,
        START - 120,
    ))
}

/// An answer with these runs.
pub fn picture(runs: Vec<RunView>, seconds: i64) -> Update {
    let working = runs.iter().filter(|run| run.state == RunState::Running);
    let devices = working
        .map(|run| (run.run, Device::new("cuda:0").unwrap()))
        .collect();
    Update::Picture(Box::new(Picture {
        version: Version {
            version: "0.1.0".to_owned(),
            data_format: 1,
            contract: 1,
            data: "/home/me/.local/share/begat".to_owned(),
            pid: 7,
        },
        runs,
        samples: samples(seconds),
        devices,
    }))
}

/// The curves of a run that trains: a loss with a gap in it, a flat rate, and more.
pub fn curves(stage: &str) -> Update {
    let points = |value: &dyn Fn(f64) -> f64| -> Vec<(u64, Metric)> {
        let steps = (1..=100u32).map(|at| (u64::from(at) * 12, Metric(value(f64::from(at)))));
        steps.collect()
    };
    let loss = |at: f64| {
        if (40.0..43.0).contains(&at) {
            f64::NAN
        } else {
            3.0 + 5.0 / at
        }
    };
    let series = [
        ("grad_norm", points(&|at| 1.0 + (at / 7.0).sin())),
        ("loss", points(&loss)),
        ("learning_rate", points(&|_| 0.004)),
        ("eval_loss", vec![(600, Metric(3.6)), (1200, Metric(3.4))]),
        ("seconds/data", points(&|at| at * 1e-5)),
        ("tokens_per_second", points(&|at| 29_000.0 + 100.0 * at)),
        ("vocabulary_size", vec![(1, Metric(2048.0))]),
    ];
    let run = run_id(stage);
    let view = MetricsView {
        attempt: AttemptId { run, number: 1 },
        steps: Some((12, 1200)),
        series: series
            .map(|(name, points)| (name.to_owned(), points))
            .into(),
        thinned: true,
    };
    Update::Curves(run, Box::new(view))
}

/// A loss of these steps and values.
pub fn curve(stage: &str, points: impl Iterator<Item = (u64, f64)>) -> Update {
    let run = run_id(stage);
    let points = points.map(|(step, value)| (step, Metric(value))).collect();
    let view = MetricsView {
        attempt: AttemptId { run, number: 1 },
        steps: None,
        series: [("loss".to_owned(), points)].into(),
        thinned: false,
    };
    Update::Curves(run, Box::new(view))
}

/// A log that anything may stand in.
pub fn log(stage: &str, text: &str) -> Update {
    let piece = LogPiece {
        anew: true,
        is_tail: false,
        text: text.to_owned(),
    };
    Update::Log(run_id(stage), piece)
}

/// Before the first answer.
pub fn waiting() -> State {
    State::new("/home/me/.local/share/begat/begatd.sock", time(0))
}

/// After two answers with these runs, a second apart.
pub fn answered(runs: &[RunView]) -> State {
    let mut state = waiting();
    for seconds in [0, 1] {
        state.update(picture(runs.to_vec(), seconds), time(seconds));
    }
    state
}

/// A daemon at work, with the curves and the log of its pretraining.
pub fn at_work() -> State {
    let mut state = answered(&mixture());
    state.update(curves("pretrain"), time(1));
    let text = "begat-stage: info: train: 8934 tokens\nbegat-stage: warn: the corpus is small\n";
    state.update(log("pretrain", text), time(1));
    state
}

/// Types keys: characters, or names in brackets.
pub fn press(state: &mut State, keys: &str) {
    let mut rest = keys;
    while let Some(first) = rest.chars().next() {
        let (code, used) = match rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
            Some((name, _)) => (named(name), name.len() + 2),
            None => (KeyCode::Char(first), first.len_utf8()),
        };
        state.key(KeyEvent::from(code), state.now);
        rest = &rest[used..];
    }
}

fn named(name: &str) -> KeyCode {
    match name {
        "Down" => KeyCode::Down,
        "Up" => KeyCode::Up,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "PageDown" => KeyCode::PageDown,
        "PageUp" => KeyCode::PageUp,
        "Tab" => KeyCode::Tab,
        "BackTab" => KeyCode::BackTab,
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Backspace" => KeyCode::Backspace,
        other => panic!("no key is called {other}"),
    }
}
