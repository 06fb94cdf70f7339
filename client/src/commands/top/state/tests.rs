//! Lists of events, and what is to be seen after them.

use begat_schemas::{RunState, StageKind};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::fetch::Update;
use super::examples::*;
use super::{Action, Connection, Pane, State};

fn stages(state: &State) -> Vec<String> {
    let rows = state.rows().into_iter();
    rows.map(|run| run.stage.as_ref().unwrap().to_string())
        .collect()
}

fn chosen(state: &State) -> String {
    let run = state.chosen().unwrap();
    run.stage.as_ref().unwrap().to_string()
}

#[test]
fn runs_at_work_come_first_then_those_that_wait_then_the_newest_end() {
    let state = at_work();
    assert_eq!(
        stages(&state),
        ["pretrain", "evaluate_pretrain", "sft", "ppo"]
    );
}

#[test]
fn the_choice_is_the_first_row_until_a_run_is_chosen_and_then_stays_with_it() {
    let mut state = at_work();
    assert_eq!(chosen(&state), "pretrain");
    let mut runs = mixture();
    runs.push(run("reward", StageKind::Reward, RunState::Running, -4000));
    state.update(picture(runs.clone(), 2), time(2));
    assert_eq!(chosen(&state), "reward", "it began earlier");
    press(&mut state, "j");
    assert_eq!(chosen(&state), "pretrain");
    runs.pop();
    state.update(picture(runs.clone(), 3), time(3));
    assert_eq!(chosen(&state), "pretrain");
    runs.retain(|run| run.state != RunState::Running);
    state.update(picture(runs, 4), time(4));
    assert_eq!(chosen(&state), "evaluate_pretrain", "the next in its place");
    press(&mut state, "<End>");
    assert_eq!(chosen(&state), "ppo");
    press(&mut state, "kg");
    assert_eq!(chosen(&state), "evaluate_pretrain");
}

#[test]
fn pages_end_at_the_ends() {
    let mut state = at_work();
    state.page = 2;
    for (keys, expected) in [
        ("<PageDown>", "sft"),
        ("<PageDown>", "ppo"),
        ("<Down>", "ppo"),
        ("<PageUp>", "evaluate_pretrain"),
        ("<PageUp>", "pretrain"),
        ("<Up>", "pretrain"),
    ] {
        press(&mut state, keys);
        assert_eq!(chosen(&state), expected, "{keys}");
    }
}

#[test]
fn a_filter_looks_at_id_name_kind_and_state() {
    let short = run_id("ppo").short();
    for (filter, expected) in [
        (short.as_str(), &["ppo"][..]),
        ("GPT/SFT", &["sft"]),
        ("evaluate", &["evaluate_pretrain"]),
        ("queued", &["evaluate_pretrain"]),
        ("nothing like it", &[]),
    ] {
        let mut state = at_work();
        press(&mut state, &format!("/{filter}<Enter>"));
        assert_eq!(stages(&state), expected, "{filter}");
        press(&mut state, "<Esc>");
        assert_eq!(stages(&state).len(), 4);
    }
}

#[test]
fn while_a_filter_is_typed_keys_are_letters_and_esc_goes_back() {
    let mut state = at_work();
    press(&mut state, "<End>/qx<Backspace>");
    assert_eq!(state.list.filter, "q");
    assert_eq!(stages(&state), ["evaluate_pretrain"], "it is queued");
    press(&mut state, "<Esc>");
    assert_eq!(state.list.filter, "");
    assert_eq!(state.typing, None);
    assert_eq!(chosen(&state), "ppo");
}

#[test]
fn states_to_show_go_round() {
    let mut state = at_work();
    let mut seen = Vec::new();
    for _ in 0..3 {
        press(&mut state, "f");
        seen.push(stages(&state).join(" "));
    }
    assert_eq!(
        seen,
        [
            "pretrain evaluate_pretrain",
            "sft",
            "pretrain evaluate_pretrain sft ppo"
        ]
    );
}

#[test]
fn metrics_come_losses_first_and_the_choice_goes_round() {
    let mut state = at_work();
    let names: Vec<String> = state
        .detail()
        .unwrap()
        .curves()
        .iter()
        .map(|curve| curve.name.clone())
        .collect();
    let expected = [
        "loss",
        "eval_loss",
        "learning_rate",
        "grad_norm",
        "tokens_per_second",
        "seconds/data",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        state.detail().unwrap().single(),
        [("vocabulary_size".to_owned(), 2048.0)]
    );
    press(&mut state, "<Left>");
    assert_eq!(state.metric(), 5);
    press(&mut state, "<Right>m");
    assert_eq!(state.metric(), 1);
}

#[test]
fn esc_closes_what_is_open_and_then_leaves() {
    let key = |state: &mut State, code| state.key(KeyEvent::from(code), time(2));
    let mut state = at_work();
    press(&mut state, "/gpt<Enter>z?");
    assert!(state.help && state.zoomed);
    for _ in 0..3 {
        assert_eq!(key(&mut state, KeyCode::Esc), Action::Draw);
    }
    assert!(!state.help && !state.zoomed && state.list.filter.is_empty());
    assert_eq!(key(&mut state, KeyCode::Esc), Action::Quit);
    assert_eq!(key(&mut state, KeyCode::Char('q')), Action::Quit);
    for (letter, action) in [
        ('c', Action::Quit),
        ('z', Action::Suspend),
        ('l', Action::Repaint),
        ('x', Action::Draw),
    ] {
        press(&mut state, "/");
        let key = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
        assert_eq!(
            state.key(key, time(2)),
            action,
            "while a filter is typed, too"
        );
        press(&mut state, "<Esc>");
    }
}

