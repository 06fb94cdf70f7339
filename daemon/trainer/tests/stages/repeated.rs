//! The same stage twice, in other folders, at other times, on other numbers of threads.

use begat_schemas::{EventBody, Report};
use serde_json::json;
use std::process::Command;

use crate::fixture::{
    ARCHITECTURES, Fixture, Stage, assert_same, events, fingerprints, prepare, succeed, tree,
};

fn check(fixture: &Fixture, name: &str, stage: &Stage) {
    let mut first = stage.clone();
    first.execution["threads"] = json!(1);
    let mut second = stage.clone();
    second.execution["threads"] = json!(3);
    second.execution["gradient_checkpointing"] = json!(true);
    let (here, there) = (
        fixture.path(&format!("{name}-1")),
        fixture.path(&format!("elsewhere/{name}-2")),
    );
    assert_same(&succeed(&here, &first), &succeed(&there, &second));
    assert_eq!(fingerprints(&here), fingerprints(&there));
}

#[test]
fn every_kind_gives_the_same_tree_again() {
    let fixture = Fixture::new();
    check(&fixture, "tokenizer", &fixture.tokenizer_stage());
    for architecture in ARCHITECTURES {
        check(
            &fixture,
            &format!("pretrain-{architecture}"),
            &fixture.pretrain(architecture),
        );
        check(
            &fixture,
            &format!("sft-{architecture}"),
            &fixture.sft(architecture),
        );
        check(
            &fixture,
            &format!("evaluate-{architecture}"),
            &fixture.evaluate(architecture),
        );
    }
}

/// As the real program, since the threads that count words are chosen once per process.
#[test]
fn a_tokenizer_does_not_depend_on_threads() {
    let fixture = Fixture::new();
    let trees = [1, 4].map(|threads| {
        let mut stage = fixture.tokenizer_stage();
        stage.execution["threads"] = json!(threads);
        let work = fixture.path(&format!("threads-{threads}"));
        prepare(&work, &stage, None);
        let program = env!("CARGO_BIN_EXE_begat-stage");
        assert!(
            Command::new(program)
                .arg("run")
                .arg(&work)
                .status()
                .unwrap()
                .success()
        );
        tree(&work.join("outputs"))
    });
    assert_same(&trees[0], &trees[1]);
}

#[test]
fn a_seed_changes_the_result_and_packing_the_steps() {
    let fixture = Fixture::new();
    let mut stage = fixture.sft("llama");
    stage.params["max_length"] = json!(96);
    succeed(&fixture.path("plain"), &stage);
    let mut packing = stage.clone();
    packing.params["packing"] = json!(true);
    succeed(&fixture.path("packing"), &packing);
    let steps = |name: &str| fingerprints(&fixture.path(name)).len();
    assert_eq!(steps("plain"), 2 * 45usize.div_ceil(8));
    assert!(steps("packing") < steps("plain"));
    let prompts: Vec<String> = events(&fixture.path("plain"))
        .into_iter()
        .filter_map(|event| match event.body {
            EventBody::Sample { prompt, .. } => Some(prompt),
            _ => None,
        })
        .collect();
    assert_eq!(prompts.len(), 2);
    assert!(
        prompts.iter().all(|prompt| prompt.ends_with("\npub fn")),
        "{prompts:?}"
    );
}

/// What was seen when the stages were written; a change of arithmetic or of the order of data shows here.
#[test]
fn the_first_losses_are_those_that_were_recorded() {
    let fixture = Fixture::new();
    for (architecture, expected) in [("gpt2", GOLDEN_GPT2), ("llama", GOLDEN_LLAMA)] {
        let name = format!("golden-{architecture}");
        succeed(&fixture.path(&name), &fixture.pretrain(architecture));
        let losses: Vec<f64> = events(&fixture.path(&name))
            .into_iter()
            .filter_map(|event| match event.body {
                EventBody::Metrics { values, .. } => values.get("loss").map(|loss| loss.0),
                _ => None,
            })
            .take(expected.len())
            .collect();
        for (loss, expected) in losses.iter().zip(expected) {
            assert!((loss - expected).abs() < 2e-4, "{architecture}: {losses:?}");
        }
    }
}

const GOLDEN_GPT2: [f64; 5] = [5.703910, 5.619893, 5.431911, 5.306572, 5.173696];
const GOLDEN_LLAMA: [f64; 5] = [5.715302, 5.615402, 5.436969, 5.283179, 5.156767];

#[test]
fn training_learns_and_is_judged_on_held_out_data() {
    let fixture = Fixture::new();
    let mut stage = fixture.pretrain("llama");
    stage.params["max_steps"] = json!(40);
    succeed(&fixture.path("longer"), &stage);
    let judged: Vec<f64> = events(&fixture.path("longer"))
        .into_iter()
        .filter_map(|event| match event.body {
            EventBody::Metrics { values, .. } => values.get("eval_loss").map(|loss| loss.0),
            _ => None,
        })
        .collect();
    assert_eq!(judged.len(), 8);
    assert!(judged[7] < judged[0] - 0.5, "{judged:?}");
}

#[test]
fn a_report_holds_what_was_measured() {
    let fixture = Fixture::new();
    let files = succeed(&fixture.path("report"), &fixture.evaluate("gpt2"));
    let report: Report = serde_json::from_slice(&files["report/metrics.json"]).unwrap();
    let canonical = begat_schemas::canonical_json(&report).unwrap();
    assert_eq!(files["report/metrics.json"], canonical);
    assert_eq!(report.counts["prompts"], 9);
    assert_eq!(report.counts["rows"], 20);
    for name in [
        "eval_loss",
        "gold_score",
        "gold_score_greedy",
        "gold_score_constant",
        "parses",
        "unique",
        "mean_length",
    ] {
        assert!(report.metrics[name].0.is_finite(), "{name}");
    }
    let samples = String::from_utf8(files["report/samples.jsonl"].clone()).unwrap();
    let samples: Vec<begat_schemas::ReportSample> = samples
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(samples.len(), 9);
    assert!(samples[0].prompt.starts_with("/// Will"));
    assert!(
        samples
            .iter()
            .all(|sample| !sample.completion.contains(';') && !sample.greedy.contains('{'))
    );
}
