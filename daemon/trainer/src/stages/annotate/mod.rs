//! `annotate`: preferences over a policy's own answers, by a named labeller.
//!
//! What a reward model or DPO learns from must be samples of the model in training: with preferences over other texts both
//! made the demo's model worse. The labeller is a rule, a reward model or a program; a rule is called a rule in every
//! row, figure and card, and never human feedback.

mod candidates;
mod card;
mod command;
mod judgements;
mod labels;
mod pairs;
mod rows;

use begat_schemas::{AnnotateParams, Labeller};

use super::report::{Findings, json_lines};
use super::sampling::{Drawn, How, Policy, Prompt, Prompts, Sample, Slice, draw};
use super::statistics::mean;
use super::{Context, gold};
use crate::contract::{OutputFolder, StageError, StageResult};
use candidates::{Candidates, distinct};
use labels::Labels;
use rows::Made;

pub(super) fn run(context: &Context<'_>, params: &AnnotateParams) -> StageResult<()> {
    let policy = Policy::load(context, "policy")?;
    let labeller = labels::Source::load(context, params, &policy)?;
    let drawn = draw(
        context,
        &policy,
        How::from(&params.sampling),
        Slice {
            prompts: Prompts {
                first: params.first_prompt,
                count: (params.prompts > 0).then_some(params.prompts),
                compared_by: params.gold.map(|_| "`gold`"),
            },
            num_generations: params.num_generations,
            longest: labeller.longest(),
        },
    )?;
    let candidates: Vec<Candidates> = drawn
        .prompts
        .iter()
        .zip(&drawn.samples)
        .map(|(prompt, samples)| distinct(prompt, samples, params.gold))
        .collect();
    let labels = labeller.label(&drawn.prompts, &candidates)?;
    let made = rows::make(context, params, &drawn.prompts, &candidates, &labels);
    if made.rows.is_empty() {
        let expected = format!(
            "no two answers to one prompt lie more than {} apart",
            params.min_gap
        );
        return Err(StageError::dataset("prompts", expected));
    }
    let mut findings = Findings::default();
    measure(&mut findings, params, &drawn, &candidates, &made);
    write(
        context,
        params,
        &drawn.prompts,
        &candidates,
        &labels,
        &made,
        &findings,
    )?;
    findings.write(context, drawn.steps, None)
}

/// What is said of the samples and of the rows.
fn measure(
    findings: &mut Findings,
    params: &AnnotateParams,
    drawn: &Drawn,
    candidates: &[Candidates],
    made: &Made,
) {
    drawn.measure(findings);
    if let Some(rule) = params.gold {
        let of_prompt = |(prompt, samples): (&Prompt, &Vec<Sample>)| {
            let score = |sample| gold::score(rule, prompt.reference.as_deref(), sample);
            samples.iter().filter_map(score).collect::<Vec<_>>()
        };
        let all: Vec<_> = drawn
            .prompts
            .iter()
            .zip(&drawn.samples)
            .flat_map(of_prompt)
            .collect();
        findings.put("gold_score", mean(all.iter().map(|gold| gold.score)));
        findings.put(
            "parses",
            mean(all.iter().map(|gold| f64::from(u8::from(gold.parses)))),
        );
    }
    let distinct: usize = candidates.iter().map(Vec::len).sum();
    findings.count("samples_distinct", distinct as u64);
    made.measure(findings, params.labeller != Labeller::Rule);
}

fn write(
    context: &Context<'_>,
    params: &AnnotateParams,
    prompts: &[Prompt],
    candidates: &[Candidates],
    labels: &Labels,
    made: &Made,
    findings: &Findings,
) -> StageResult<()> {
    if params.labeller == Labeller::Command {
        let output = OutputFolder::begin(context.work, "judgements")?;
        let said = judgements::lines(prompts, candidates, labels);
        output.write("train.jsonl", &json_lines(&output, &said)?)?;
        output.publish()?;
    }
    let output = OutputFolder::begin(context.work, "dataset")?;
    output.write("train.jsonl", &json_lines(&output, &made.rows)?)?;
    output.write(
        "README.md",
        card::card(context, params, findings).as_bytes(),
    )?;
    output.publish()
}
