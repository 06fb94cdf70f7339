use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, RefName, RunState};

/// Who begat whom, from some object upwards to everything it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lineage {
    /// The object asked for; one of the nodes.
    pub root: Digest,
    /// Runs and trees.
    pub nodes: Vec<LineageNode>,
    /// What consumed and produced what.
    pub edges: Vec<LineageEdge>,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineageNodeKind {
    /// A run.
    Run,
    /// A tree.
    Tree,
}

/// A run or a tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LineageNode {
    /// The run's id or the tree's digest.
    pub id: Digest,
    /// Which of the two it is.
    pub kind: LineageNodeKind,
    /// A stage's `recipe/stage`, or what a tree is known by.
    pub label: String,
    /// Refs that point at a tree.
    pub refs: Vec<RefName>,
    /// How a run stands.
    pub state: Option<RunState>,
}

/// An arrow from what was there first to what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineageEdge {
    /// The tree consumed, or the run that produced.
    pub from: Digest,
    /// The run that consumed, or the tree produced.
    pub to: Digest,
    /// The input's or output's name.
    pub name: String,
}
