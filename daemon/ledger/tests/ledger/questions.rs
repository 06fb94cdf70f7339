use begat_ledger::{LineageRoot, Record, RunFilter};
use begat_schemas::api::{LaunchState, ReproduceRequest, ReproduceState, StageState};
use begat_schemas::{BlobDigest, DigestPrefix, Purpose, RunState};
use uuid::Uuid;

use crate::story::*;

fn told(records: &[Vec<Record>]) -> (tempfile::TempDir, begat_ledger::Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _) = open(folder.path());
    for (second, records) in (0..).zip(records) {
        ledger.append(at(second), records.clone()).unwrap();
    }
    (folder, ledger)
}

#[test]
fn a_new_ledger_answers_with_nothing() {
    let (_folder, ledger) = told(&[]);
    assert!(ledger.runs(&RunFilter::default()).unwrap().is_empty());
    assert_eq!(ledger.lineage(LineageRoot::Tree(tree("x"))).unwrap(), None);
    assert_eq!(ledger.run_counts().unwrap()[&RunState::Succeeded], 0);
    assert!(ledger.check().unwrap().is_empty());
}

#[test]
fn a_launch_stands_as_its_stages_do() {
    let small = derivation("corpus", 512);
    let id = attempt(run(&small), 1);
    let (_folder, ledger) = told(&[vec![created(1, "gpt", &["a", "b", "c"])]]);
    let check = |expected: &[StageState], state: LaunchState| {
        let view = ledger.launch_view(launch(1)).unwrap().unwrap();
        let states: Vec<StageState> = view.stages.iter().map(|stage| stage.state).collect();
        assert_eq!((states.as_slice(), view.state), (expected, state));
    };
    use StageState::{Blocked, Failed, Interrupted, Queued, Running, Storing, Succeeded, Waiting};
    check(&[Waiting, Waiting, Waiting], LaunchState::Running);
    let steps = [
        (
            vec![declared(&small), stage_run(1, "a", id.run, false)],
            Queued,
            Waiting,
        ),
        (vec![started(id, Purpose::Launch)], Running, Waiting),
        (
            vec![becomes(id, RunState::Interrupted)],
            Interrupted,
            Waiting,
        ),
        (vec![resumed(id)], Running, Waiting),
        (vec![ended(id, RunState::Failed, None)], Failed, Blocked),
        (vec![resumed(id)], Running, Waiting),
        (vec![becomes(id, RunState::Storing)], Storing, Waiting),
        (
            vec![ended(id, RunState::Succeeded, Some("small"))],
            Succeeded,
            Waiting,
        ),
    ];
    for (second, (records, first, others)) in (1..).zip(steps) {
        ledger.append(at(second), records).unwrap();
        let state = match first {
            Failed => LaunchState::Failed,
            _ => LaunchState::Running,
        };
        check(&[first, others, others], state);
    }
    let view = ledger.launch_view(launch(1)).unwrap().unwrap();
    assert_eq!(view.stages[0].outputs.values().next(), Some(&tree("small")));
}

#[test]
fn a_blocked_stage_says_what_it_waits_for() {
    let small = derivation("corpus", 512);
    let id = attempt(run(&small), 1);
    let (_folder, ledger) = told(&[
        vec![created(1, "gpt", &["a", "b", "c"]), declared(&small)],
        vec![
            stage_run(1, "a", id.run, false),
            started(id, Purpose::Launch),
        ],
        vec![ended(id, RunState::Failed, None)],
    ]);
    let view = ledger.launch_view(launch(1)).unwrap().unwrap();
    let reasons: Vec<_> = view
        .stages
        .iter()
        .map(|stage| stage.reason.as_deref())
        .collect();
    assert_eq!(
        reasons,
        [
            Some("loss is NaN in step 3"),
            Some("stage `a` failed"),
            Some("stage `b` is blocked")
        ]
    );
}

#[test]
fn open_launches_are_those_without_an_end() {
    let end = |state| Record::LaunchState {
        launch: launch(1),
        state,
    };
    let (_folder, ledger) = told(&[
        vec![created(1, "gpt", &["a"]), created(2, "gpt", &["a"])],
        vec![end(LaunchState::Cancelled)],
    ]);
    assert_eq!(ledger.open_launches().unwrap(), [launch(2)]);
    let view = ledger.launch_view(launch(1)).unwrap().unwrap();
    assert_eq!(view.state, LaunchState::Cancelled);
    assert_eq!(view.stages[0].state, StageState::Cancelled);
    ledger
        .append(at(9), vec![end(LaunchState::Running)])
        .unwrap();
    assert_eq!(ledger.open_launches().unwrap(), [launch(1), launch(2)]);
}

