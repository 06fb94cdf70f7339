use std::collections::BTreeMap;

use begat_schemas::api::*;
use begat_schemas::{Difference, GoldRule, Metric, RunId, StageKind, TreeDigest};
use serde_json::{Value, json};

use super::*;

fn run_id(text: &str) -> RunId {
    RunId::of(text.as_bytes())
}

/// A stage: in each lineage `position name run` or nothing.
fn stage(
    kind: StageKind,
    relation: Relation,
    cells: &[Option<(u64, &str, &str)>],
) -> ComparedStage {
    let cell = |(position, stage, run): (u64, &str, &str)| StageCell {
        position,
        stage: stage.to_owned(),
        run: Some(run_id(run)),
        state: StageState::Succeeded,
        outputs: BTreeMap::new(),
        tokens: matches!(kind, StageKind::Pretrain | StageKind::Sft | StageKind::Dpo)
            .then_some(1_999_872 / position),
        seconds: Some(359.6 / position as f64),
    };
    ComparedStage {
        kind,
        relation,
        judges: None,
        cells: cells.iter().map(|one| one.map(cell)).collect(),
        differences: Vec::new(),
        metrics: BTreeMap::new(),
    }
}

fn judging(
    mut stage: ComparedStage,
    judges: u64,
    metrics: &[(&str, &[Option<f64>], f64)],
) -> ComparedStage {
    stage.judges = Some(judges);
    stage.metrics = measured(metrics);
    stage
}

/// Values with half an interval each; 0 for none.
fn measured(metrics: &[(&str, &[Option<f64>], f64)]) -> BTreeMap<String, MetricComparison> {
    let one = |(name, values, half): &(&str, &[Option<f64>], f64)| {
        let first = values.iter().flatten().next().copied();
        let mut seen = false;
        let deltas = values.iter().map(|value| {
            let delta = (*value)
                .zip(first)
                .filter(|_| seen)
                .map(|(value, first)| Metric(value - first));
            seen |= value.is_some();
            delta
        });
        let interval = |value: &Option<f64>| {
            let value = value.filter(|_| *half > 0.0)?;
            Some(Interval {
                low: value - half,
                high: value + half,
            })
        };
        let compared = MetricComparison {
            deltas: deltas.collect(),
            values: values.iter().map(|value| value.map(Metric)).collect(),
            intervals: values.iter().map(interval).collect(),
        };
        ((*name).to_owned(), compared)
    };
    metrics.iter().map(one).collect()
}

fn key(key: &str, left: Value, right: Value) -> KeyDifference {
    KeyDifference {
        difference: Difference {
            key: key.to_owned(),
            left,
            right,
        },
        left_source: None,
        right_source: None,
    }
}

fn from(stage: Option<&str>, name: Option<&str>) -> Option<InputSource> {
    Some(InputSource {
        stage: stage.map(str::to_owned),
        run: stage.map(run_id),
        name: name.map(str::to_owned),
    })
}

fn sft() -> ComparedStage {
    let mut sft = stage(
        StageKind::Sft,
        Relation::Counterpart,
        &[Some((4, "sft", "sft gpt")), Some((7, "sft", "sft llama"))],
    );
    let tree = |text: &str| json!(TreeDigest::of(text.as_bytes()));
    let more = KeyDifference {
        right_source: from(Some("rejection_sampling"), None),
        ..key("inputs.more", Value::Null, tree("kept"))
    };
    let dataset = KeyDifference {
        left_source: from(None, Some("demo/sft")),
        right_source: from(None, Some("demo/sft-small")),
        ..key("inputs.dataset", tree("sft"), tree("small"))
    };
    sft.differences = vec![StageDifference {
        left: 0,
        right: 1,
        keys: vec![
            dataset,
            more,
            key("params.learning_rate", json!(0.002), json!(0.001)),
        ],
    }];
    sft.metrics = measured(&[
        ("eval_loss", &[Some(2.307), Some(2.2741)], 0.0),
        ("mean_token_accuracy", &[Some(0.61), Some(0.63)], 0.0),
        ("grad_norm", &[Some(1.0), Some(2.0)], 0.0),
    ]);
    sft
}

