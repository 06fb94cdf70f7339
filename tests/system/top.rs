//! `begat top`, looked at and typed into on a terminal.

use begat_tests::tmux::Tmux;
use begat_tests::{Daemon, Home, add_test_data, processes, program};
use rustix::process::Signal;
use serde_json::Value;

const RECIPE: &str = "configs/recipes/test/align-gpt.toml";
/// What the shell in the terminal waits with.
const PROMPT: &str = "ready>";

/// A daemon whose only live run trains for as long as a test wants.
struct Training {
    home: Home,
    run: String,
}

impl Training {
    fn start() -> (Self, Daemon) {
        let home = Home::new();
        let daemon = home.start();
        add_test_data(&home);
        let launch = home.cli().json([
            "launch",
            RECIPE,
            "--set",
            "stages.pretrain.max_steps=100000",
        ]);
        let id = launch["launch"].as_str().unwrap();
        let run = begat_tests::wait_for("the stage that trains", || {
            let shown = home.cli().json(["show", id]);
            let stages = shown["stages"].as_array().unwrap();
            let stage = stages.iter().find(|stage| stage["stage"] == "pretrain")?;
            Some(stage["run"].as_str()?[..12].to_owned()).filter(|_| stage["state"] == "running")
        });
        (Self { home, run }, daemon)
    }

    /// A shell in a terminal, in which `begat top` was typed.
    fn terminal(&self, size: (u16, u16), test: &str) -> Option<Tmux> {
        let shell = format!(
            "exec env -i HOME={home} PATH=\"$PATH\" TERM=screen PS1='{PROMPT} ' BEGAT_DATA={data} sh -i",
            home = self.home.path().display(),
            data = self.home.data().display(),
        );
        let tmux = Tmux::start(size, &shell, test)?;
        tmux.see_text(PROMPT);
        start_top(&tmux);
        Some(tmux)
    }
}

fn start_top(tmux: &Tmux) {
    tmux.write(&format!(
        "{} top --interval 0.2",
        program("begat").display()
    ));
    tmux.press(&["Enter"]);
    tmux.see_text("begatd ");
}

/// The line of a run in the list.
fn line_of<'a>(screen: &'a str, run: &str) -> Option<&'a str> {
    screen
        .lines()
        .find(|line| line.get(1..).is_some_and(|rest| rest.starts_with(run)))
}

fn is_chosen(screen: &str, run: &str) -> bool {
    line_of(screen, run).is_some_and(|line| line.starts_with('>'))
}

/// The step in the line about the chosen run.
fn step(screen: &str) -> Option<u64> {
    let (_, rest) = screen.split_once("step ")?;
    rest.split_once(" of 100,000")?
        .0
        .replace(',', "")
        .parse()
        .ok()
}

fn has_curve(screen: &str) -> bool {
    let dots = screen
        .chars()
        .filter(|one| ('\u{2801}'..='\u{28ff}').contains(one));
    dots.count() > 10
}

/// The chosen curve's title begins its line on a small terminal.
fn sees_the_curve(tmux: &Tmux, title: &str) {
    tmux.see(title, |screen| {
        screen
            .lines()
            .any(|line| line.starts_with(title))
            .then_some(())
    });
}

/// What has to be seen of the training at any size.
fn sees_the_training(tmux: &Tmux, run: &str) {
    tmux.see("the run, its state and its progress", |screen| {
        let line = line_of(screen, run)?;
        let words = ["pretrain", "running", "%"];
        words.iter().all(|word| line.contains(word)).then_some(())
    });
    let first = tmux.see("a step", step);
    tmux.see("a later step", |screen| {
        step(screen).filter(|step| *step > first)
    });
    tmux.see("a curve of the loss", |screen| {
        (has_curve(screen) && screen.contains("loss ") && screen.contains("nats a token"))
            .then_some(())
    });
    tmux.see_text("1 running");
}

#[test]
fn a_small_terminal_shows_one_pane_at_a_time() {
    let name = "a_small_terminal_shows_one_pane_at_a_time";
    let (training, _daemon) = Training::start();
    let Some(tmux) = training.terminal((80, 24), name) else {
        return;
    };
    sees_the_training(&tmux, &training.run);
    for expected in ["cpu 1 of 2", "compression", "begat-stage: info: train:"] {
        assert!(!tmux.screen().contains(expected));
        tmux.press(&["Tab"]);
        tmux.see_text(expected);
    }
    tmux.press(&["q"]);
    tmux.see_text(PROMPT);
}

