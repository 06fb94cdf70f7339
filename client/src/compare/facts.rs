//! What is known of a lineage before it is compared.

use std::collections::BTreeMap;

use begat_schemas::api::{CandidateKind, InputSource, RunDetail, StageState};
use begat_schemas::{
    ArtifactType, Derivation, OutputName, RecipeName, Report, ReportSample, RunId, StageKind,
    TreeDigest,
};

use super::TOKENS;

/// A lineage: the stages that lead to something, in order.
#[derive(Debug, Clone)]
pub(super) struct LineageFacts {
    pub name: String,
    pub kind: CandidateKind,
    pub id: String,
    pub recipe: Option<RecipeName>,
    pub stages: Vec<StageFacts>,
    /// Its last model.
    pub checkpoint: Option<TreeDigest>,
}

/// A stage of a lineage.
#[derive(Debug, Clone)]
pub(super) struct StageFacts {
    pub name: String,
    pub kind: StageKind,
    pub state: StageState,
    pub run: Option<RunId>,
    pub outputs: BTreeMap<OutputName, TreeDigest>,
    /// Its run, once it is known.
    pub detail: Option<RunDetail>,
    /// Of an evaluation that has succeeded, what it found.
    pub report: Option<ReportFacts>,
}

/// What an evaluation found.
#[derive(Debug, Clone)]
pub(super) struct ReportFacts {
    pub report: Report,
    pub samples: Vec<ReportSample>,
}

impl LineageFacts {
    /// The stage that made a tree.
    pub(super) fn maker(&self, tree: TreeDigest) -> Option<usize> {
        let made = |stage: &StageFacts| stage.outputs.values().any(|output| *output == tree);
        self.stages.iter().position(made)
    }

    /// The model that the last stage that makes one made.
    pub(super) fn last_model(&self) -> Option<TreeDigest> {
        self.stages.iter().rev().find_map(StageFacts::model)
    }

    /// Every tree that its stages made.
    pub(super) fn outputs(&self) -> impl Iterator<Item = TreeDigest> + '_ {
        let outputs = self.stages.iter().map(|stage| stage.outputs.values());
        outputs.flatten().copied()
    }

    /// What made a tree that one of its stages took.
    pub(super) fn source(&self, stage: &StageFacts, input: &str) -> Option<InputSource> {
        let detail = stage.detail.as_ref()?;
        let (_, view) = detail
            .inputs
            .iter()
            .find(|(name, _)| name.as_str() == input)?;
        let maker = self.maker(view.tree).map(|at| &self.stages[at]);
        Some(InputSource {
            stage: maker.map(|maker| maker.name.clone()),
            run: maker.and_then(|maker| maker.run).or(view.producer),
            name: view.refs.first().map(ToString::to_string),
        })
    }
}

impl StageFacts {
    pub(super) fn is_evaluation(&self) -> bool {
        self.kind == StageKind::Evaluate
    }

    pub(super) fn derivation(&self) -> Option<&Derivation> {
        self.detail.as_ref().map(|detail| &detail.derivation)
    }

    /// The tree it took as its input `name`.
    pub(super) fn input(&self, name: &str) -> Option<TreeDigest> {
        let inputs = &self.derivation()?.inputs;
        let found = inputs.iter().find(|(input, _)| input.as_str() == name);
        found.map(|(_, tree)| *tree)
    }

    /// Its main output, if that is a language model.
    pub(super) fn model(&self) -> Option<TreeDigest> {
        let params = self.derivation()?.stage_params().ok()?;
        let (main, artifact) = params.outputs().into_iter().next()?;
        let tree = self.outputs.get(&main).copied();
        tree.filter(|_| artifact == ArtifactType::Model)
    }

    pub(super) fn tokens(&self) -> Option<u64> {
        let tokens = self.detail.as_ref()?.view.metrics.get(TOKENS)?.0;
        (tokens.is_finite() && tokens >= 0.0).then_some(tokens as u64)
    }

    pub(super) fn seconds(&self) -> Option<f64> {
        self.detail.as_ref()?.view.seconds
    }
}