fn stages() -> Vec<ComparedStage> {
    use Relation::{Counterpart, Only, Shared};
    let row = stage;
    vec![
        row(
            StageKind::Tokenizer,
            Shared,
            &[Some((1, "tokenizer", "t")), Some((1, "tokenizer", "t"))],
        ),
        row(
            StageKind::Pretrain,
            Shared,
            &[Some((2, "pretrain", "p")), Some((2, "pretrain", "p"))],
        ),
        judging(
            row(
                StageKind::Evaluate,
                Shared,
                &[
                    Some((3, "evaluate_pretrain", "e")),
                    Some((3, "evaluate_pretrain", "e")),
                ],
            ),
            1,
            &[
                ("gold_score", &[Some(0.0942), Some(0.0942)], 0.011),
                ("eval_loss", &[Some(3.407), Some(3.407)], 0.0),
            ],
        ),
        sft(),
        judging(
            row(
                StageKind::Evaluate,
                Counterpart,
                &[
                    Some((5, "evaluate_sft", "eg")),
                    Some((8, "evaluate_sft", "el")),
                ],
            ),
            3,
            &[
                ("gold_score", &[Some(0.243), Some(0.265)], 0.019),
                ("gold_score_greedy", &[Some(0.407), Some(0.426)], 0.0),
                ("mean_length", &[Some(14.7), Some(15.6)], 0.0),
                ("eval_loss", &[Some(2.307), Some(2.274)], 0.0),
            ],
        ),
        row(
            StageKind::Annotate,
            Counterpart,
            &[Some((6, "annotate", "ag")), Some((4, "annotate", "al"))],
        ),
        row(
            StageKind::Reward,
            Counterpart,
            &[Some((7, "reward", "rg")), Some((5, "reward", "rl"))],
        ),
        row(
            StageKind::RejectionSampling,
            Only,
            &[None, Some((6, "rejection_sampling", "rs"))],
        ),
        row(
            StageKind::Annotate,
            Only,
            &[None, Some((9, "annotate_dpo", "a2"))],
        ),
        row(StageKind::Dpo, Only, &[None, Some((10, "dpo", "d"))]),
        judging(
            row(
                StageKind::Evaluate,
                Only,
                &[None, Some((11, "evaluate_dpo", "ed"))],
            ),
            9,
            &[
                ("gold_score", &[None, Some(0.32)], 0.02),
                ("kl", &[None, Some(0.9)], 0.0),
            ],
        ),
        row(StageKind::Ppo, Only, &[Some((8, "ppo", "ppo")), None]),
        judging(
            row(
                StageKind::Evaluate,
                Only,
                &[Some((9, "evaluate_ppo", "ep")), None],
            ),
            11,
            &[
                ("gold_score", &[Some(0.343), None], 0.02),
                ("kl", &[Some(2.9), None], 0.0),
                ("reward_mean", &[Some(0.431), None], 0.075),
            ],
        ),
    ]
}

fn duel() -> Duel {
    Duel {
        lineage: 1,
        against: 0,
        by: Judge::Rule,
        rule: Some(GoldRule::RustSignature),
        source: DuelSource::Scores,
        evaluations: vec![run_id("ed"), run_id("ep")],
        prompts: Some(600),
        wins: Some(250),
        ties: Some(60),
        losses: Some(290),
        win_rate: 0.4667,
        interval: Some(Interval {
            low: 0.427,
            high: 0.5067,
        }),
        mean_difference: Some(-0.023),
        mean_difference_interval: Some(Interval {
            low: -0.043,
            high: -0.003,
        }),
    }
}

fn cost(runs: u64, seconds: f64) -> Cost {
    let footprint = Footprint {
        unique_bytes: runs * 4_400_000,
        stored_bytes: runs * 3_700_000,
    };
    Cost {
        runs,
        tokens: runs * 1_000_000,
        device_seconds: seconds,
        bytes: footprint,
    }
}

