//! The stage contract: what lies in a work folder, and what is written there.
//!
//! The server prepares the folder and reads what appears in it; the stage, any program in any language, writes. Neither
//! needs the other to be alive.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ArtifactType, AttemptId, Derivation, Digest, Execution, OutputName, RecipeName, StageName, Time,
};

/// The version of the contract that this begat speaks.
pub const CONTRACT: u32 = 1;

/// The environment variable that names the work folder to a stage.
pub const WORK_VARIABLE: &str = "BEGAT_WORK";

/// What the files and folders of a work folder are called.
pub mod layout {
    /// The [`super::Job`].
    pub const JOB: &str = "job.json";
    /// Folder of the input trees, by name; read-only.
    pub const INPUTS: &str = "inputs";
    /// Folder of what the stage produces, by name.
    pub const OUTPUTS: &str = "outputs";
    /// Folder of resumable states, by step. One appears by an atomic rename.
    pub const CHECKPOINTS: &str = "checkpoints";
    /// The [`super::Event`]s, one JSON object a line, appended by the stage.
    pub const JOURNAL: &str = "journal.jsonl";
    /// What the stage wrote to its standard error and output.
    pub const STDERR: &str = "stderr.log";
    /// The [`super::Exit`], written by the stage's parent.
    pub const EXIT: &str = "exit.json";
    /// In a checkpoint: the folder that holds the model as `transformers` would load it.
    pub const CHECKPOINT_MODEL: &str = "model";
}

/// What a stage is to do: `job.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Job {
    /// The version of the contract.
    pub contract: u32,
    /// The attempt that this is.
    pub attempt: AttemptId,
    /// The recipe's name, for people.
    pub recipe: RecipeName,
    /// The stage's name, for people.
    pub stage: StageName,
    /// What determines the result.
    pub derivation: Derivation,
    /// How the work is to be done.
    pub execution: Execution,
    /// The outputs it owes, the main one first.
    pub outputs: Vec<PromisedOutput>,
    /// The step whose checkpoint to go on from, below `checkpoints/`.
    #[serde(default)]
    pub resume_from: Option<u64>,
}

/// An output that a stage owes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromisedOutput {
    /// Its name, and that of its folder below `outputs/`.
    pub name: OutputName,
    /// What it is to be.
    #[serde(rename = "type")]
    pub artifact: ArtifactType,
}

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Counts the attempt's lines from 1, without gaps, across resumes.
    pub seq: u64,
    /// When it was written.
    pub time: Time,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What a stage reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventBody {
    /// The stage began.
    Started {
        /// The contract it keeps.
        contract: u32,
        /// What else can move a bit.
        #[serde(default)]
        execution_class: ExecutionClass,
    },
    /// The stage went on from a checkpoint; earlier events with a later step are void.
    Resumed {
        /// The checkpoint's step.
        from_step: u64,
    },
    /// How far it is.
    Progress {
        /// Steps done.
        step: u64,
        /// Steps planned.
        of: u64,
        /// Tokens consumed so far.
        #[serde(default)]
        tokens: u64,
        /// Samples consumed so far.
        #[serde(default)]
        samples: u64,
    },
    /// What was measured in a step.
    Metrics {
        /// The step, from 1.
        step: u64,
        /// Values by name.
        values: BTreeMap<String, Metric>,
        /// The bits of the step's loss and gradient norm, 16 hex digits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
    },
    /// A resumable state lies below `checkpoints/`.
    Checkpoint {
        /// Its step.
        step: u64,
        /// The digest of the model's parameters at that step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parameters: Option<Digest>,
    },
    /// A completion sampled on the way.
    Sample {
        /// The step.
        step: u64,
        /// What was given.
        prompt: String,
        /// What came.
        completion: String,
        /// Its score, if the stage has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        score: Option<f64>,
    },
    /// Something worth a line.
    Log {
        /// `info`, `warn` or `error`.
        level: String,
        /// The line.
        message: String,
    },
    /// The outputs are complete.
    Finished {
        /// What lies below `outputs/`.
        outputs: Vec<PromisedOutput>,
    },
    /// The stage gave up.
    Failed {
        /// Why, in a sentence.
        reason: String,
        /// The step at which it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<u64>,
    },
}