#[test]
fn launches_are_found_by_time_recipe_and_first_digits() {
    let (_folder, ledger) = told(&[
        vec![created(1, "gpt", &["a"])],
        vec![created(2, "llama", &["a"])],
        vec![created(0x2000_0000_0000, "gpt", &["a"])],
    ]);
    let (one, two, three) = (launch(1), launch(2), launch(0x2000_0000_0000));
    assert_eq!(ledger.launches(None, 9).unwrap(), [three, two, one]);
    assert_eq!(ledger.launches(None, 2).unwrap(), [three, two]);
    assert_eq!(
        ledger.launches(Some(&recipe("gpt")), 9).unwrap(),
        [three, one]
    );
    assert_eq!(ledger.launches(Some(&recipe("gp")), 9).unwrap(), []);
    let find = |digits: &str| ledger.launches_by_prefix(digits, 9).unwrap();
    assert_eq!(find("0192"), [three, two, one]);
    assert_eq!(find("01920000-0000-7000-8000-2"), [three]);
    assert_eq!(find("019200000000700080000"), [two, one]);
    assert_eq!(find(&two.to_string()), [two]);
    assert_eq!(find("zzz"), []);
    assert_eq!(ledger.recipes().unwrap(), [recipe("gpt"), recipe("llama")]);
}

#[test]
fn runs_are_listed_newest_first_and_filtered() {
    let derivations: Vec<_> = (1..=600)
        .map(|size| derivation("corpus", 260 + size))
        .collect();
    let runs: Vec<_> = derivations.iter().map(run).collect();
    let mut records = vec![vec![created(1, "gpt", &["a"]), created(2, "llama", &["a"])]];
    records.extend(
        derivations
            .iter()
            .map(|derivation| vec![declared(derivation)]),
    );
    records.push(vec![
        stage_run(1, "a", runs[0], false),
        stage_run(2, "a", runs[0], true),
    ]);
    records.push(succeeds(attempt(runs[3], 1), Purpose::Launch, "small"));
    let (_folder, ledger) = told(&records);
    let list = |filter: RunFilter| -> Vec<_> {
        let views = ledger.runs(&filter).unwrap();
        views.into_iter().map(|view| view.run).collect()
    };
    let newest: Vec<_> = runs.iter().rev().copied().collect();
    assert_eq!(list(RunFilter::default()), newest);
    let limited = RunFilter {
        limit: Some(300),
        ..RunFilter::default()
    };
    assert_eq!(list(limited), newest[..300]);
    let state = |state| RunFilter {
        state: Some(state),
        ..RunFilter::default()
    };
    assert_eq!(list(state(RunState::Succeeded)), [runs[3]]);
    assert_eq!(list(state(RunState::Queued)).len(), 599);
    let of = |name: &str, state| RunFilter {
        recipe: Some(recipe(name)),
        state,
        ..RunFilter::default()
    };
    assert_eq!(list(of("gpt", None)), [runs[0]]);
    assert_eq!(list(of("llama", Some(RunState::Queued))), [runs[0]]);
    assert_eq!(list(of("llama", Some(RunState::Failed))), []);
    let corpus = *derivations[0].inputs.values().next().unwrap();
    let taking = |tree| RunFilter {
        input: Some(tree),
        ..RunFilter::default()
    };
    assert_eq!(list(taking(corpus)), newest);
    assert_eq!(list(taking(tree("nobody took this"))), []);
    let some = RunFilter {
        recipe: Some(recipe("gpt")),
        state: Some(RunState::Queued),
        ..taking(corpus)
    };
    assert_eq!(list(some), [runs[0]]);
    let two = RunFilter {
        limit: Some(2),
        ..taking(corpus)
    };
    assert_eq!(list(two), newest[..2]);
    assert_eq!(ledger.run_counts().unwrap()[&RunState::Queued], 599);
    let view = ledger.run_view(runs[0]).unwrap().unwrap();
    assert_eq!(view.recipe, Some(recipe("llama")));
    assert_eq!(view.launches, [launch(2), launch(1)]);
}

#[test]
fn a_run_is_found_by_its_first_digits() {
    let runs: Vec<_> = (1..40)
        .map(|size| derivation("corpus", 260 + size))
        .collect();
    let (_folder, ledger) = told(&[runs.iter().map(declared).collect()]);
    for derivation in &runs {
        let run = run(derivation);
        let prefix = DigestPrefix::new(&run.to_string()[..6]).unwrap();
        assert_eq!(ledger.runs_by_prefix(&prefix, 9).unwrap(), [run]);
    }
    let none = DigestPrefix::new("00000000").unwrap();
    assert_eq!(ledger.runs_by_prefix(&none, 9).unwrap(), []);
}

