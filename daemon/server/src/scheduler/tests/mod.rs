//! Lists of events. [`World`] plays the ledger and the stages: it folds records as the ledger does, as far as the scheduler
//! asks for it, and ends stages as the test says. A crash is a new scheduler, told only what had been recorded.

mod world;

use begat_schemas::RunState;
use begat_schemas::api::LaunchState;
use proptest::prelude::*;

use super::*;
use world::*;

#[test]
fn stages_run_when_their_parents_are_done_and_a_slot_is_free() {
    let mut world = World::new(1);
    let launch = world.launch(&chain("gpt"));
    assert_eq!(world.take_log(), ["start tokenizer.1"]);
    world.end("tokenizer", Fate::Well);
    world.end("pretrain", Fate::Well);
    assert_eq!(
        world.take_log(),
        ["start pretrain.1", "start sft.1"],
        "one slot: evaluate waits"
    );
    world.finish();
    assert_eq!(world.state(launch), LaunchState::Succeeded);
    assert!(world.scheduler.is_idle());
    let refs: Vec<&str> = world.refs.keys().map(String::as_str).collect();
    assert_eq!(
        refs,
        ["gpt/evaluate", "gpt/pretrain", "gpt/sft", "gpt/tokenizer"]
    );
}

#[test]
fn what_waits_is_told_with_the_launches_that_wait_for_it() {
    let mut world = World::new(1);
    let one = world.launch(&chain("gpt"));
    let figures = world.scheduler.figures();
    assert_eq!((figures.queue_length, figures.waiting.len()), (0, 0));
    world.end("tokenizer", Fate::Well);
    world.end("pretrain", Fate::Well);
    let other = world.launch(&chain("llama"));
    let figures = world.scheduler.figures();
    let waiting = &figures.waiting[0];
    assert_eq!((figures.queue_length, figures.waiting.len()), (1, 1));
    assert_eq!(waiting.stage, name("evaluate"));
    let launches: Vec<(LaunchId, &str)> = waiting
        .launches
        .iter()
        .map(|(launch, recipe)| (*launch, recipe.as_str()))
        .collect();
    assert_eq!(launches, [(one, "gpt"), (other, "llama")]);
    let slots = [("cpu", 1, 1), ("cuda:0", 1, 0)];
    let slots = slots.map(|(device, slots, busy)| (device.to_owned(), slots, busy));
    assert_eq!(figures.slots, slots);
    world.finish();
    assert_eq!(world.scheduler.figures().queue_length, 0);
}

#[test]
fn two_launches_share_a_run_and_a_third_finds_it() {
    let mut world = World::new(2);
    let one = world.launch(&chain("gpt"));
    let other = world.launch(&chain("llama"));
    assert_eq!(world.take_log(), ["start tokenizer.1"]);
    world.finish();
    assert_eq!(world.state(one), LaunchState::Succeeded);
    assert_eq!(world.state(other), LaunchState::Succeeded);
    assert!(
        world
            .summary(other)
            .iter()
            .all(|(_, found, attempts)| !found && *attempts == 1)
    );
    world.take_log();
    let third = world.launch(&chain("third"));
    assert_eq!(
        world.take_log(),
        Vec::<String>::new(),
        "nothing is executed"
    );
    assert_eq!(world.state(third), LaunchState::Succeeded);
    assert!(world.summary(third).iter().all(|(_, found, _)| *found));
    assert_eq!(
        world.refs["third/sft"], world.refs["gpt/sft"],
        "what is found moves its ref"
    );
}

#[test]
fn a_failure_blocks_what_needs_it_and_nothing_else() {
    let mut world = World::new(2);
    let launch = world.launch(&chain("gpt"));
    world.end("tokenizer", Fate::Well);
    world.end("pretrain", Fate::Well);
    world.end("sft", Fate::Badly);
    assert_eq!(
        world.state(launch),
        LaunchState::Running,
        "evaluate goes on"
    );
    world.end("evaluate", Fate::Well);
    assert_eq!(world.state(launch), LaunchState::Failed);
    assert!(
        !world.refs.contains_key("gpt/sft"),
        "a failure moves no ref"
    );
    world.take_log();
    let again = world.launch(&chain("gpt"));
    assert_eq!(
        world.take_log(),
        ["start sft.2"],
        "attempt n+1, from the start"
    );
    world.finish();
    assert_eq!(world.state(again), LaunchState::Succeeded);
}

