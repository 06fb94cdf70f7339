//! What is to be seen, as text; and that nothing can be too small or too strange to be drawn.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::super::fetch::Update;
use super::super::state::State;
use super::super::state::examples::*;
use super::Painter;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn drawn(state: &State, (width, height): (u16, u16), color: bool) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut painter = Painter::new(color);
    terminal
        .draw(|frame| {
            painter.draw(frame, state);
        })
        .unwrap();
    terminal.backend().clone()
}

fn check(name: &str, state: &State) {
    for (width, height) in SIZES {
        let backend = drawn(state, (width, height), false);
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), backend);
    }
}

fn failed() -> State {
    let mut state = answered(&mixture());
    press(&mut state, "ff<Down>");
    state.update(
        log(
            "sft",
            "begat-stage: error: train.jsonl:2: the row has no completion\n",
        ),
        time(2),
    );
    state.update(Update::Nothing(run_id("sft")), time(2));
    state
}

fn away() -> State {
    let mut state = at_work();
    state.update(
        Update::Away("no daemon at /home/me/.local/share/begat/begatd.sock".to_owned()),
        time(4),
    );
    state.now = time(64);
    state
}

fn hostile() -> State {
    let mut state = answered(&mixture());
    let text = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[1;1Hhome\u{8}\u{202e}turned\n10 %\r20 %\r\n日本語のログ 日本語のログ 日本語のログ 日本語のログ 日本語のログ 日本語のログ\n";
    state.update(log("pretrain", text), time(2));
    press(&mut state, "l");
    state
}

#[test]
fn an_empty_daemon() {
    check("empty", &answered(&[]));
}

#[test]
fn a_daemon_at_work() {
    check("at_work", &at_work());
}

#[test]
fn a_run_that_failed() {
    check("failed", &failed());
}

#[test]
fn a_daemon_that_is_away() {
    check("away", &away());
}

#[test]
fn a_stage_that_says_nothing_is_called_silent() {
    let mut state = at_work();
    assert!(
        !drawn(&state, (80, 24), false)
            .to_string()
            .contains("SILENT")
    );
    state.update(picture(mixture(), 90), time(90));
    assert!(
        drawn(&state, (80, 24), false)
            .to_string()
            .contains("SILENT for 1 min 30 s")
    );
}

#[test]
fn a_hostile_log() {
    let state = hostile();
    check("hostile", &state);
    for size in SIZES {
        let text = drawn(&state, size, true).to_string();
        assert!(
            !text.chars().any(|one| one != '\n' && one.is_control()),
            "{text}"
        );
        assert!(!text.contains("owned"), "{text}");
    }
}

#[test]
fn a_tiny_terminal() {
    insta::assert_snapshot!(drawn(&at_work(), (39, 9), false));
}

#[test]
fn the_smallest_that_is_of_use() {
    insta::assert_snapshot!(drawn(&at_work(), (40, 10), false));
}

#[test]
fn other_panes() {
    let mut state = at_work();
    for pane in ["devices", "store", "log"] {
        press(&mut state, "<Tab>");
        insta::assert_snapshot!(format!("pane_{pane}"), drawn(&state, (80, 24), false));
    }
    press(&mut state, "?");
    insta::assert_snapshot!("help", drawn(&state, (80, 24), false));
    press(&mut state, "?/pre");
    insta::assert_snapshot!("typing", drawn(&state, (80, 24), false));
}

#[test]
fn without_colours_there_are_none() {
    let colors = |color: bool| {
        let backend = drawn(&at_work(), (200, 60), color);
        let cells = backend.buffer().content.iter();
        cells
            .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
            .count()
    };
    assert_eq!(colors(false), 0);
    assert!(colors(true) > 100);
}

#[test]
fn nothing_is_too_small_to_be_drawn() {
    let mut states = vec![
        waiting(),
        answered(&[]),
        at_work(),
        failed(),
        away(),
        hostile(),
    ];
    for pane in ["", "<Tab>", "<Tab><Tab>", "<Tab><Tab><Tab>"] {
        for keys in ["", "z", "?", "/日本"] {
            let mut state = at_work();
            press(&mut state, pane);
            press(&mut state, keys);
            states.push(state);
        }
    }
    let widths: Vec<u16> = (1..=250)
        .step_by(31)
        .chain([39, 40, 73, 74, 109, 110, 111])
        .collect();
    let heights: Vec<u16> = (1..=80).step_by(13).chain([9, 10, 11, 33, 34]).collect();
    for state in &states {
        for width in &widths {
            for height in &heights {
                drawn(state, (*width, *height), true);
            }
        }
    }
}

#[test]
fn no_value_is_too_strange_to_be_drawn() {
    for values in [
        [f64::NAN, f64::NAN, f64::NAN],
        [f64::MIN, 0.0, f64::MAX],
        [f64::MAX, f64::INFINITY, f64::MAX],
        [5e-324, 1.0, 1e300],
        [0.0, -0.0, f64::NEG_INFINITY],
    ] {
        for steps in [[1, 2, 3], [7, 7, 7], [0, 1, u64::MAX]] {
            let mut state = at_work();
            state.update(curve("pretrain", steps.into_iter().zip(values)), time(2));
            for keys in ["", "y", "y", "z"] {
                press(&mut state, keys);
                for size in SIZES {
                    drawn(&state, size, true);
                }
            }
        }
    }
}
