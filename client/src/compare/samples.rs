//! Two small lineages for the tests.

use std::collections::BTreeMap;

use begat_schemas::api::{CandidateKind, InputView, RunDetail, RunView, StageState};
use begat_schemas::{
    Derivation, Metric, OutputName, Report, ReportFormat, ReportSample, RunState, StageKind,
    StageParams, TreeDigest,
};
use serde_json::{Value, json};

use super::facts::{LineageFacts, ReportFacts, StageFacts};

/// A stage of `kind` with the inputs `name=tree`, each tree named by a word.
pub(super) fn stage(
    name: &str,
    kind: StageKind,
    inputs: &[(&str, &str)],
    params: Value,
) -> StageFacts {
    let params = StageParams::from_value(kind, &params).unwrap();
    let trees: BTreeMap<_, _> = inputs
        .iter()
        .map(|(name, tree)| (name.parse().unwrap(), TreeDigest::of(tree.as_bytes())))
        .collect();
    let derivation = Derivation::new(&params, trees.clone(), 1);
    let run = derivation.run_id().unwrap();
    let (output, _) = params.outputs().remove(0);
    let outputs: BTreeMap<OutputName, TreeDigest> = [(output, made_by(&derivation))].into();
    let view = RunView {
        run,
        recipe: None,
        stage: Some(name.parse().unwrap()),
        kind,
        launches: Vec::new(),
        state: RunState::Succeeded,
        outputs: outputs.clone(),
        metrics: BTreeMap::new(),
        started: None,
        seconds: Some(10.0),
        progress: None,
        reason: None,
        attempts: 1,
    };
    let inputs = trees.iter().map(|(name, tree)| {
        let view = InputView {
            tree: *tree,
            producer: None,
            refs: Vec::new(),
        };
        (name.clone(), view)
    });
    StageFacts {
        name: name.to_owned(),
        kind,
        state: StageState::Succeeded,
        run: Some(run),
        outputs,
        report: None,
        detail: Some(RunDetail {
            inputs: inputs.collect(),
            refs: Vec::new(),
            attempt_list: Vec::new(),
            view,
            derivation,
        }),
    }
}

/// What a derivation makes here: the tree of the word `KIND of INPUTS and PARAMETERS`.
fn made_by(derivation: &Derivation) -> TreeDigest {
    TreeDigest::of(&derivation.canonical_bytes().unwrap())
}

impl StageFacts {
    /// Its only output.
    pub(super) fn made(&self) -> TreeDigest {
        *self.outputs.values().next().unwrap()
    }

    /// The same with an input that another stage made.
    pub(super) fn taking(mut self, input: &str, from: &Self) -> Self {
        let detail = self.detail.as_mut().unwrap();
        let name = input.parse().unwrap();
        let view = InputView {
            tree: from.made(),
            producer: from.run,
            refs: Vec::new(),
        };
        detail
            .derivation
            .inputs
            .insert(input.parse().unwrap(), from.made());
        detail.inputs.insert(name, view);
        let run = detail.derivation.run_id().unwrap();
        detail.view.run = run;
        self.run = Some(run);
        let made = made_by(&detail.derivation);
        self.outputs.values_mut().for_each(|tree| *tree = made);
        self
    }

    /// The same with these last values.
    pub(super) fn measured(mut self, values: &[(&str, f64)]) -> Self {
        self.detail.as_mut().unwrap().view.metrics = metrics(values);
        self
    }

    /// The same with a report of these values, and of these scores of the prompts `0`, `1`, ….
    pub(super) fn reporting(mut self, values: &[(&str, f64)], scores: &[f64]) -> Self {
        let samples = scores.iter().enumerate().map(|(at, score)| ReportSample {
            prompt: at.to_string(),
            gold_score: Some(*score),
            ..answer(&format!("{} says {at}", self.name))
        });
        self.report = Some(ReportFacts {
            report: Report {
                format: ReportFormat::Version1,
                metrics: metrics(values),
                counts: [("prompts".to_owned(), scores.len() as u64)].into(),
            },
            samples: samples.collect(),
        });
        self
    }
}

fn metrics(values: &[(&str, f64)]) -> BTreeMap<String, Metric> {
    values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Metric(*value)))
        .collect()
}

