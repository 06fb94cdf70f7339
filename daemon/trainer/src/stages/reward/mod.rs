//! `reward`: a reward model from preferences or rankings, as InstructGPT and Llama 2 train theirs.

mod held_out;
mod source;

use std::sync::Arc;

use begat_schemas::{RewardMargin, RewardParams, Strength, api::DataPurpose};

use super::Context;
use super::preference::{Reading, at_row, check_filtered, is_wanted};
use super::scoring::{NORMALIZATION, Normalization, check_head, raw_scores};
use super::sft::{check_fit, start};
use super::training::{HeldOut, Plan, train};
use crate::contract::StageResult;
use crate::data::{Compared, ComparisonFile, Limits, SideFiles, TextTokenizer};
use crate::model::{Head, Model, ModelConfig};
use held_out::{HeldOutPairs, HeldOutSets, OF_INPUT, OF_SPLIT};
use source::Prompts;

pub(super) fn run(context: &Context<'_>, params: &RewardParams) -> StageResult<()> {
    super::refuse_dropout(&params.optimization)?;
    let folder = context.input("model")?;
    let config = ModelConfig::load(&folder)?;
    check_head("model", &config, Head::LanguageModel)?;
    let tokenizer = TextTokenizer::load(&folder)?;
    check_fit(&config, &tokenizer, params.max_length)?;
    warn_of_padding(context, &tokenizer);
    let reading = Reading {
        context,
        tokenizer: &tokenizer,
        purpose: DataPurpose::Reward,
        limits: Limits {
            max_length: params.max_length as usize,
            truncate_prompt: params.truncate_prompt,
        },
    };
    let file = reading.to_train("dataset")?;
    check_filtered(context, &file, params.strengths.as_ref())?;
    check_margins(&file, params)?;
    let demonstrations = demonstrations(reading)?;
    let files = files_beside(&tokenizer)?;
    let model = train(
        context,
        Plan {
            model: Box::new(|| {
                let model = start(context, &folder, &tokenizer)?;
                Ok(model.into_score_model(context.seed())?)
            }),
            source: Box::new(Prompts::new(file, params, context.random("order"))),
            held_out: held_out(reading, params)?,
            optimization: &params.optimization,
            tokenizer: &tokenizer,
            files: Arc::clone(&files),
        },
    )?;
    let normalization = normalization(context, params, &model, demonstrations.as_ref())?;
    let mut files = files.to_vec();
    files.push((NORMALIZATION.to_owned(), normalization.to_bytes()));
    context.write_model_as("reward_model", &model, &Arc::new(files))
}

/// `transformers` pools at the last token that is not padding.
fn warn_of_padding(context: &Context<'_>, tokenizer: &TextTokenizer) {
    if tokenizer.padding() == tokenizer.end_of_text() {
        let message = "padding and end of text are one token: `transformers` would read scores before the end token, where this model was not trained";
        context.log("warn", message);
    }
}

/// A reward model generates nothing.
fn files_beside(tokenizer: &TextTokenizer) -> StageResult<SideFiles> {
    let mut files = tokenizer.side_files()?.to_vec();
    files.retain(|(name, _)| name != "generation_config.json");
    Ok(Arc::new(files))
}

fn demonstrations(reading: Reading<'_>) -> StageResult<Option<ComparisonFile>> {
    const INPUT: &str = "demonstrations";
    if reading.context.optional_input(INPUT)?.is_none() {
        return Ok(None);
    }
    let purpose = DataPurpose::Sft;
    Reading { purpose, ..reading }.to_train(INPUT).map(Some)
}

