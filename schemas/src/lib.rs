//! Every type of begat that crosses a process or reaches a disk.
//!
//! One derive serves Rust, the JSON Schemas in `json/` and the OpenAPI document, so that they cannot drift apart.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod api;
mod attempt;
mod canonical;
mod derivation;
mod digest;
mod execution;
mod model;
mod names;
pub mod recipe;
pub mod schema;
mod stages;
mod strength;
mod time;
mod tree;
mod work;

pub use attempt::{AttemptId, LaunchId, Purpose, RunState};
pub use canonical::{CanonicalError, INTEGER_MAX, canonical_json};
pub use derivation::{Derivation, DerivationFormat, Difference};
pub use digest::{
    BlobDigest, ChunkId, Digest, DigestPrefix, NotADigest, PREFIX_DIGITS_MIN, PackId, RunId,
    SHORT_DIGITS, TreeDigest,
};
pub use execution::{Device, Execution, Keep, THREADS_MAX};
pub use model::{Gpt2Config, LlamaConfig, MODEL_SIZE_MAX, ModelConfig};
pub use names::{BadName, InputName, NAME_BYTES_MAX, OutputName, RecipeName, RefName, StageName};
pub use recipe::{InputRef, Recipe, Stage};
pub use stages::{
    AdaptiveKl, AnnotateParams, AnnotationForm, ArtifactType, AverageOf, BadValue, CommandParams,
    DpoParams, Dtype, EvaluateParams, GoldRule, InputSpec, KindSpec, KlEstimator, Labeller,
    ModelAverageParams, OptimizationParams, PpoParams, PretrainParams, ReferenceLogpsParams,
    RejectionSamplingParams, RewardMargin, RewardParams, SOURCE_INPUT, SamplingParams, Scheduler,
    SftParams, StageKind, StageParams, StrengthGaps, TokenizerParams, nearest,
};
pub use strength::{Strength, UnknownStrength};
pub use time::Time;
pub use tree::{BadTree, BadTreePath, TREE_PATH_BYTES_MAX, Tree, TreeEntry, TreeFormat, TreePath};
pub use work::{
    CONTRACT, Event, EventBody, ExecutionClass, Exit, Job, Metric, PHASES, PromisedOutput,
    REPORT_METRICS, REPORT_SAMPLES, Report, ReportFormat, ReportSample, WORK_VARIABLE, layout,
    phase_of,
};
