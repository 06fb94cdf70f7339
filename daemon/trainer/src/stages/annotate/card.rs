//! What the dataset says of itself: which model said what, and who labelled it.

use std::fmt::Write;

use begat_schemas::{AnnotateParams, AnnotationForm, Labeller};

use crate::stages::report::Findings;
use crate::stages::sampling::described;
use crate::stages::{Context, gold};

/// Who labelled, in the words of a row.
pub(super) fn labeller(context: &Context<'_>, params: &AnnotateParams) -> String {
    match params.labeller {
        Labeller::Rule => {
            let rule = params.gold.map(gold::name).unwrap_or_default();
            format!("rule: {rule}")
        }
        Labeller::RewardModel => format!("reward model: {}", context.digest_of("reward_model")),
        Labeller::Command => "command".to_owned(),
    }
}

/// The dataset's README.md.
pub(super) fn card(context: &Context<'_>, params: &AnnotateParams, findings: &Findings) -> String {
    let mut text = String::from("# Preferences over a model's own answers\n\n");
    text += &by_whom(context, params);
    text += "\n\n";
    text += &columns(params);
    text += "\n## How it was made\n";
    let _ = writeln!(text, "- policy: `{}`", context.digest_of("policy"));
    let _ = writeln!(
        text,
        "- prompts: `{}`, from row {}",
        context.digest_of("prompts"),
        params.first_prompt
    );
    let _ = writeln!(
        text,
        "- {}",
        described(params.num_generations, &params.sampling, context.seed())
    );
    if params.form == AnnotationForm::Pairs {
        let gaps = &params.strengths;
        let _ = writeln!(
            text,
            "- at most {} pairs of a prompt, drawn at random among those whose scores lie more than {} apart; strength by \
             the gap: from {} significantly, from {} better, from {} slightly, else negligibly",
            params.max_pairs_per_prompt,
            params.min_gap,
            gaps.significantly,
            gaps.better,
            gaps.slightly
        );
    }
    text += "\n## Counts\n";
    for (name, count) in findings.counts() {
        let _ = writeln!(text, "- {name}: {count}");
    }
    text
}

fn by_whom(context: &Context<'_>, params: &AnnotateParams) -> String {
    let who = match params.labeller {
        Labeller::Rule => format!(
            "Labelled by a **rule** ({}), which measures likeness to one reference answer. No person has judged \
             anything here.",
            params.gold.map(gold::name).unwrap_or_default()
        ),
        Labeller::RewardModel => format!(
            "Labelled by a **reward model** (`{}`). No person has judged anything here.",
            context.digest_of("reward_model")
        ),
        Labeller::Command => format!(
            "Labelled by a **program**{}. What it said is kept as judgements beside this dataset.",
            if params.command.is_empty() {
                " in an earlier run".to_owned()
            } else {
                format!(" (`{}`)", params.command.join(" "))
            }
        ),
    };
    format!("Several samples of each prompt, by one policy. {who}")
}

fn columns(params: &AnnotateParams) -> String {
    let own = match params.form {
        AnnotationForm::Pairs => {
            "`chosen` is preferred to `rejected`, with the `strength` of the gap between `score_chosen` and `score_rejected`; \
             `samples` are their numbers among the prompt's samples."
        }
        AnnotationForm::Rankings => {
            "`responses` from best to worst with their `scores`; `samples` are their numbers among the prompt's samples. \
             What ties with a better one is left out."
        }
        AnnotationForm::Scores => {
            "`completion` with its `score`; `sample` is its number among the prompt's samples."
        }
    };
    format!(
        "Rows: `prompt`; {own} `row` is the prompt's row in its dataset (from 0), `policy` the tree's digest of the model that \
         answered, `labeller` who scored, `seed` the seed of the samples.\n"
    )
}
