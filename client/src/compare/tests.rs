use begat_schemas::api::{DuelSource, Footprint, Judge, ListUsage, StageState};
use begat_schemas::{Metric, TreeDigest};
use serde_json::json;

use super::samples::{gpt, lineage, llama};
use super::*;

fn usage() -> Usage {
    let bytes = |stored_bytes| Footprint {
        unique_bytes: 2 * stored_bytes,
        stored_bytes,
    };
    let list = |own| ListUsage {
        whole: bytes(own + 70),
        own: bytes(own),
    };
    Usage {
        shared: bytes(70),
        lists: vec![list(10), list(20)],
    }
}

fn both() -> Comparison {
    compare(&[gpt(), llama()], &[], &usage(), 2)
}

/// A row as `names of the stages : relation`, with `-` where a lineage has none.
fn rows(comparison: &Comparison) -> Vec<String> {
    let row = |stage: &ComparedStage| {
        let names = stage.cells.iter().map(|cell| {
            cell.as_ref().map_or("-".to_owned(), |cell| {
                format!("{}{}", cell.position, cell.stage)
            })
        });
        let names: Vec<String> = names.collect();
        format!("{} {:?}", names.join(" "), stage.relation)
    };
    comparison.stages.iter().map(row).collect()
}

#[test]
fn stages_stand_beside_their_like() {
    assert_eq!(
        rows(&both()),
        [
            "1tokenizer 1tokenizer Shared",
            "2pretrain 2pretrain Shared",
            "3evaluate_pretrain - Only",
            "4sft 4sft Counterpart",
            "5evaluate_sft 5evaluate_tuned Counterpart",
            "6annotate 3annotate Counterpart",
            "- 6annotate_again Only",
        ]
    );
    let judges: Vec<Option<u64>> = both().stages.iter().map(|stage| stage.judges).collect();
    assert_eq!(judges, [None, None, Some(1), None, Some(3), None, None]);
}

#[test]
fn the_order_of_lineages_is_only_an_order() {
    let found = compare(&[llama(), gpt()], &[], &usage(), 2);
    assert_eq!(
        rows(&found),
        [
            "1tokenizer 1tokenizer Shared",
            "2pretrain 2pretrain Shared",
            "- 3evaluate_pretrain Only",
            "3annotate 6annotate Counterpart",
            "4sft 4sft Counterpart",
            "5evaluate_tuned 5evaluate_sft Counterpart",
            "6annotate_again - Only",
        ]
    );
}

#[test]
fn a_lineage_shares_everything_with_itself() {
    let found = compare(&[gpt(), gpt()], &[], &usage(), 9);
    assert!(
        found
            .stages
            .iter()
            .all(|stage| stage.relation == Relation::Shared)
    );
    assert_eq!(found.parting, None);
    assert!(found.finals.duels.is_empty());
    assert!(
        found
            .stages
            .iter()
            .all(|stage| stage.differences.is_empty())
    );
    assert_eq!(found.costs.shared.runs, 6);
    assert_eq!(found.costs.own.iter().map(|cost| cost.runs).sum::<u64>(), 0);
    assert_eq!(found.samples.len(), 4);
}

#[test]
fn three_lineages_share_only_what_all_have() {
    let mut short = gpt();
    short.stages.truncate(2);
    let found = compare(
        &[gpt(), lineage("base", short.stages), llama()],
        &[],
        &usage(),
        0,
    );
    let shared: Vec<String> = rows(&found)
        .into_iter()
        .filter(|row| row.ends_with("Shared"))
        .collect();
    assert_eq!(
        shared,
        [
            "1tokenizer 1tokenizer 1tokenizer Shared",
            "2pretrain 2pretrain 2pretrain Shared"
        ]
    );
    let sft = found
        .stages
        .iter()
        .find(|stage| stage.kind == StageKind::Sft)
        .unwrap();
    assert_eq!((sft.differences[0].left, sft.differences[0].right), (0, 2));
    assert_eq!(
        found.lineages[1].checkpoint_stage.as_deref(),
        Some("pretrain")
    );
}

#[test]
fn they_part_where_their_own_ways_begin() {
    let parting = both().parting.unwrap();
    assert_eq!(parting.after, Some(1));
    assert_eq!(parting.next, [Some(3), Some(5)]);
    let nothing = compare(&[gpt(), lineage("new", Vec::new())], &[], &usage(), 1);
    let parting = nothing.parting.unwrap();
    assert_eq!((parting.after, parting.next), (None, vec![Some(0), None]));
}

