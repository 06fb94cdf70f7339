//! Asks a daemon for what is known of lineages.

use std::collections::BTreeSet;

use begat_schemas::api::{
    CandidateKind, Comparison, LaunchView, RunDetail, StageState, UsageRequest,
};
use begat_schemas::{
    Digest, REPORT_METRICS, REPORT_SAMPLES, ReportSample, RunId, RunState, StageKind, TreeDigest,
};

use super::CompareQuery;
use super::ancestry::runs_in_order;
use super::facts::{LineageFacts, ReportFacts, StageFacts};
use crate::api::{ApiError, Client, RunQuery, Target};

impl Client {
    /// Lineages side by side: what they share, where they part and why, what each cost, how good each got.
    pub async fn compare(&self, query: &CompareQuery) -> Result<Comparison, ApiError> {
        let mut lineages = Vec::new();
        for name in &query.names {
            lineages.push(gather(self, name).await?);
        }
        let others = other_evaluations(self, &lineages).await?;
        let outputs = |lineage: &LineageFacts| -> Vec<TreeDigest> {
            let distinct: BTreeSet<TreeDigest> = lineage.outputs().collect();
            distinct.into_iter().collect()
        };
        let request = UsageRequest {
            lists: lineages.iter().map(outputs).collect(),
        };
        let usage = self.usage(&request).await?;
        Ok(super::compare(&lineages, &others, &usage, query.samples))
    }
}

async fn gather(client: &Client, name: &str) -> Result<LineageFacts, ApiError> {
    let target = client.target(name).await?;
    let mut lineage = LineageFacts {
        name: name.to_owned(),
        kind: target.kind,
        id: target.id.clone(),
        recipe: None,
        stages: Vec::new(),
        checkpoint: None,
    };
    match (target.kind, target.digest) {
        (CandidateKind::Launch | CandidateKind::Recipe, _) => {
            let view = client.launch_view(&target.id).await?;
            lineage.stages = stages_of_launch(client, &view).await?;
            lineage.id = view.launch.to_string();
            lineage.recipe = Some(view.recipe);
        }
        (CandidateKind::Tree | CandidateKind::Ref, Some(digest)) => {
            lineage.stages = ancestry(client, digest).await?;
            // A model that was added from outside has no stage, but may have been judged.
            let tree = TreeDigest::new(digest);
            hang_evaluations(client, &mut lineage.stages, None, tree).await?;
            lineage.checkpoint = Some(tree);
        }
        (CandidateKind::Run | CandidateKind::Attempt, Some(digest)) => {
            lineage.stages = ancestry(client, digest).await?;
        }
        _ => return Err(no_lineage(name, &target)),
    }
    lineage.checkpoint = lineage.last_model().or(lineage.checkpoint);
    Ok(lineage)
}

fn no_lineage(name: &str, target: &Target) -> ApiError {
    ApiError::WrongKind {
        name: name.to_owned(),
        found: target.kind_name(),
        expected: "a ref, a recipe, a launch, a run, or a tree",
    }
}

async fn stages_of_launch(client: &Client, view: &LaunchView) -> Result<Vec<StageFacts>, ApiError> {
    let mut stages = Vec::new();
    for stage in &view.stages {
        let detail = match stage.run {
            Some(run) => Some(client.run(&run.to_string()).await?),
            None => None,
        };
        let facts = StageFacts {
            name: stage.stage.to_string(),
            kind: stage.kind,
            state: stage.state,
            run: stage.run,
            outputs: stage.outputs.clone(),
            detail,
            report: None,
        };
        stages.push(with_report(client, facts).await?);
    }
    Ok(stages)
}

/// The runs that lead to a tree or run, and the evaluations that hang on what they made.
async fn ancestry(client: &Client, root: Digest) -> Result<Vec<StageFacts>, ApiError> {
    let lineage = client.lineage(&root.to_hex()).await?;
    let mut stages = Vec::new();
    for run in runs_in_order(&lineage) {
        let facts = stage_of_run(client, run).await?;
        stages.push(facts);
    }
    let mut at = 0;
    while at < stages.len() {
        at = match stages[at].model() {
            Some(model) => hang_evaluations(client, &mut stages, Some(at), model).await?,
            None => at + 1,
        };
    }
    Ok(stages)
}