#[test]
fn a_resumed_launch_goes_on_with_the_attempt_that_failed() {
    let mut world = World::new(1);
    let launch = world.launch(&chain("gpt"));
    world.end("tokenizer", Fate::Well);
    world.end("pretrain", Fate::Badly);
    assert_eq!(world.state(launch), LaunchState::Failed);
    world.take_log();
    world.resume(launch);
    assert_eq!(world.take_log(), ["resume pretrain.1"]);
    world.finish();
    assert_eq!(world.state(launch), LaunchState::Succeeded);
}

#[test]
fn an_interrupted_attempt_goes_on_three_times_by_itself() {
    let mut world = World::new(1);
    let launch = world.launch(&chain("gpt"));
    for _ in 0..3 {
        world.end("tokenizer", Fate::Killed);
        assert!(world.processes.is_empty(), "it waits for its pause");
        world.pass(999);
        assert!(world.processes.is_empty());
        world.pass(1);
    }
    let resumed = [
        "start tokenizer.1",
        "resume tokenizer.1",
        "resume tokenizer.1",
        "resume tokenizer.1",
    ];
    assert_eq!(world.take_log(), resumed);
    world.end("tokenizer", Fate::Killed);
    world.pass(100_000);
    assert_eq!(world.state(launch), LaunchState::Failed);
    assert_eq!(world.take_log(), Vec::<String>::new());
}

#[test]
fn cancelling_stops_what_no_other_launch_needs() {
    let mut world = World::new(1);
    let one = world.launch(&chain("gpt"));
    let other = world.launch(&chain("llama"));
    world.take_log();
    world.tell(Event::CancelLaunch(one));
    assert_eq!(
        world.take_log(),
        Vec::<String>::new(),
        "llama still needs the tokenizer"
    );
    assert_eq!(world.state(one), LaunchState::Cancelled);
    world.tell(Event::CancelLaunch(other));
    assert_eq!(world.take_log(), ["stop tokenizer.1"]);
    assert!(world.scheduler.is_idle());
    world.restart();
    assert!(
        world.scheduler.is_idle(),
        "a cancelled launch stays cancelled"
    );
    let third = world.launch(&chain("gpt"));
    assert_eq!(world.take_log(), ["start tokenizer.2"]);
    world.finish();
    assert_eq!(world.state(third), LaunchState::Succeeded);
}

#[test]
fn a_cancelled_run_ends_its_launch_and_a_queued_one_never_begins() {
    let mut world = World::new(1);
    let launch = world.launch(&chain("gpt"));
    world.end("tokenizer", Fate::Well);
    world.end("pretrain", Fate::Well);
    let evaluate = world.launches[&launch].stages[&name("evaluate")].0;
    world.tell(Event::CancelRun(evaluate));
    world.take_log();
    world.finish();
    assert_eq!(world.take_log(), Vec::<String>::new());
    assert_eq!(world.state(launch), LaunchState::Cancelled);
    assert_eq!(world.runs[&evaluate].state, Some(RunState::Cancelled));
}

#[test]
fn rerun_makes_another_attempt_that_replaces_nothing() {
    let mut world = World::new(1);
    world.launch(&chain("gpt"));
    world.finish();
    world.take_log();
    let again = world.launch_with(&chain("gpt"), &["sft"]);
    assert_eq!(world.take_log(), ["start sft.2"]);
    world.restart();
    world.finish();
    assert_eq!(world.state(again), LaunchState::Succeeded);
    assert_eq!(world.launches[&again].stages[&name("sft")].2, Some(2));
}

#[test]
fn a_reproduction_waits_for_a_slot_and_is_compared() {
    let mut world = World::new(1);
    let launch = world.launch(&chain("gpt"));
    world.finish();
    world.take_log();
    let run = world.launches[&launch].stages[&name("sft")].0;
    let entry = &world.runs[&run];
    let mut task = entry.attempts[&1].2.clone().unwrap();
    task.reason = Reason::Reproduce {
        id: uuid::Uuid::nil(),
    };
    let tasks = vec![(task, 1, entry.outputs.clone())];
    let refs = world.refs.clone();
    world.tell(Event::Reproduce { tasks });
    assert_eq!(world.take_log(), ["start sft.2"]);
    world.end("sft", Fate::Well);
    assert_eq!(world.take_log(), ["compare true"]);
    assert_eq!(world.refs, refs, "it moves no ref");
}