#[test]
fn differing_keys_say_where_inputs_came_from() {
    let found = both();
    let sft = &found.stages[3];
    let keys: Vec<&str> = sft.differences[0]
        .keys
        .iter()
        .map(|key| key.difference.key.as_str())
        .collect();
    assert_eq!(keys, ["inputs.more", "params.learning_rate"]);
    let more = &sft.differences[0].keys[0];
    assert_eq!(
        (&more.difference.left, &more.left_source),
        (&json!(null), &None)
    );
    let source = more.right_source.as_ref().unwrap();
    assert_eq!(source.stage.as_deref(), Some("annotate"));
    assert_eq!(source.run, found.stages[5].cells[1].as_ref().unwrap().run);
    let rate = &sft.differences[0].keys[1];
    assert_eq!(
        (&rate.difference.left, &rate.difference.right),
        (&json!(0.002), &json!(0.001))
    );
    assert_eq!((&rate.left_source, &rate.right_source), (&None, &None));
    assert!(found.stages[0].differences.is_empty());
}

#[test]
fn metrics_have_deltas_and_intervals() {
    let found = both();
    let loss = &found.stages[3].metrics["loss"];
    assert_eq!(loss.values, [Some(Metric(2.0)), Some(Metric(1.5))]);
    assert_eq!(loss.deltas, [None, Some(Metric(-0.5))]);
    let judged = &found.stages[4].metrics;
    assert!(
        !judged.contains_key("gold_score_low"),
        "an end is no metric of its own"
    );
    let gold = &judged["gold_score"];
    let ends = gold.intervals[1].unwrap();
    assert_eq!(
        (ends.low, ends.high, gold.deltas[1]),
        (0.3, 0.45, Some(Metric(0.125)))
    );
    let alone = &found.stages[2].metrics["gold_score"];
    assert_eq!((&alone.values[1], &alone.deltas[1]), (&None, &None));
}

#[test]
fn a_shared_run_costs_once() {
    let costs = both().costs;
    assert_eq!((costs.shared.runs, costs.shared.tokens), (2, 1000));
    assert_eq!(costs.shared.device_seconds, 20.0);
    assert_eq!((costs.own[0].runs, costs.own[0].tokens), (4, 300));
    assert_eq!((costs.own[1].runs, costs.own[1].tokens), (4, 500));
    assert_eq!(
        (costs.whole[1].runs, costs.whole[1].device_seconds),
        (6, 60.0)
    );
    assert_eq!(costs.whole[1].bytes.stored_bytes, 90);
    let mut twice = gpt();
    twice.stages.push(twice.stages[1].clone());
    let costs = compare(&[twice, llama()], &[], &usage(), 0).costs;
    assert_eq!(costs.whole[0].runs, 6);
}

#[test]
fn the_last_models_meet_prompt_by_prompt() {
    let found = both();
    let [duel] = &found.finals.duels[..] else {
        panic!("{:?}", found.finals.duels);
    };
    assert_eq!((duel.lineage, duel.against), (1, 0));
    assert_eq!((duel.by, duel.source), (Judge::Rule, DuelSource::Scores));
    assert_eq!(
        (duel.wins, duel.ties, duel.losses),
        (Some(2), Some(2), Some(0))
    );
    assert_eq!((duel.win_rate, duel.mean_difference), (0.75, Some(0.125)));
    assert_eq!(duel.evaluations.len(), 2);
    assert!(found.finals.evaluation_differences.is_empty());
    let prompts: Vec<&str> = found
        .samples
        .iter()
        .map(|sample| sample.prompt.as_str())
        .collect();
    assert_eq!(
        prompts,
        ["0", "1"],
        "the first ones, and no more than asked for"
    );
    let answers = &found.samples[1].answers;
    assert_eq!(
        answers[0].as_ref().unwrap().completion,
        "evaluate_sft says 1"
    );
    assert_eq!(
        answers[1].as_ref().unwrap().completion,
        "evaluate_tuned says 1"
    );
}