/// Puts the evaluations of `model` that are not there yet behind the stage `maker`; where what follows them is.
async fn hang_evaluations(
    client: &Client,
    stages: &mut Vec<StageFacts>,
    maker: Option<usize>,
    model: TreeDigest,
) -> Result<usize, ApiError> {
    let mut place = maker.map_or(stages.len(), |at| at + 1);
    for detail in evaluations(client, model).await? {
        let run = detail.view.run;
        if stages.iter().all(|stage| stage.run != Some(run)) {
            let facts = with_report(client, facts_of(detail)).await?;
            stages.insert(place, facts);
            place += 1;
        }
    }
    Ok(place)
}

/// The evaluations of a model that have succeeded, oldest first.
async fn evaluations(client: &Client, model: TreeDigest) -> Result<Vec<RunDetail>, ApiError> {
    let query = RunQuery {
        state: Some(RunState::Succeeded),
        input: Some(model),
        ..RunQuery::default()
    };
    let mut found = Vec::new();
    for view in client.runs(&query).await?.into_iter().rev() {
        if view.kind != StageKind::Evaluate {
            continue;
        }
        let detail = client.run(&view.run.to_string()).await?;
        let judged = detail
            .inputs
            .iter()
            .find(|(name, _)| name.as_str() == "model");
        if judged.is_some_and(|(_, input)| input.tree == model) {
            found.push(detail);
        }
    }
    Ok(found)
}

/// Evaluations of the lineages' last models that belong to none of them: one against another, as a rule.
async fn other_evaluations(
    client: &Client,
    lineages: &[LineageFacts],
) -> Result<Vec<StageFacts>, ApiError> {
    let known = lineages.iter().flat_map(|lineage| &lineage.stages);
    let mut known: BTreeSet<RunId> = known.filter_map(|stage| stage.run).collect();
    let models: BTreeSet<TreeDigest> = lineages
        .iter()
        .filter_map(|lineage| lineage.checkpoint)
        .collect();
    let mut found = Vec::new();
    for model in models {
        for detail in evaluations(client, model).await? {
            if known.insert(detail.view.run) {
                found.push(with_report(client, facts_of(detail)).await?);
            }
        }
    }
    Ok(found)
}

async fn stage_of_run(client: &Client, run: RunId) -> Result<StageFacts, ApiError> {
    let detail = client.run(&run.to_string()).await?;
    with_report(client, facts_of(detail)).await
}

fn facts_of(detail: RunDetail) -> StageFacts {
    let view = &detail.view;
    let name = view.stage.as_ref().map(ToString::to_string);
    StageFacts {
        name: name.unwrap_or_else(|| view.kind.to_string()),
        kind: view.kind,
        state: StageState::from(view.state),
        run: Some(view.run),
        outputs: view.outputs.clone(),
        report: None,
        detail: Some(detail),
    }
}

/// Adds what an evaluation reports; a report that this begat cannot read counts as none.
async fn with_report(client: &Client, mut facts: StageFacts) -> Result<StageFacts, ApiError> {
    let report = facts
        .outputs
        .iter()
        .find(|(name, _)| name.as_str() == "report");
    if let Some((_, tree)) = report.filter(|_| facts.is_evaluation()) {
        let tree = client.tree(*tree).await?;
        let metrics = client.small_file(&tree, REPORT_METRICS).await?;
        let samples = client.small_file(&tree, REPORT_SAMPLES).await?;
        let report = metrics.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        facts.report = report.map(|report| ReportFacts {
            report,
            samples: read_samples(&samples.unwrap_or_default()),
        });
    }
    Ok(facts)
}

fn read_samples(bytes: &[u8]) -> Vec<ReportSample> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    lines
        .map(serde_json::from_slice)
        .collect::<Result<_, _>>()
        .unwrap_or_default()
}