/// What is judged during training and at its end: the input `validation`, and the dataset's own validation split.
fn held_out<'a>(
    reading: Reading<'_>,
    params: &'a RewardParams,
) -> StageResult<Option<Box<dyn HeldOut + 'a>>> {
    let mut sets = Vec::new();
    let mut add = |file: ComparisonFile, names| {
        check_margins(&file, params)?;
        sets.push(HeldOutPairs::new(file, params, names));
        StageResult::Ok(())
    };
    let input = reading.context.optional_input("validation")?;
    if input.is_some() {
        add(reading.to_judge("validation")?, &OF_INPUT)?;
    }
    if let Some(file) = reading.validation("dataset")? {
        let names = if input.is_some() {
            &OF_SPLIT
        } else {
            &OF_INPUT
        };
        add(file, names)?;
    }
    Ok((!sets.is_empty()).then(|| Box::new(HeldOutSets(sets)) as Box<dyn HeldOut>))
}

/// What is taken off a pair's difference of rewards (Llama 2, table 27). An edit, which nobody graded, has no margin.
fn margin(pair: &Compared, kind: RewardMargin) -> Result<f64, String> {
    if pair.edit {
        return Ok(0.0);
    }
    let of_strength = |steps: f64| {
        let strength = pair.strength.ok_or_else(|| {
            "no field `strength`, which margin = \"small\" and \"large\" need".to_owned()
        })?;
        Ok(match strength {
            Strength::Significantly => 3.0,
            Strength::Better => 2.0,
            Strength::Slightly => 1.0,
            Strength::Negligibly => 0.0,
        } / steps)
    };
    match kind {
        RewardMargin::None => Ok(0.0),
        RewardMargin::Small => of_strength(3.0),
        RewardMargin::Large => of_strength(1.0),
        RewardMargin::Column => pair
            .margin
            .ok_or_else(|| "no field `margin`, which margin = \"column\" needs".to_owned()),
    }
}

/// Each pair that is trained on must have what its margin comes from.
fn check_margins(file: &ComparisonFile, params: &RewardParams) -> StageResult<()> {
    for row in 0..file.len() {
        for pair in file.pairs(row) {
            if is_wanted(pair, params.strengths.as_ref()) {
                margin(pair, params.margin).map_err(|problem| at_row(file, row, problem))?;
            }
        }
    }
    Ok(())
}

/// The shift and scale by which demonstrations score 0 on average (InstructGPT) with a deviation of 1.
fn normalization(
    context: &Context<'_>,
    params: &RewardParams,
    model: &Model,
    demonstrations: Option<&ComparisonFile>,
) -> StageResult<Normalization> {
    let Some(file) = demonstrations else {
        return Ok(Normalization::NONE);
    };
    let batch = params.optimization.per_device_train_batch_size as usize * 2;
    let scores = raw_scores(model, file.len(), batch, context.threads, |row| {
        file.sequence(row, 0)
    })?;
    if let Some(row) = scores.iter().position(|score| !score.is_finite()) {
        let problem = format!("this demonstration's score is {}", scores[row]);
        return Err(at_row(file, row, problem));
    }
    let found = Normalization::of(&scores);
    context.log(
        "info",
        format!(
            "{} demonstrations score {:.4} on average with a deviation of {:.4}: that is 0 and 1 from now on",
            scores.len(), found.mean, found.std
        ),
    );
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_are_those_of_llama_2() {
        let pair = |strength, edit| Compared {
            better: 0,
            worse: 1,
            edit,
            strength,
            margin: Some(0.75),
        };
        let of = |kind| {
            let found = Strength::ALL.map(|strength| margin(&pair(Some(strength), false), kind));
            found.map(Result::unwrap)
        };
        assert_eq!(of(RewardMargin::None), [0.0; 4]);
        assert_eq!(of(RewardMargin::Small), [1.0, 2.0 / 3.0, 1.0 / 3.0, 0.0]);
        assert_eq!(of(RewardMargin::Large), [3.0, 2.0, 1.0, 0.0]);
        assert_eq!(of(RewardMargin::Column), [0.75; 4]);
        assert_eq!(margin(&pair(None, true), RewardMargin::Large), Ok(0.0));
        let missing = margin(&pair(None, false), RewardMargin::Small).unwrap_err();
        assert!(missing.contains("no field `strength`"), "{missing}");
    }
}