#[test]
fn a_gpu_takes_one_stage_and_a_device_that_is_not_there_waits_for_none() {
    let mut world = World::new(1);
    let stages = vec![
        stage("one", &["a"], "cuda"),
        stage("two", &["b"], "cuda:0"),
        stage("none", &["c"], "cuda:7"),
        stage("cpu", &["d"], "cpu"),
    ];
    world.launch(&recipe("gpus", stages));
    assert_eq!(
        world.take_log(),
        ["start one.1", "start none.1", "start cpu.1"]
    );
    let device = |world: &World, wanted: &str| {
        let mut tasks = world.processes.values().map(|(_, task)| task);
        let task = tasks.find(|task| task.stage == name(wanted));
        task.map(|task| task.execution.device.to_string())
    };
    assert_eq!(device(&world, "one").as_deref(), Some("cuda:0"));
    world.end("one", Fate::Well);
    assert_eq!(device(&world, "two").as_deref(), Some("cuda:0"));
}

/// The daemon dies after its n-th action, for every n; stages end meanwhile, some killed. The next daemon brings the launch to
/// its end, no result is made twice, and nothing is recorded that the ledger's transitions do not allow.
#[test]
fn a_crash_after_any_action_loses_and_doubles_nothing() {
    let mut crashes = 0;
    for dies_after in 0.. {
        let mut world = World::new(2);
        world.dies_after = Some(dies_after);
        let one = world.launch(&chain("gpt"));
        let other = if world.dead {
            None
        } else {
            Some(world.launch(&chain("llama")))
        };
        if !world.dead {
            world.end("tokenizer", Fate::Killed);
        }
        if !world.dead {
            world.pass(1000);
        }
        if !world.dead {
            world.finish();
        }
        if !world.dead {
            break;
        }
        crashes += 1;
        world.restart();
        world.finish();
        for launch in [Some(one), other].into_iter().flatten() {
            assert_eq!(
                world.state(launch),
                LaunchState::Succeeded,
                "{dies_after}: {:?}",
                world.log
            );
            let attempts = world.summary(launch);
            assert!(
                attempts.iter().all(|(_, _, attempts)| *attempts == 1),
                "{dies_after}: {attempts:?}"
            );
        }
        assert!(world.scheduler.is_idle(), "{dies_after}");
    }
    assert!(crashes > 30, "only {crashes} actions");
}

/// What may happen to a daemon, in any order.
fn happen(world: &mut World, what: u8) {
    let newest = world.launches.keys().next_back().copied();
    let state = newest.map(|launch| world.state(launch));
    let running = world
        .processes
        .values()
        .next()
        .map(|(_, task)| task.stage.to_string());
    match (what, newest, state, running) {
        (0, ..) => drop(world.launch(&chain("gpt"))),
        (1, ..) => drop(world.launch(&chain("llama"))),
        (2, ..) => drop(world.launch_with(&chain("gpt"), &["pretrain", "sft"])),
        (3 | 4, _, _, Some(stage)) => world.end(&stage, Fate::Well),
        (5, _, _, Some(stage)) => world.end(&stage, Fate::Badly),
        (6, _, _, Some(stage)) => world.end(&stage, Fate::Killed),
        (7, ..) => world.pass(1000),
        (11, _, _, Some(stage)) => world.end(&stage, Fate::NeverBegan),
        (8, ..) => world.restart(),
        (9, Some(launch), Some(LaunchState::Running), _) => {
            world.tell(Event::CancelLaunch(launch));
        }
        (10, Some(launch), Some(LaunchState::Failed | LaunchState::Cancelled), _) => {
            world.resume(launch);
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Whatever happens in whatever order: the ledger's transitions allow every record, attempts have no gaps, no process
    /// is started while the run's last one lives, and in the end everything comes to an end.
    #[test]
    fn every_history_comes_to_an_end(history in prop::collection::vec(0_u8..12, 0..40)) {
        let mut world = World::new(2);
        for what in history {
            happen(&mut world, what);
        }
        world.finish();
        prop_assert!(world.scheduler.is_idle());
        let over = |launch: &LaunchRecord| launch.state != LaunchState::Running;
        prop_assert!(world.launches.values().all(over));
    }
}

#[test]
fn what_never_began_begins_again_without_being_called_a_resume() {
    let mut world = World::new(1);
    let launch = world.launch(&chain("gpt"));
    world.end("tokenizer", Fate::NeverBegan);
    world.restart();
    world.finish();
    assert_eq!(world.state(launch), LaunchState::Succeeded);
    let run = world.launches[&launch].stages[&name("tokenizer")].0;
    let (state, resumes, _) = &world.runs[&run].attempts[&1];
    assert_eq!((*state, *resumes), (RunState::Succeeded, 0));
}
