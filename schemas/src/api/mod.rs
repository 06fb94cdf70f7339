//! What the HTTP API takes and gives. `begat --json` prints the same shapes.

mod compare;
mod data;
mod generate;
mod launch;
mod lineage;
mod problem;
mod prometheus;
mod refs;
mod reproduce;
mod run;
mod store;
mod tool;
mod usage;

pub use compare::{
    ComparedAnswer, ComparedCosts, ComparedFinals, ComparedLineage, ComparedSample, ComparedStage,
    Comparison, Cost, Duel, DuelSource, InputSource, Interval, Judge, KeyDifference,
    MetricComparison, Parting, Relation, StageCell, StageDifference,
};
pub use data::{DataProblem, DataPurpose, DataReport};
pub use generate::{GenerateEvent, GenerateRequest, Message};
pub use launch::{
    LaunchRequest, LaunchState, LaunchView, Plan, PlanAction, PlanDifference, PlannedStage,
    Producer, StageState, StageView,
};
pub use lineage::{Lineage, LineageEdge, LineageNode, LineageNodeKind};
pub use problem::Problem;
pub use prometheus::PrometheusTargets;
pub use refs::{Candidate, CandidateKind, RefChange, RefPut, RefView, Resolution};
pub use reproduce::{
    FileVerdict, OutputVerdict, ReproduceRequest, ReproduceState, ReproduceView, RunVerdict,
    TensorVerdict,
};
pub use run::{AttemptView, InputView, LogChunk, MetricsView, RunDetail, RunView, StreamEvent};
pub use store::{
    DiskUsage, FsckReport, FsckRequest, GcReport, GcRequest, Missing, ObjectFault, TreeAdded,
    UsageEntry, Version,
};
pub use tool::{CheckedOut, Completion, Completions, DemoData, DemoDataset, DemoFile, RunRemoved};
pub use usage::{Footprint, ListUsage, Usage, UsageRequest};