/// An answer to nothing.
pub(super) fn answer(completion: &str) -> ReportSample {
    serde_json::from_value(json!({
        "prompt": "", "completion": completion, "ended": true, "greedy": "greedy"
    }))
    .unwrap()
}

pub(super) fn lineage(name: &str, stages: Vec<StageFacts>) -> LineageFacts {
    let mut lineage = LineageFacts {
        name: name.to_owned(),
        kind: CandidateKind::Recipe,
        id: name.to_owned(),
        recipe: None,
        checkpoint: None,
        stages,
    };
    lineage.checkpoint = lineage.last_model();
    lineage
}

fn tokenizer() -> StageFacts {
    let params = json!({"vocab_size": 512});
    stage(
        "tokenizer",
        StageKind::Tokenizer,
        &[("corpus", "corpus")],
        params,
    )
}

fn sft(rate: f64) -> StageFacts {
    let params = json!({
        "max_length": 64, "per_device_train_batch_size": 2, "learning_rate": rate
    });
    stage("sft", StageKind::Sft, &[("dataset", "sft")], params)
}

fn evaluation(name: &str, model: &StageFacts, stop: &[&str]) -> StageFacts {
    let params = json!({"prompts": 4, "gold": "rust-signature", "stop": stop});
    stage(
        name,
        StageKind::Evaluate,
        &[("dataset", "held out")],
        params,
    )
    .taking("model", model)
}

fn annotate(name: &str, policy: &StageFacts) -> StageFacts {
    let params = json!({"num_generations": 4, "labeller": "rule", "gold": "rust-signature", "max_new_tokens": 8});
    stage(name, StageKind::Annotate, &[("prompts", "prompts")], params).taking("policy", policy)
}

fn pretrain(tokenizer: &StageFacts) -> StageFacts {
    let params = json!({
        "model": begat_model(), "max_steps": 10, "max_length": 64,
        "per_device_train_batch_size": 2, "learning_rate": 1e-3
    });
    stage(
        "pretrain",
        StageKind::Pretrain,
        &[("corpus", "corpus")],
        params,
    )
    .taking("tokenizer", tokenizer)
}

fn begat_model() -> Value {
    json!({
        "model_type": "gpt2", "n_positions": 64, "n_embd": 16, "n_layer": 1, "n_head": 2
    })
}

/// tokenizer → pretrain → sft → annotate, with both models judged.
pub(super) fn gpt() -> LineageFacts {
    let tokenizer = tokenizer();
    let pretrain = pretrain(&tokenizer).measured(&[("num_tokens", 1000.0), ("loss", 3.0)]);
    let sft = sft(2e-3)
        .taking("model", &pretrain)
        .measured(&[("num_tokens", 300.0), ("loss", 2.0)]);
    let annotate = annotate("annotate", &sft);
    let judge_pretrain = evaluation("evaluate_pretrain", &pretrain, &[";"])
        .reporting(&[("gold_score", 0.1)], &[0.1; 4]);
    let judge_sft = evaluation("evaluate_sft", &sft, &[]).reporting(
        &[
            ("gold_score", 0.25),
            ("gold_score_low", 0.2),
            ("gold_score_high", 0.3),
        ],
        &[0.5, 0.25, 0.0, 0.25],
    );
    lineage(
        "gpt",
        vec![
            tokenizer,
            pretrain,
            judge_pretrain,
            sft,
            judge_sft,
            annotate,
        ],
    )
}

/// The same pretrained model, then annotate → sft on more, and annotate again.
pub(super) fn llama() -> LineageFacts {
    let tokenizer = tokenizer();
    let pretrain = pretrain(&tokenizer).measured(&[("num_tokens", 1000.0), ("loss", 3.0)]);
    let first = annotate("annotate", &pretrain);
    let sft = sft(1e-3)
        .taking("model", &pretrain)
        .taking("more", &first)
        .measured(&[("num_tokens", 500.0), ("loss", 1.5)]);
    let second = annotate("annotate_again", &sft);
    let judge_sft = evaluation("evaluate_tuned", &sft, &[]).reporting(
        &[
            ("gold_score", 0.375),
            ("gold_score_low", 0.3),
            ("gold_score_high", 0.45),
        ],
        &[0.5, 0.5, 0.25, 0.25],
    );
    lineage(
        "llama",
        vec![tokenizer, pretrain, first, sft, judge_sft, second],
    )
}