#[test]
fn outputs_are_those_of_the_first_success_for_ever() {
    let small = derivation("corpus", 512);
    let run = run(&small);
    let (_folder, ledger) = told(&[
        vec![declared(&small)],
        succeeds(attempt(run, 1), Purpose::Launch, "small"),
        succeeds(attempt(run, 2), Purpose::Launch, "large"),
        succeeds(attempt(run, 3), Purpose::Reproduce, "kept"),
    ]);
    let entry = ledger.run(run).unwrap().unwrap();
    assert_eq!(entry.outputs.values().collect::<Vec<_>>(), [&tree("small")]);
    assert_eq!((entry.output_attempt, entry.attempts), (Some(1), 3));
    let official = |name: &str| ledger.producers(tree(name)).unwrap()[0].official;
    assert!(official("small") && !official("large") && !official("kept"));
    let roots = ledger.roots().unwrap();
    assert!(
        ["corpus", "small", "large", "kept"]
            .iter()
            .all(|name| roots.trees.contains(&tree(name)))
    );
    assert!(roots.blobs.contains(&BlobDigest::new(run.digest())));
}

#[test]
fn making_again_moves_no_state() {
    let small = derivation("corpus", 512);
    let run = run(&small);
    let (_folder, ledger) = told(&[
        vec![declared(&small)],
        succeeds(attempt(run, 1), Purpose::Launch, "small"),
        vec![started(attempt(run, 2), Purpose::Reproduce)],
    ]);
    assert_eq!(ledger.run(run).unwrap().unwrap().state, RunState::Succeeded);
    assert!(ledger.live_runs().unwrap().is_empty());
    let live: Vec<_> = ledger
        .live_attempts()
        .unwrap()
        .into_iter()
        .map(|live| live.attempt)
        .collect();
    assert_eq!(live, [attempt(run, 2)]);
    ledger
        .append(at(9), vec![ended(attempt(run, 2), RunState::Failed, None)])
        .unwrap();
    let view = ledger.run_view(run).unwrap().unwrap();
    assert_eq!((view.state, view.reason), (RunState::Succeeded, None));
    assert!(ledger.live_attempts().unwrap().is_empty());
}

#[test]
fn a_ref_keeps_its_history() {
    let (_folder, ledger) = told(&[
        vec![moved("gpt/sft", Some("one"))],
        vec![moved("gpt/sft", Some("two"))],
        vec![moved("gpt/sft", None)],
        vec![moved("gpt/sft2", Some("two"))],
    ]);
    assert_eq!(ledger.get_ref(&ref_name("gpt/sft")).unwrap(), None);
    let history = ledger.ref_history(&ref_name("gpt/sft")).unwrap();
    let trees: Vec<_> = history.iter().map(|change| change.tree).collect();
    assert_eq!(trees, [Some(tree("one")), Some(tree("two")), None]);
    assert_eq!(ledger.refs_to(tree("two")).unwrap(), [ref_name("gpt/sft2")]);
    assert_eq!(ledger.refs_to(tree("one")).unwrap(), []);
    assert_eq!(ledger.refs().unwrap().len(), 1);
    ledger
        .append(at(9), vec![moved("gpt/sft", Some("three"))])
        .unwrap();
    assert_eq!(ledger.ref_history(&ref_name("gpt/sft")).unwrap().len(), 4);
}

#[test]
fn the_nearest_finished_run_differs_in_the_fewest_keys() {
    let near = derivation("corpus", 512);
    let far = derivation("other", 513);
    let unfinished = derivation("corpus", 1024);
    let wanted = derivation("corpus", 2048);
    let mut records = vec![vec![declared(&near), declared(&far), declared(&unfinished)]];
    records.push(succeeds(attempt(run(&near), 1), Purpose::Launch, "small"));
    records.push(succeeds(attempt(run(&far), 1), Purpose::Launch, "large"));
    let (_folder, ledger) = told(&records);
    let found = ledger.nearest_finished(&wanted).unwrap().unwrap();
    assert_eq!(found.nearest, run(&near));
    assert_eq!(found.keys.len(), 1);
    assert_eq!(found.keys[0].key, "params.vocab_size");
    assert_eq!(
        (&found.keys[0].left, &found.keys[0].right),
        (&2048.into(), &512.into())
    );
}