impl EventBody {
    /// The step that the event belongs to, if it belongs to one.
    pub fn step(&self) -> Option<u64> {
        match self {
            Self::Progress { step, .. }
            | Self::Metrics { step, .. }
            | Self::Checkpoint { step, .. }
            | Self::Sample { step, .. } => Some(*step),
            _ => None,
        }
    }
}

/// Phases of a stage's work. A metric `seconds/PHASE` says how many seconds went there since the one before.
pub const PHASES: [&str; 6] = [
    "data",
    "forward_backward",
    "optimizer",
    "rollout",
    "scoring",
    "checkpoint",
];

/// The phase whose seconds the metric `name` counts.
pub fn phase_of(name: &str) -> Option<&'static str> {
    let phase = name.strip_prefix("seconds/")?;
    PHASES.into_iter().find(|known| *known == phase)
}

/// A measured value. JSON has no NaN and no infinities, so those are texts.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema)]
#[schemars(with = "MetricForm")]
pub struct Metric(pub f64);

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Metric")]
enum MetricForm {
    /// A finite value.
    Number(f64),
    /// One that JSON's numbers cannot be.
    Word(NotFinite),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
enum NotFinite {
    #[serde(rename = "NaN")]
    Nan,
    #[serde(rename = "Infinity")]
    Infinity,
    #[serde(rename = "-Infinity")]
    MinusInfinity,
}

impl Serialize for Metric {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_finite() => MetricForm::Number(value),
            value if value.is_nan() => MetricForm::Word(NotFinite::Nan),
            value if value > 0.0 => MetricForm::Word(NotFinite::Infinity),
            _ => MetricForm::Word(NotFinite::MinusInfinity),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match MetricForm::deserialize(deserializer)? {
            MetricForm::Number(value) => value,
            MetricForm::Word(NotFinite::Nan) => f64::NAN,
            MetricForm::Word(NotFinite::Infinity) => f64::INFINITY,
            MetricForm::Word(NotFinite::MinusInfinity) => f64::NEG_INFINITY,
        }))
    }
}

/// What else than the derivation can move a bit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExecutionClass {
    /// BLAKE3 over the output bits of the probe operations; equal ones let one expect equal bits.
    pub numerics: Option<Digest>,
    /// Per probe operation, the first digits of its own digest, so that a differing one can be named.
    pub probes: BTreeMap<String, String>,
    /// Facts such as `libtorch`, `device`, `processor`, `threads`, `interpreter`, `git_commit`.
    pub facts: BTreeMap<String, Value>,
}

/// How a stage ended: `exit.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exit {
    /// The version of the contract.
    pub contract: u32,
    /// The exit status, if it exited.
    pub status: Option<i32>,
    /// The signal, if one ended it.
    pub signal: Option<i32>,
    /// Its peak resident memory, in bytes.
    pub peak_memory_bytes: u64,
    /// Whether the kernel's out-of-memory killer ended it.
    pub oom_killed: bool,
    /// Why it could not even be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spawn_error: Option<String>,
    /// Processor time, user and system, in milliseconds.
    pub cpu_milliseconds: u64,
    /// When it began.
    pub started: Time,
    /// When it ended.
    pub ended: Time,
}

/// What `metrics.json` of a report holds: values by name, and the rows they were measured on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The version of this form.
    pub format: ReportFormat,
    /// Values by name, such as `eval_loss` and `gold_score`.
    pub metrics: BTreeMap<String, Metric>,
    /// Numbers of rows by what was measured on them.
    pub counts: BTreeMap<String, u64>,
}

/// The format tag of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReportFormat {
    /// The first and only version.
    #[serde(rename = "begat-report-1")]
    Version1,
}

/// One line of a report's `samples.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportSample {
    /// What was given.
    pub prompt: String,
    /// What the dataset holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What was sampled.
    pub completion: String,
    /// Whether the model ended it by itself.
    pub ended: bool,
    /// What was completed greedily.
    pub greedy: String,
    /// The sampled completion's score by the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gold_score: Option<f64>,
    /// The sampled completion's score by the reward model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<f64>,
    /// What the reference model sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_completion: Option<String>,
    /// That one's score by the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_gold_score: Option<f64>,
    /// That one's score by the reward model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_reward: Option<f64>,
}

/// The report's file of values, in canonical JSON.
pub const REPORT_METRICS: &str = "metrics.json";

/// The report's file of completions, one [`ReportSample`] a line.
pub const REPORT_SAMPLES: &str = "samples.jsonl";
