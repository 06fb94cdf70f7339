use begat_client::{Client, Target};
use begat_schemas::api::{Candidate, CandidateKind};
use begat_schemas::{Digest, REPORT_METRICS, Report, Tree, TreeDigest};
use clap::Args;

use super::launch::last_values;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render;

/// Show a run, launch, recipe, ref or tree with all that is known of it
#[derive(Debug, Args)]
pub struct Arguments {
    /// A ref, a recipe, or a digest or its first digits
    name: String,
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let client = context.client().await?;
        let target = client.target(&self.name).await?;
        match (target.kind, target.digest) {
            (CandidateKind::Run | CandidateKind::Attempt, _) => run(context, &client, &target).await?,
            (CandidateKind::Launch | CandidateKind::Recipe, _) => {
                launch(context, &client, &target).await?;
            }
            (CandidateKind::Tree | CandidateKind::Ref, Some(digest)) => {
                tree(context, &client, digest).await?;
            }
            _ => context.print(&candidate(&target), |_| format!("blob {}\n", target.id))?,
        }
        Ok(ExitCode::Success)
    }
}

fn candidate(target: &Target) -> Candidate {
    Candidate {
        kind: target.kind,
        id: target.id.clone(),
        digest: target.digest,
        label: target.label.clone(),
    }
}

async fn run(context: &Context, client: &Client, target: &Target) -> Result<(), Failure> {
    let run = client.run(&target.id).await?;
    context.print(&run, |run| render::run(run, super::look(context)))
}

async fn launch(context: &Context, client: &Client, target: &Target) -> Result<(), Failure> {
    let view = client.launch_view(&target.id).await?;
    if context.settings.json {
        return context.print_json(&view);
    }
    let metrics = last_values(client, &view).await?;
    context.print(&view, |view| render::launch(view, &metrics, super::look(context)))
}

async fn tree(context: &Context, client: &Client, digest: Digest) -> Result<(), Failure> {
    let digest = TreeDigest::from(digest);
    let tree = client.tree(digest).await?;
    if context.settings.json {
        return context.print_json(&tree);
    }
    let refs = client.refs().await?;
    let names: Vec<String> = refs
        .iter()
        .filter(|one| one.tree == digest)
        .map(|one| one.name.to_string())
        .collect();
    let report = report(client, &tree).await?;
    let look = super::look(context);
    context.print(&tree, |tree| {
        let report = report.map_or(String::new(), |report| render::report(&report, look));
        render::tree_listing(digest, &names, tree, look) + &report
    })
}

/// What the tree says as a report, if it is one.
async fn report(client: &Client, tree: &Tree) -> Result<Option<Report>, Failure> {
    let bytes = client.small_file(tree, REPORT_METRICS).await?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}