#[test]
fn a_large_terminal_shows_everything_at_once() {
    let name = "a_large_terminal_shows_everything_at_once";
    let (training, _daemon) = Training::start();
    let Some(tmux) = training.terminal((200, 60), name) else {
        return;
    };
    sees_the_training(&tmux, &training.run);
    let used = format!("cpu 1 of 2 · test-align-gpt/pretrain {}", training.run);
    for expected in [
        "grad_norm",
        "Memory",
        &used,
        "free of",
        "sharing",
        "compression",
        "begat-stage: info: train:",
    ] {
        tmux.see_text(expected);
    }
    tmux.press(&["C-c"]);
    tmux.see_text(PROMPT);
}

#[test]
fn keys_choose_filter_open_and_explain() {
    let name = "keys_choose_filter_open_and_explain";
    let (training, _daemon) = Training::start();
    let Some(tmux) = training.terminal((80, 24), name) else {
        return;
    };
    let run = training.run.as_str();
    let chosen = |what: &str, wanted: bool| {
        tmux.see(what, |screen| {
            (is_chosen(screen, run) == wanted).then_some(())
        });
    };
    chosen("the run that trains is chosen", true);
    tmux.press(&["j"]);
    chosen("another run is chosen", false);
    tmux.press(&["Up"]);
    chosen("the run that trains is chosen again", true);
    tmux.write("/tokenizer");
    tmux.see_text("filter: tokenizer");
    tmux.see("the run that trains is filtered away", |screen| {
        line_of(screen, run).is_none().then_some(())
    });
    tmux.press(&["Escape"]);
    chosen("the run that trains is back", true);
    tmux.press(&["f", "f"]);
    tmux.see_text("no failed run");
    tmux.press(&["f"]);
    sees_the_curve(&tmux, "loss ");
    tmux.press(&["Right", "Right"]);
    sees_the_curve(&tmux, "grad_norm ");
    tmux.press(&["l"]);
    tmux.see_text("Log of test-align-gpt/pretrain");
    tmux.see_text("begat-stage: info: validation:");
    tmux.press(&["Up"]);
    tmux.see_text("End follows");
    tmux.press(&["l"]);
    tmux.see_no("Log of");
    tmux.press(&["?"]);
    tmux.see_text("begat top only reads");
    tmux.press(&["?"]);
    tmux.see_no("begat top only reads");
}

#[test]
fn a_daemon_that_dies_is_missed_and_found_again() {
    let name = "a_daemon_that_dies_is_missed_and_found_again";
    let (training, daemon) = Training::start();
    let Some(tmux) = training.terminal((80, 24), name) else {
        return;
    };
    sees_the_training(&tmux, &training.run);
    daemon.kill();
    tmux.see_text("AWAY");
    let screen = tmux.screen();
    assert!(
        line_of(&screen, &training.run).is_some(),
        "the last picture stays\n{screen}"
    );
    let _daemon = training.home.start();
    tmux.see_no("AWAY");
    sees_the_training(&tmux, &training.run);
}

#[test]
fn sizes_change_and_the_terminal_is_given_back() {
    let name = "sizes_change_and_the_terminal_is_given_back";
    let (training, _daemon) = Training::start();
    let Some(tmux) = training.terminal((120, 40), name) else {
        return;
    };
    tmux.see_text("sharing");
    assert_eq!(tmux.modes(), (true, false));
    tmux.resize(39, 9);
    tmux.see_text("needs 40×10");
    tmux.resize(200, 60);
    sees_the_training(&tmux, &training.run);
    tmux.press(&["C-z"]);
    tmux.see("the shell", given_back(&tmux));
    tmux.write("fg");
    tmux.press(&["Enter"]);
    sees_the_training(&tmux, &training.run);
    tmux.press(&["C-l"]);
    sees_the_training(&tmux, &training.run);
    assert_eq!(tmux.modes(), (true, false));
    tmux.press(&["q"]);
    tmux.see("the shell", given_back(&tmux));
    start_top(&tmux);
    tmux.see_text("sharing");
    let begat = *tmux.children().first().unwrap();
    processes::signal(begat, Signal::TERM);
    tmux.see_text("ended by SIGTERM");
    tmux.see("the shell", given_back(&tmux));
}

/// Whether the shell has the terminal, as it was before: the ordinary screen, and its cursor.
fn given_back(tmux: &Tmux) -> impl Fn(&str) -> Option<()> {
    |screen| (screen.contains(PROMPT) && tmux.modes() == (false, true)).then_some(())
}

#[test]
fn without_a_terminal_it_says_what_to_use_instead() {
    let home = Home::new();
    let answer = home.cli().run(["top"]);
    assert_eq!(answer.code, 2);
    assert_eq!(answer.stdout, "");
    assert!(
        answer.stderr.contains("begat runs --json"),
        "{}",
        answer.stderr
    );
    let answer = home.cli().run(["top", "--json"]);
    assert_eq!(answer.code, 5, "no daemon answers");
    let _daemon = home.start();
    assert_eq!(home.cli().json(["top"]), Value::Array(Vec::new()));
}