#[test]
fn lineage_leads_from_a_ref_to_what_was_added() {
    let first = derivation("corpus", 512);
    let second = derivation("small", 512);
    let (one, two) = (run(&first), run(&second));
    let (_folder, ledger) = told(&[
        vec![
            added("corpus"),
            created(1, "gpt", &["a", "b"]),
            declared(&first),
        ],
        vec![stage_run(1, "a", one, false)],
        succeeds(attempt(one, 1), Purpose::Launch, "small"),
        vec![declared(&second), stage_run(1, "b", two, false)],
        succeeds(attempt(two, 1), Purpose::Launch, "large"),
        vec![moved("gpt/b", Some("large"))],
    ]);
    let lineage = ledger
        .lineage(LineageRoot::Tree(tree("large")))
        .unwrap()
        .unwrap();
    let labels: Vec<&str> = lineage
        .nodes
        .iter()
        .map(|node| node.label.as_str())
        .collect();
    assert_eq!(
        labels,
        ["gpt/b", "gpt/b", "gpt/a.tokenizer", "gpt/a", "corpus"]
    );
    assert_eq!(lineage.edges.len(), 4);
    assert_eq!(ledger.ancestors(two).unwrap(), [one, two]);
    let detail = ledger.run_detail(two).unwrap().unwrap();
    assert_eq!(detail.inputs.values().next().unwrap().producer, Some(one));
    assert_eq!(detail.refs, [ref_name("gpt/b")]);
    let by: Vec<_> = ledger.additions(tree("corpus")).unwrap();
    assert_eq!((by[0].by.as_str(), by[0].time), ("ada", at(0)));
}

#[test]
fn a_removed_run_is_forgotten_and_can_come_again() {
    let small = derivation("corpus", 512);
    let id = attempt(run(&small), 1);
    let (_folder, ledger) = told(&[
        vec![
            created(1, "gpt", &["a"]),
            declared(&small),
            stage_run(1, "a", id.run, false),
        ],
        succeeds(id, Purpose::Launch, "small"),
        vec![Record::RunRemoved { run: id.run }],
    ]);
    assert_eq!(ledger.run(id.run).unwrap(), None);
    assert!(ledger.producers(tree("small")).unwrap().is_empty());
    assert!(ledger.consumers(tree("corpus")).unwrap().is_empty());
    assert!(!ledger.roots().unwrap().trees.contains(&tree("small")));
    assert_eq!(ledger.run_counts().unwrap()[&RunState::Succeeded], 0);
    let view = ledger.launch_view(launch(1)).unwrap().unwrap();
    assert_eq!(
        view.stages[0].reason.as_deref(),
        Some("the run was removed")
    );
    ledger.append(at(8), vec![declared(&small)]).unwrap();
    ledger
        .append(at(9), succeeds(id, Purpose::Launch, "small"))
        .unwrap();
    assert_eq!(ledger.run(id.run).unwrap().unwrap().attempts, 1);
    assert!(ledger.check().unwrap().is_empty());
}

#[test]
fn a_reproduction_collects_verdicts_in_the_order_of_its_runs() {
    let (first, second) = (derivation("corpus", 512), derivation("small", 512));
    let (one, two) = (run(&first), run(&second));
    let id = Uuid::from_u128(3);
    let verdict = |run, state| Record::ReproductionVerdict {
        id,
        verdict: begat_schemas::api::RunVerdict {
            run,
            label: None,
            original: attempt(run, 1),
            attempt: None,
            state,
            same_execution_class: None,
            differing_probes: Vec::new(),
            first_differing_step: None,
            steps_compared: 0,
            outputs: Vec::new(),
            reason: None,
        },
    };
    let (_folder, ledger) = told(&[
        vec![declared(&first), declared(&second)],
        vec![Record::ReproductionCreated {
            id,
            request: ReproduceRequest::default(),
            runs: vec![one, two],
        }],
        vec![
            verdict(two, ReproduceState::Running),
            verdict(one, ReproduceState::Identical),
        ],
        vec![verdict(two, ReproduceState::Different)],
    ]);
    let view = ledger.reproduction(id).unwrap().unwrap();
    let found: Vec<_> = view
        .verdicts
        .iter()
        .map(|verdict| (verdict.run, verdict.state))
        .collect();
    assert_eq!(
        found,
        [
            (one, ReproduceState::Identical),
            (two, ReproduceState::Different)
        ]
    );
    assert_eq!(ledger.open_reproductions().unwrap(), [id]);
    let state = ReproduceState::Different;
    ledger
        .append(at(9), vec![Record::ReproductionState { id, state }])
        .unwrap();
    assert!(ledger.open_reproductions().unwrap().is_empty());
    assert_eq!(ledger.reproduction(id).unwrap().unwrap().state, state);
}