fn sample() -> ComparedSample {
    let answer = |completion: &str, score| ComparedAnswer {
        completion: completion.to_owned(),
        ended: true,
        greedy: String::new(),
        gold_score: Some(score),
        reward: None,
    };
    ComparedSample {
        prompt: "/// Set the desired match semantics.\npub fn".to_owned(),
        reference: Some(" match_kind(mut self, kind: MatchKind) -> Config".to_owned()),
        answers: vec![
            Some(answer(
                " dest(&mut self, key: &\u{1b}[31m withoutInner<'a, V>",
                0.0,
            )),
            Some(answer(
                &format!(
                    " dept_paris(&mut self, {}) -> Self",
                    "style: Unit, ".repeat(12)
                ),
                0.4375,
            )),
        ],
    }
}

fn lineage(name: &str, stages: u64, last: &str) -> ComparedLineage {
    ComparedLineage {
        name: name.to_owned(),
        kind: CandidateKind::Recipe,
        id: "0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b".to_owned(),
        recipe: name.parse().ok(),
        stages,
        checkpoint: Some(TreeDigest::of(last.as_bytes())),
        checkpoint_stage: Some(last.to_owned()),
    }
}

fn compared() -> Comparison {
    let last = [
        ("gold_score", &[Some(0.343), Some(0.32)][..], 0.02),
        ("kl", &[Some(2.9), Some(0.9)], 0.0),
    ];
    Comparison {
        lineages: vec![lineage("gpt", 9, "ppo"), lineage("llama", 11, "dpo")],
        stages: stages(),
        parting: Some(Parting {
            after: Some(1),
            next: vec![Some(3), Some(5)],
        }),
        costs: ComparedCosts {
            shared: cost(3, 401.2),
            own: vec![cost(6, 120.0), cost(8, 321.0)],
            whole: vec![cost(9, 521.2), cost(11, 722.2)],
        },
        finals: ComparedFinals {
            evaluations: vec![Some(run_id("ep")), Some(run_id("ed"))],
            evaluation_differences: vec![StageDifference {
                left: 0,
                right: 1,
                keys: vec![key("params.stop", json!([";"]), json!([]))],
            }],
            metrics: measured(&last),
            duels: vec![duel()],
        },
        samples: vec![sample()],
    }
}

#[test]
fn two_lineages() {
    insta::assert_snapshot!(comparison(&compared(), Look::default()));
}

#[test]
fn two_lineages_keep_to_120_columns() {
    let look = Look {
        color: false,
        width: Some(120),
    };
    let text = comparison(&compared(), look);
    for line in text.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
    assert!(
        text.contains("0.343 ±0.020"),
        "a cell is not broken in two: {text}"
    );
}

#[test]
fn what_runs_still_says_so() {
    let mut view = compared();
    let cell = view.stages[11].cells[0].as_mut().unwrap();
    (cell.state, cell.seconds) = (StageState::Running, None);
    let cell = view.stages[9].cells[1].as_mut().unwrap();
    (cell.state, cell.run) = (StageState::Waiting, None);
    let text = comparison(&view, Look::default());
    assert!(
        text.contains(&format!("8 {} running", run_id("ppo").short())),
        "{text}"
    );
    assert!(text.contains("10 waiting"), "{text}");
}

#[test]
fn nothing_shared_and_everything_shared() {
    let mut view = compared();
    view.stages
        .iter_mut()
        .for_each(|stage| stage.relation = Relation::Shared);
    view.parting = None;
    assert!(comparison(&view, Look::default()).contains("every stage"));
    view.stages
        .iter_mut()
        .for_each(|stage| stage.relation = Relation::Counterpart);
    view.parting = Some(Parting {
        after: None,
        next: vec![Some(0), None],
    });
    let text = comparison(&view, Look::default());
    assert!(text.contains("no stage"), "{text}");
    assert!(
        text.contains("they part from the start: A goes on with tokenizer, B ends there"),
        "{text}"
    );
}