#[test]
fn panes_go_round_and_the_log_opens_and_scrolls() {
    let mut state = at_work();
    press(&mut state, "<Tab>");
    assert_eq!(state.pane, Pane::Devices);
    press(&mut state, "<BackTab><BackTab>");
    assert_eq!(state.pane, Pane::Log);
    press(&mut state, "<Tab>l");
    assert!(state.zoomed && state.pane == Pane::Log);
    press(&mut state, "<Up>");
    let log = |state: &State| state.detail().unwrap().log.end();
    assert_eq!(log(&state), 1);
    assert_eq!(chosen(&state), "pretrain", "the keys are the log's");
    press(&mut state, "G");
    assert_eq!(log(&state), 2);
    press(&mut state, "l");
    assert!(!state.zoomed);
}

#[test]
fn a_daemon_that_is_away_leaves_its_picture() {
    let mut state = at_work();
    for seconds in [5, 6] {
        state.update(
            Update::Away("no daemon \u{1b}[2J there".to_owned()),
            time(seconds),
        );
    }
    let away = Connection::Away {
        since: time(5),
        reason: "no daemon  there".to_owned(),
    };
    assert_eq!(state.connection, away);
    assert_eq!(state.age_seconds(), Some(5.0));
    assert_eq!(stages(&state).len(), 4);
    state.update(picture(mixture(), 7), time(7));
    assert_eq!(state.connection, Connection::Up);
}

#[test]
fn rates_come_from_two_answers() {
    let mut state = waiting();
    state.update(picture(mixture(), 0), time(0));
    assert_eq!(state.devices.processor, None);
    assert_eq!(state.store.ingest.rate, None);
    state.update(picture(mixture(), 10), time(10));
    let worked = state.devices.processor.unwrap();
    assert!((worked - 0.65).abs() < 1e-9, "{worked}");
    assert_eq!(state.store.ingest.rate, Some(2_000_000.0));
    // A daemon that was started again counts from the beginning.
    state.update(picture(mixture(), 0), time(20));
    assert_eq!(state.store.ingest.rate, None);
}

#[test]
fn time_left_goes_by_what_was_seen_or_the_last_interval_or_the_mean() {
    let mut state = at_work();
    let left = |state: &State, stage: &str| {
        let run = state
            .runs()
            .iter()
            .find(|run| run.run == run_id(stage))
            .unwrap();
        state.seconds_left(run)
    };
    assert_eq!(left(&state, "pretrain"), Some(753.0 * 0.25));
    assert_eq!(left(&state, "ppo"), None, "it is over");
    let mut other = run("dpo", StageKind::Dpo, RunState::Running, 0);
    (other.progress, other.seconds) = (Some((10, 30)), Some(20.0));
    state.update(picture(vec![other], 2), time(2));
    assert_eq!(left(&state, "dpo"), Some(40.0));
    let mut runs = mixture();
    let pretrain = runs
        .iter_mut()
        .find(|run| run.run == run_id("pretrain"))
        .unwrap();
    (pretrain.seconds, pretrain.progress) = (Some(103.4), Some((1200, 1953)));
    state.update(picture(runs.clone(), 3), time(3));
    assert_eq!(left(&state, "pretrain"), Some(753.0 * 0.25));
    for (seconds, step, expected) in [
        (105.4, 1204, 749.0 * 0.25),
        (113.4, 1220, 733.0 * 0.5),
        (203.4, 1310, 643.0),
        // It went on from its last checkpoint.
        (204.4, 1300, 653.0 * 0.25),
    ] {
        let pretrain = runs
            .iter_mut()
            .find(|run| run.run == run_id("pretrain"))
            .unwrap();
        (pretrain.seconds, pretrain.progress) = (Some(seconds), Some((step, 1953)));
        state.update(picture(runs.clone(), 4), time(4));
        let left = left(&state, "pretrain").unwrap();
        assert!((left - expected).abs() < 1e-6, "step {step}: {left}");
    }
}

#[test]
fn a_stage_that_writes_nothing_is_silent() {
    let mut state = at_work();
    let silent = |state: &State, stage: &str| {
        let run = state.runs().iter().find(|run| run.run == run_id(stage));
        state.silent_seconds(run.unwrap())
    };
    assert_eq!(silent(&state, "pretrain"), Some(1.0));
    state.update(picture(mixture(), 90), time(90));
    assert_eq!(silent(&state, "pretrain"), Some(90.0));
    assert_eq!(silent(&state, "ppo"), None, "it is over");
}

#[test]
fn what_is_wished_for_is_about_the_chosen_run() {
    let mut state = at_work();
    assert_eq!(state.wish().unwrap().run, run_id("pretrain"));
    press(&mut state, "<Down>");
    let wish = state.wish().unwrap();
    assert_eq!(
        (wish.run, wish.state),
        (run_id("evaluate_pretrain"), RunState::Queued)
    );
    assert_eq!(waiting().wish(), None);
}

#[test]
fn gpus_say_which_run_is_on_them() {
    let state = at_work();
    let gpu = &state.devices.gpus[0];
    assert_eq!(gpu.runs, [(run_id("pretrain"), "gpt/pretrain".to_owned())]);
    assert_eq!(gpu.power, Some((512.4, Some(700.0))));
    assert_eq!(state.devices.slots[1].runs.len(), 1);
    assert!(state.devices.slots[0].runs.is_empty());
}
