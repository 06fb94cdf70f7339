//! Small datasets, and work folders for each kind of stage.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use begat_schemas::{Event, EventBody, StageKind, StageParams};
use begat_trainer::stages::{Hooks, run};
use begat_trainer::{Device, Model};
use serde_json::{Value, json};

/// A folder with datasets and the results of stages.
pub struct Fixture {
    folder: tempfile::TempDir,
}

/// A stage: its kind, its parameters and its inputs.
#[derive(Clone)]
pub struct Stage {
    pub kind: &'static str,
    pub params: Value,
    pub inputs: Vec<(&'static str, PathBuf)>,
    pub execution: Value,
}

pub const ARCHITECTURES: [&str; 2] = ["gpt2", "llama"];

impl Fixture {
    pub fn new() -> Self {
        let fixture = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fixture.dataset(
            "corpus",
            "train",
            (0..60).map(|i| json!({"text": document(i)})),
        );
        fixture.dataset(
            "corpus",
            "validation",
            (60..70).map(|i| json!({"text": document(i)})),
        );
        let pair = |i: usize| json!({"prompt": format!("/// {}\npub fn", sentence(i)), "completion": format!(" {}", signature(i))});
        fixture.dataset("pairs", "train", (0..45).map(pair));
        fixture.dataset("pairs", "validation", (45..55).map(pair));
        fixture.dataset("heldout", "test", (55..75).map(pair));
        fixture
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn dataset(&self, name: &str, split: &str, rows: impl Iterator<Item = Value>) -> PathBuf {
        let folder = self.path(name);
        fs::create_dir_all(&folder).unwrap();
        let text: String = rows.map(|row| format!("{row}\n")).collect();
        fs::write(folder.join(format!("{split}.jsonl")), text).unwrap();
        folder
    }

    /// A tokenizer, made on the first call.
    pub fn tokenizer(&self) -> PathBuf {
        let work = self.path("tokenizer-work");
        let output = work.join("outputs/tokenizer");
        if !output.exists() {
            succeed(&work, &self.tokenizer_stage());
        }
        output
    }

    /// A pretrained model, made on the first call.
    pub fn model(&self, architecture: &str) -> PathBuf {
        let work = self.path(&format!("model-{architecture}"));
        let output = work.join("outputs/model");
        if !output.exists() {
            succeed(&work, &self.pretrain(architecture));
        }
        output
    }

    pub fn tokenizer_stage(&self) -> Stage {
        Stage {
            kind: "tokenizer",
            params: json!({"vocab_size": 300}),
            inputs: vec![("corpus", self.path("corpus"))],
            execution: json!({}),
        }
    }

    pub fn pretrain(&self, architecture: &str) -> Stage {
        Stage {
            kind: "pretrain",
            params: json!({
                "model": shape(architecture), "max_steps": 12, "max_length": 32, "learning_rate": 4e-3,
                "weight_decay": 0.1, "warmup_ratio": 0.1, "per_device_train_batch_size": 3,
                "gradient_accumulation_steps": 2,
            }),
            inputs: vec![
                ("corpus", self.path("corpus")),
                ("tokenizer", self.tokenizer()),
            ],
            execution: json!({"save_steps": 2, "eval_steps": 5}),
        }
    }

    pub fn sft(&self, architecture: &str) -> Stage {
        Stage {
            kind: "sft",
            params: json!({
                "num_train_epochs": 2, "max_length": 60, "group_by_length": true, "learning_rate": 2e-3,
                "per_device_train_batch_size": 8,
            }),
            inputs: vec![
                ("model", self.model(architecture)),
                ("dataset", self.path("pairs")),
            ],
            execution: json!({"save_steps": 3, "sample_steps": 5}),
        }
    }

    /// A reward model over the pretrained one, with a fresh score head and a shift and scale of its own.
    pub fn reward_model(&self, architecture: &str) -> PathBuf {
        let model = self.model(architecture);
        let folder = self.path(&format!("reward-model-{architecture}"));
        if !folder.exists() {
            fs::create_dir_all(&folder).unwrap();
            let scored = Model::load(&model, Device::Cpu).unwrap();
            scored.into_score_model(5).unwrap().save(&folder).unwrap();
            for name in ["tokenizer.json", "tokenizer_config.json"] {
                fs::copy(model.join(name), folder.join(name)).unwrap();
            }
            let normalization = json!({"mean": 0.25, "std": 0.5}).to_string();
            fs::write(folder.join("reward_normalization.json"), normalization).unwrap();
        }
        folder
    }

    pub fn ppo(&self, architecture: &str) -> Stage {
        Stage {
            kind: "ppo",
            params: json!({
                "total_episodes": 32, "rollout_batch_size": 8, "num_ppo_epochs": 2, "learning_rate": 2e-3,
                "value_learning_rate": 4e-3, "lr_scheduler_type": "linear",
                "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "response_length": 10,
                "value_only_rollouts": 1, "adaptive_kl": {"target": 0.5, "horizon": 200}, "kl_coef": 0.1,
                "missing_eos_penalty": 1.0, "reward_clip": 3.0,
            }),
            inputs: vec![
                ("policy", self.model(architecture)),
                ("reward_model", self.reward_model(architecture)),
                ("prompts", self.path("pairs")),
            ],
            execution: json!({"save_steps": 1, "sample_steps": 2}),
        }
    }

    pub fn evaluate(&self, architecture: &str) -> Stage {
        Stage {
            kind: "evaluate",
            params: json!({
                "prompts": 9, "max_new_tokens": 12, "max_length": 60, "stop": [";", "{"], "gold": "rust-signature",
                "per_device_eval_batch_size": 4,
            }),
            inputs: vec![
                ("model", self.model(architecture)),
                ("dataset", self.path("heldout")),
            ],
            execution: json!({}),
        }
    }
}

fn shape(architecture: &str) -> Value {
    match architecture {
        "gpt2" => {
            json!({"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2, "n_inner": 64, "n_positions": 96})
        }
        _ => json!({
            "model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "intermediate_size": 64, "max_position_embeddings": 96,
        }),
    }
}

const NOUNS: [&str; 7] = [
    "value", "name", "length", "buffer", "index", "token", "state",
];
const VERBS: [&str; 5] = ["get", "set", "push", "clear", "take"];

fn sentence(i: usize) -> String {
    format!("Will {} the {} of {}.", VERBS[i * 3 % 5], NOUNS[i % 7], i)
}

fn signature(i: usize) -> String {
    format!(
        "{}_{}(&self, {}: usize) -> usize",
        VERBS[i * 3 % 5],
        NOUNS[i % 7],
        NOUNS[i * 5 % 7]
    )
}

fn document(i: usize) -> String {
    let item = |i| format!("/// {}\npub fn {};\n", sentence(i), signature(i));
    (i..i + 4).map(item).collect()
}

/// Prepares a work folder as the daemon does.
pub fn prepare(work: &Path, stage: &Stage, resume_from: Option<u64>) {
    fs::create_dir_all(work.join("inputs")).unwrap();
    let mut inputs = BTreeMap::new();
    for (name, path) in &stage.inputs {
        let link = work.join("inputs").join(name);
        if fs::symlink_metadata(&link).is_err() {
            std::os::unix::fs::symlink(path, &link).unwrap();
        }
        inputs.insert(
            *name,
            begat_schemas::TreeDigest::of(name.as_bytes()).to_string(),
        );
    }
    let mut job = json!({
        "contract": 1, "attempt": format!("{}.1", "0".repeat(64)), "recipe": "test", "stage": stage.kind,
        "derivation": {
            "format": "begat-derivation-1", "kind": stage.kind, "revision": 1, "params": stage.params,
            "inputs": inputs, "seed": 7,
        },
        "execution": stage.execution, "outputs": outputs(stage), "resume_from": resume_from,
    });
    if StageKind::from_name(stage.kind).is_some_and(|kind| !kind.spec().seeded) {
        job["derivation"].as_object_mut().unwrap().remove("seed");
    }
    fs::write(work.join("job.json"), job.to_string()).unwrap();
}

/// The outputs that a stage promises; one with parameters that cannot be promises a model.
fn outputs(stage: &Stage) -> Value {
    let kind = StageKind::from_name(stage.kind).unwrap();
    let outputs = StageParams::from_value(kind, &stage.params).map(|params| params.outputs());
    match outputs {
        Ok(outputs) => outputs
            .iter()
            .map(|(name, artifact)| json!({"name": name, "type": artifact}))
            .collect(),
        Err(_) => json!([{"name": "model", "type": "model"}]),
    }
}

/// Runs the stage to its end and gives its output.
pub fn succeed(work: &Path, stage: &Stage) -> Tree {
    prepare(work, stage, None);
    assert_eq!(run(work, &Hooks::default()), 0, "{}", journal_text(work));
    tree(&work.join("outputs"))
}

/// Runs a stage that must fail and gives the reason.
pub fn fail(work: &Path, stage: &Stage) -> (String, Option<u64>) {
    prepare(work, stage, None);
    assert_eq!(run(work, &Hooks::default()), 1, "{}", journal_text(work));
    match events(work).pop().unwrap().body {
        EventBody::Failed { reason, step } => (reason, step),
        other => panic!("{other:?}"),
    }
}

pub type Tree = BTreeMap<String, Vec<u8>>;

/// All files below a folder.
pub fn tree(folder: &Path) -> Tree {
    let mut files = Tree::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(folder).unwrap().to_string_lossy();
            files.insert(name.into_owned(), fs::read(entry.path()).unwrap());
        }
    }
    files
}

/// Compares file by file, so that a difference is named and not printed.
pub fn assert_same(one: &Tree, other: &Tree) {
    assert!(!one.is_empty());
    assert_eq!(
        one.keys().collect::<Vec<_>>(),
        other.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in one {
        assert!(other[name] == *bytes, "{name} differs");
    }
}

pub fn journal_text(work: &Path) -> String {
    fs::read_to_string(work.join("journal.jsonl")).unwrap()
}

/// The journal, whose numbers must have no gap.
pub fn events(work: &Path) -> Vec<Event> {
    let text = journal_text(work);
    let events: Vec<Event> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.seq, index as u64 + 1);
    }
    events
}

/// Each step's fingerprint, as a reader of the journal sees it who drops what a resume made void.
pub fn fingerprints(work: &Path) -> BTreeMap<u64, String> {
    let mut found = BTreeMap::new();
    for event in events(work) {
        match event.body {
            EventBody::Resumed { from_step } => found.retain(|step, _| *step <= from_step),
            EventBody::Metrics {
                step,
                fingerprint: Some(fingerprint),
                ..
            } => {
                assert!(
                    found.insert(step, fingerprint).is_none(),
                    "step {step} twice"
                );
            }
            _ => {}
        }
    }
    found
}

/// The steps of the checkpoints that lie there.
pub fn checkpoints(work: &Path) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(work.join("checkpoints")) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut steps: Vec<u64> = names.filter_map(|name| name.parse().ok()).collect();
    steps.sort_unstable();
    steps
}
