//! What two stages of one recipe must agree on, so that a launch says so and not the second stage, hours later.

use super::{BadRecipe, InputRef, Stage};
use crate::StageName;
use crate::stages::{DpoParams, ReferenceLogpsParams, StageParams};

/// A `dpo` stage that takes the log-probabilities of a `reference_logps` stage must measure sequences as that one did,
/// and train on the same rows from the same reference.
pub(super) fn check(stage: &Stage, stages: &[Stage]) -> Result<(), BadRecipe> {
    let StageParams::Dpo(dpo) = &stage.params else {
        return Ok(());
    };
    let Some((other, logps)) = source_of_logps(stage, stages) else {
        return Ok(());
    };
    if let Some((key, expected, found)) = differing_parameter(dpo, logps) {
        return Err(BadRecipe::new(
            format!("stages.{}.{key}", stage.name),
            format!(
                "expected {expected}, as in `@{}`, found {found}",
                other.name
            ),
        ));
    }
    let reference = ["reference", "model"]
        .into_iter()
        .find(|name| stage.inputs.contains_key(*name));
    for (own, its) in [
        ("dataset", "dataset"),
        (reference.unwrap_or("model"), "model"),
    ] {
        let (Some(found), Some(expected)) = (stage.inputs.get(own), other.inputs.get(its)) else {
            continue;
        };
        if of_different_stages(found, expected) {
            return Err(BadRecipe::new(
                format!("stages.{}.inputs.{own}", stage.name),
                format!(
                    "expected {expected}, as the `{its}` of `@{}`, found {found}",
                    other.name
                ),
            ));
        }
    }
    Ok(())
}

fn source_of_logps<'a>(
    stage: &Stage,
    stages: &'a [Stage],
) -> Option<(&'a Stage, &'a ReferenceLogpsParams)> {
    let name = stage_of(stage.inputs.get("reference_logps")?)?;
    let other = stages.iter().find(|other| other.name == *name)?;
    match &other.params {
        StageParams::ReferenceLogps(params) => Some((other, params)),
        _ => None,
    }
}

fn differing_parameter(
    dpo: &DpoParams,
    logps: &ReferenceLogpsParams,
) -> Option<(&'static str, String, String)> {
    let pairs = [
        (
            "max_length",
            logps.max_length.to_string(),
            dpo.max_length.to_string(),
        ),
        (
            "truncate_prompt",
            logps.truncate_prompt.to_string(),
            dpo.truncate_prompt.to_string(),
        ),
        (
            "mask_format_tokens",
            logps.mask_format_tokens.to_string(),
            dpo.mask_format_tokens.to_string(),
        ),
        (
            "dtype",
            logps.dtype.to_string(),
            dpo.optimization.dtype.to_string(),
        ),
    ];
    pairs
        .into_iter()
        .find(|(_, expected, found)| expected != found)
}

/// Two names may mean one tree; two stages' outputs hardly ever are one.
fn of_different_stages(one: &InputRef, other: &InputRef) -> bool {
    match (stage_of(one), stage_of(other)) {
        (Some(one), Some(other)) => one != other,
        _ => false,
    }
}

fn stage_of(input: &InputRef) -> Option<&StageName> {
    match input {
        InputRef::Stage { stage, .. } => Some(stage),
        InputRef::Name(_) => None,
    }
}