#[test]
fn a_report_of_one_against_the_other_is_believed() {
    let (gpt, llama) = (gpt(), llama());
    let against = gpt.stages[3].clone();
    let mut judge = llama.stages[4].clone().taking("reference", &against);
    judge = judge.reporting(
        &[
            ("win_rate_gold", 0.6),
            ("win_rate_gold_low", 0.5),
            ("win_rate_gold_high", 0.7),
            ("ties_gold", 0.5),
            ("gold_difference", 0.1),
            ("win_rate_reward", 0.9),
        ],
        &[0.0; 4],
    );
    let found = compare(&[gpt, llama], &[judge], &usage(), 0);
    let duels: Vec<(u64, Judge, f64, DuelSource)> = found
        .finals
        .duels
        .iter()
        .map(|duel| (duel.lineage, duel.by, duel.win_rate, duel.source))
        .collect();
    assert_eq!(
        duels,
        [
            (1, Judge::Rule, 0.6, DuelSource::Report),
            (1, Judge::RewardModel, 0.9, DuelSource::Report)
        ]
    );
    let duel = &found.finals.duels[0];
    assert_eq!(duel.interval.unwrap().high, 0.7);
    assert_eq!(
        (duel.wins, duel.ties, duel.losses),
        (Some(1), Some(2), Some(1))
    );
    assert_eq!(duel.mean_difference, Some(0.1));
    assert_eq!(found.finals.duels[1].rule, None);
}

#[test]
fn evaluations_that_are_alike_are_preferred_and_others_said_to_differ() {
    let (gpt, mut llama) = (gpt(), llama());
    llama.stages.remove(4);
    let pretrained = gpt.stages[2].clone();
    let judge = pretrained
        .taking("model", &llama.stages[3])
        .reporting(&[], &[1.0; 4]);
    let found = compare(&[gpt, llama], &[judge], &usage(), 0);
    let differing = &found.finals.evaluation_differences[0].keys;
    assert_eq!(differing[0].difference.key, "params.stop");
    assert_eq!(found.finals.duels[0].wins, Some(4));
}

#[test]
fn stages_that_have_not_run_stand_beside_each_other_too() {
    let mut waiting = llama();
    for stage in &mut waiting.stages[2..] {
        (stage.run, stage.detail, stage.report) = (None, None, None);
        stage.outputs.clear();
        stage.state = StageState::Waiting;
    }
    waiting.checkpoint = waiting.last_model();
    let found = compare(&[gpt(), waiting], &[], &usage(), 4);
    let sft = found
        .stages
        .iter()
        .find(|stage| stage.kind == StageKind::Sft)
        .unwrap();
    assert_eq!(sft.relation, Relation::Counterpart);
    assert!(sft.differences.is_empty());
    assert_eq!(
        found.lineages[1].checkpoint_stage.as_deref(),
        Some("pretrain")
    );
    assert!(found.finals.duels.is_empty());
}

#[test]
fn a_model_from_outside_has_no_stages_but_may_be_judged() {
    let mut outside = lineage("base", Vec::new());
    outside.checkpoint = Some(TreeDigest::of(b"from outside"));
    let mut judge = gpt().stages[4].clone();
    let detail = judge.detail.as_mut().unwrap();
    let model = "model".parse().unwrap();
    detail
        .derivation
        .inputs
        .insert(model, TreeDigest::of(b"from outside"));
    outside.stages.push(judge);
    let found = compare(&[outside, gpt()], &[], &usage(), 1);
    assert_eq!(found.lineages[0].checkpoint_stage, None);
    assert_eq!(found.stages.last().unwrap().judges, None);
    assert_eq!(found.finals.duels[0].ties, Some(4));
}

#[test]
fn runs_come_after_what_they_need() {
    use begat_schemas::api::{Lineage, LineageEdge, LineageNode, LineageNodeKind};
    use begat_schemas::{Digest, RunId};
    let id = |name: &str| Digest::of(name.as_bytes());
    let node = |name: &str| LineageNode {
        id: id(name),
        kind: match name.starts_with(char::is_uppercase) {
            true => LineageNodeKind::Run,
            false => LineageNodeKind::Tree,
        },
        label: name.to_owned(),
        refs: Vec::new(),
        state: None,
    };
    let names = [
        "model", "Ppo", "policy", "Sft", "base", "Pretrain", "judge", "Reward", "Other",
    ];
    let edges = "Ppo>model Sft>policy policy>Ppo judge>Ppo base>Sft Pretrain>base Reward>judge Other>judge policy>Reward";
    let edges = edges.split(' ').map(|edge| {
        let (from, to) = edge.split_once('>').unwrap();
        LineageEdge {
            from: id(from),
            to: id(to),
            name: String::new(),
        }
    });
    let lineage = Lineage {
        root: id("model"),
        nodes: names.map(node).into(),
        edges: edges.collect(),
    };
    let expected = ["Pretrain", "Sft", "Reward", "Ppo"].map(|name| RunId::new(id(name)));
    assert_eq!(ancestry::runs_in_order(&lineage), expected);
}
